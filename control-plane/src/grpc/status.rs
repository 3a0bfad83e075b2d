//! What an error is on the wire: the one place that maps errors to status codes.

use std::error::Error;

use agix_core::sync::CloseReason;
use tonic::{Code, Status};
use tracing::error;

use crate::acts::ActsError;
use crate::backup::{BackupError, RestoreError};
use crate::ledger::VerifyError;
use crate::owned::{NotServed, StreamEnd};
use crate::repository::{ApplyError, LoadError, RollbackError};
use crate::webhooks;

/// The status of an error, with its causes in the text. Those that are nobody's wish are logged.
fn status(code: Code, error: &(dyn Error + 'static)) -> Status {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let text: Vec<String> = causes.map(ToString::to_string).collect();
    if matches!(code, Code::Unavailable | Code::DataLoss | Code::Unknown) {
        error!(error, "a call could not be carried out");
    }
    Status::new(code, text.join(": "))
}

pub(super) fn of_load(error: &LoadError) -> Status {
    if let LoadError::NoSuchRevision(revision) = error {
        return Status::not_found(format!(
            "there is no revision {revision}, or it is too old to be in the history"
        ));
    }
    status(load_code(error), error)
}

pub(super) fn of_apply(error: &ApplyError) -> Status {
    if let ApplyError::Load(error) = error {
        return of_load(error);
    }
    if let ApplyError::Acts(error) = error {
        return of_acts(error);
    }
    let code = match error {
        ApplyError::TooLarge { .. } => Code::InvalidArgument,
        ApplyError::Load(error) => load_code(error),
        ApplyError::Acts(error) => acts_code(error),
        ApplyError::Store(_) => Code::Unavailable,
        ApplyError::OutcomeUnknown(_) => Code::Unknown,
        ApplyError::Contended => Code::Aborted,
        ApplyError::Restoring => Code::FailedPrecondition,
    };
    status(code, error)
}

pub(super) fn of_acts(error: &ActsError) -> Status {
    status(acts_code(error), error)
}

fn acts_code(error: &ActsError) -> Code {
    match error {
        ActsError::Read(_) | ActsError::Write(_) => Code::Unavailable,
        ActsError::Damaged(_) => Code::DataLoss,
        ActsError::Contended => Code::Aborted,
    }
}

pub(super) fn of_rollback(error: &RollbackError) -> Status {
    match error {
        RollbackError::Apply(error) => of_apply(error),
        RollbackError::Refused { .. } => status(Code::FailedPrecondition, error),
    }
}

pub(super) fn of_close(reason: CloseReason) -> Status {
    let code = match reason {
        CloseReason::Silent | CloseReason::Unanswered => Code::DeadlineExceeded,
        CloseReason::NoHello | CloseReason::SecondHello | CloseReason::StrayAnswer => {
            Code::InvalidArgument
        }
    };
    Status::new(code, reason.to_string())
}

/// The owner does not answer; nobody's fault is logged here: it says itself what it waits for. One
/// that is elsewhere is named for programs, too.
pub(super) fn of_not_served(error: &NotServed) -> Status {
    let mut status = Status::unavailable(error.to_string());
    if let NotServed::Elsewhere { owner, what: _ } = error
        && let Ok(owner) = owner.parse()
    {
        status.metadata_mut().insert(agix_proto::OWNER, owner);
    }
    status
}

pub(super) fn of_stream_end(end: &StreamEnd) -> Status {
    let code = match end {
        StreamEnd::Lost | StreamEnd::Stopping => Code::Unavailable,
        StreamEnd::Silent => Code::DeadlineExceeded,
        StreamEnd::Slow(_) => Code::ResourceExhausted,
        StreamEnd::Invalid(_) => Code::InvalidArgument,
    };
    Status::new(code, end.to_string())
}

/// What is stored of webhooks cannot be read.
pub(super) fn of_webhook_load(error: &webhooks::LoadError) -> Status {
    let code = match error {
        webhooks::LoadError::Store(_) => Code::Unavailable,
        webhooks::LoadError::Encoding { .. } | webhooks::LoadError::Invalid { .. } => {
            Code::DataLoss
        }
    };
    status(code, error)
}

pub(super) fn of_verify(error: &VerifyError) -> Status {
    match error {
        VerifyError::NotServed(error) => of_not_served(error),
        VerifyError::Load(_) => status(Code::Unavailable, error),
    }
}

pub(super) fn of_backup(error: &BackupError) -> Status {
    let code = match error {
        BackupError::Store(_) => Code::Unavailable,
        BackupError::Restoring => Code::FailedPrecondition,
    };
    status(code, error)
}

pub(super) fn of_restore(error: &RestoreError) -> Status {
    let code = match error {
        RestoreError::Acts(error) => acts_code(error),
        RestoreError::File(_)
        | RestoreError::Unknown(_)
        | RestoreError::Head(_)
        | RestoreError::Terms(_) => Code::InvalidArgument,
        RestoreError::Sealed(_) | RestoreError::Overtaken => Code::FailedPrecondition,
        RestoreError::Read(_) | RestoreError::Write(_) | RestoreError::Depose(_) => {
            Code::Unavailable
        }
    };
    status(code, error)
}

/// No policy was applied yet.
pub(super) fn no_policy() -> Status {
    Status::not_found("there is no policy yet; `agixctl apply -f FILE` makes the first revision")
}

/// The control plane is told to stop.
pub(super) fn stopping() -> Status {
    Status::unavailable("the control plane is stopping")
}

const fn load_code(error: &LoadError) -> Code {
    match error {
        LoadError::NoSuchRevision(_) => Code::NotFound,
        LoadError::Store(_) | LoadError::Interrupted(_) => Code::Unavailable,
        LoadError::Damaged { .. } | LoadError::DamagedHead(_) => Code::DataLoss,
    }
}
