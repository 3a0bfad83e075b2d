//! Why an operation of the store failed: one narrow type for each.

use super::{Refused, StoreKey, StoreRevision};
use crate::seal::UnsealError;

/// What went wrong in the engine below: the disk, the network, the file.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BackendFailure(Box<dyn std::error::Error + Send + Sync>);

/// Why a range could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The past asked for is gone.
    #[error("the store's history begins at revision {begins}")]
    Compacted {
        /// The oldest revision that can be read.
        begins: StoreRevision,
    },
    /// The revision asked for does not exist yet.
    #[error("the store is at revision {head} only")]
    Future {
        /// The newest revision.
        head: StoreRevision,
    },
    /// The store cannot be read now.
    #[error("the store cannot be read")]
    Unavailable(#[source] BackendFailure),
    /// A value is sealed and cannot be opened.
    #[error("{key} in the store cannot be opened")]
    Sealed {
        /// Its key.
        key: StoreKey,
        /// Why.
        source: UnsealError,
    },
}

/// Why a transaction has no outcome to tell.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It breaks a limit of the store. Nothing was changed.
    #[error("the store does not take this transaction")]
    Refused(#[from] Refused),
    /// The lease a key was to be bound to has ended. Nothing was changed.
    #[error("the lease has ended")]
    LeaseEnded,
    /// The store cannot be written now. Nothing was changed.
    #[error("the store cannot be written")]
    Unavailable(#[source] BackendFailure),
    /// It may have been carried out or not, or be carried out later: read back to know.
    #[error("it is not known whether the store carried the transaction out")]
    OutcomeUnknown(#[source] BackendFailure),
}

/// Why a compaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The revision does not exist yet.
    #[error("the store is at revision {head} only")]
    Future {
        /// The newest revision.
        head: StoreRevision,
    },
    /// The store cannot be written now. It may have been compacted in part.
    #[error("the store cannot be compacted")]
    Unavailable(#[source] BackendFailure),
}

/// Why an operation on a lease failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The lease has ended.
    #[error("the lease has ended")]
    Ended,
    /// The store cannot be written now.
    #[error("the store cannot be written")]
    Unavailable(#[source] BackendFailure),
}

impl BackendFailure {
    /// Takes the error of an engine.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}
