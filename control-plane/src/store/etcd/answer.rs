//! What etcd's answers mean: revisions, entries, and what went wrong.
//!
//! etcd names its errors by text within a few status codes, so both are looked at.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use etcd_client::{Error, KeyValue, ResponseHeader};
use tonic::Code;

use crate::store::{BackendFailure, Entry, LeaseId, StoreKey, StoreRevision};

/// Why etcd did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EtcdFailure {
    /// It takes no writes.
    #[error(
        "etcd is full and takes no writes (alarm NOSPACE): compact and defragment it or raise its \
         quota, then run `etcdctl alarm disarm`"
    )]
    Full(#[source] Box<Error>),
    /// Nobody answered.
    #[error("{endpoint} did not answer within {within:?}")]
    Silent {
        /// Who was asked.
        endpoint: String,
        /// For how long.
        within: Duration,
    },
    /// It answered with an error, or the connection failed.
    #[error("{endpoint} did not do what it was asked")]
    Failed {
        /// Who was asked.
        endpoint: String,
        /// What it said.
        source: Box<Error>,
    },
    /// The answer lacks what it must have.
    #[error("etcd's answer makes no sense; is it an etcd of version 3.4 or later?")]
    Malformed,
}

/// What came of asking etcd, if not what was asked for.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The request did not leave this process.
    Unreached(EtcdFailure),
    /// It may have been carried out.
    Unanswered(EtcdFailure),
    /// It was not carried out, and will not be.
    Refused(EtcdFailure),
    /// The past asked for is gone.
    Compacted(EtcdFailure),
    /// The revision asked for does not exist yet.
    Future(EtcdFailure),
    /// There is no such lease.
    NoLease(EtcdFailure),
    /// The answer was larger than a message may be.
    TooLarge(EtcdFailure),
}

impl Trouble {
    /// Nobody answered in time.
    pub(super) fn silent(endpoint: &str, within: Duration) -> Self {
        Self::Unanswered(EtcdFailure::Silent {
            endpoint: endpoint.to_owned(),
            within,
        })
    }

    /// What `error` of `endpoint` means.
    pub(super) fn of(endpoint: &str, error: Error) -> Self {
        let failed = |error| EtcdFailure::Failed {
            endpoint: endpoint.to_owned(),
            source: Box::new(error),
        };
        if was_refused_a_connection(&error) {
            return Self::Unreached(failed(error));
        }
        let (code, text) = match &error {
            Error::GRpcStatus(status) => (status.code(), status.message().to_owned()),
            Error::LeaseKeepAliveError(text) if text.contains("not found") => {
                return Self::NoLease(failed(error));
            }
            _ => return Self::Unanswered(failed(error)),
        };
        match code {
            Code::OutOfRange if text.contains("has been compacted") => {
                Self::Compacted(failed(error))
            }
            Code::OutOfRange if text.contains("future revision") => Self::Future(failed(error)),
            Code::OutOfRange if text.contains("message length too large") => {
                Self::TooLarge(failed(error))
            }
            Code::NotFound if text.contains("lease not found") => Self::NoLease(failed(error)),
            Code::ResourceExhausted if text.contains("space exceeded") => {
                Self::Refused(EtcdFailure::Full(Box::new(error)))
            }
            Code::InvalidArgument
            | Code::NotFound
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented => Self::Refused(failed(error)),
            _ => Self::Unanswered(failed(error)),
        }
    }

    /// What to tell.
    pub(super) fn into_failure(self) -> EtcdFailure {
        match self {
            Self::Unreached(failure)
            | Self::Unanswered(failure)
            | Self::Refused(failure)
            | Self::Compacted(failure)
            | Self::Future(failure)
            | Self::NoLease(failure)
            | Self::TooLarge(failure) => failure,
        }
    }
}

impl From<Trouble> for BackendFailure {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.into_failure())
    }
}

/// Whether there was not even a connection to send something on.
fn was_refused_a_connection(error: &Error) -> bool {
    let mut cause = match error {
        Error::GRpcStatus(status) => status.source(),
        Error::TransportError(error) => error.source(),
        _ => None,
    };
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The revision an answer speaks of.
pub(super) fn revision_of(header: Option<&ResponseHeader>) -> Result<StoreRevision, Trouble> {
    header
        .and_then(|header| revision(header.revision()))
        .ok_or(Trouble::Unanswered(EtcdFailure::Malformed))
}

/// etcd's number of a revision as ours.
pub(super) fn revision(number: i64) -> Option<StoreRevision> {
    let number = u64::try_from(number).ok()?.checked_sub(1)?;
    Some(StoreRevision::new(number))
}

/// Our number of a revision as etcd's.
pub(super) fn number_of(revision: StoreRevision) -> i64 {
    i64::try_from(revision.number())
        .unwrap_or(i64::MAX)
        .saturating_add(1)
}

/// The key without the prefix.
pub(super) fn key_of(prefix: &[u8], pair: &KeyValue) -> Option<StoreKey> {
    let key = pair.key().strip_prefix(prefix)?;
    Some(StoreKey::new(key.to_vec()))
}

/// A pair of etcd as an entry; `None` if it makes no sense.
pub(super) fn entry(prefix: &[u8], pair: KeyValue) -> Option<Entry> {
    let key = key_of(prefix, &pair)?;
    let created = revision(pair.create_revision())?;
    let modified = revision(pair.mod_revision())?;
    let lease = u64::try_from(pair.lease()).ok()?;
    let (_, value) = pair.into_key_value();
    Some(Entry {
        key,
        value: value.into(),
        created,
        modified,
        lease: (lease != 0).then(|| LeaseId::new(lease)),
    })
}
