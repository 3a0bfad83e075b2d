//! Why a proxy refused an update.

use crate::id::Revision;
use crate::limits::{NACK_ERRORS, NACK_TEXT_BYTES};
use crate::policy::{Problem, ResourceKey};

/// One reason for which a proxy keeps the policy it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NackReason {
    /// The resource at fault; absent if it is the update as a whole.
    pub resource: Option<ResourceKey>,
    /// The field within it, `targets[1]`; empty for the resource itself.
    pub field: String,
    /// A stable code, `AGX0031`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl NackReason {
    /// The revision offered is older than the one applied, or is another policy of its number.
    pub(super) fn older(offered: Revision, applied: Revision) -> Self {
        let message = if offered == Revision::NONE {
            format!(
                "the control plane has no policy, but the proxy has revision {applied} in force"
            )
        } else if offered == applied {
            format!(
                "revision {offered} of the control plane is another policy than the revision \
                 {applied} the proxy has in force"
            )
        } else {
            format!(
                "revision {offered} of the control plane is older than revision {applied}, which \
                 the proxy has in force"
            )
        };
        Self::whole(
            "AGX0911",
            message,
            "the control plane's store was replaced or restored from a backup; apply the wanted \
             policy again, so that it gets a newer revision",
        )
    }

    /// The update could not be read.
    pub(super) fn unreadable(cause: &str) -> Self {
        Self::whole(
            "AGX0912",
            format!("the update cannot be read: {cause}"),
            "bring the proxy to the version of the control plane",
        )
    }

    /// The update was read as something else than what the control plane meant.
    pub(super) fn not_understood() -> Self {
        Self::whole(
            "AGX0913",
            "the policy has another hash on the proxy than on the control plane: it holds settings \
             the proxy does not know"
                .to_owned(),
            "bring the proxy to the version of the control plane",
        )
    }

    fn whole(code: &str, message: String, help: &str) -> Self {
        Self {
            resource: None,
            field: String::new(),
            code: code.to_owned(),
            message,
            help: Some(help.to_owned()),
        }
    }

    /// At most [`NACK_ERRORS`] reasons, each text cut to [`NACK_TEXT_BYTES`].
    pub(super) fn bounded(mut reasons: Vec<Self>) -> Vec<Self> {
        reasons.truncate(NACK_ERRORS);
        for reason in &mut reasons {
            let Self {
                resource: _,
                field,
                code,
                message,
                help,
            } = reason;
            [field, code, message].into_iter().chain(help).for_each(cut);
        }
        reasons
    }
}

impl From<Problem> for NackReason {
    fn from(problem: Problem) -> Self {
        let Problem {
            resource,
            field,
            code,
            message,
            help,
        } = problem;
        Self {
            resource: Some(resource),
            field,
            code: code.to_owned(),
            message,
            help,
        }
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(NACK_TEXT_BYTES));
}
