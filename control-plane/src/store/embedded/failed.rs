//! What an error of redb means to the caller of the store: it is not available.

use crate::store::{BackendFailure, CommitError, CompactError, LeaseError, RangeError, WatchEnd};

/// An error of redb before anything was committed.
pub(super) struct Failed(BackendFailure);

/// Takes any of redb's errors.
pub(super) fn failed(error: impl Into<redb::Error>) -> Failed {
    Failed(BackendFailure::new(error.into()))
}

impl From<Failed> for RangeError {
    fn from(Failed(failure): Failed) -> Self {
        Self::Unavailable(failure)
    }
}

impl From<Failed> for CommitError {
    fn from(Failed(failure): Failed) -> Self {
        Self::Unavailable(failure)
    }
}

impl From<Failed> for WatchEnd {
    fn from(Failed(failure): Failed) -> Self {
        Self::Unavailable(failure)
    }
}

impl From<Failed> for CompactError {
    fn from(Failed(failure): Failed) -> Self {
        Self::Unavailable(failure)
    }
}

impl From<Failed> for LeaseError {
    fn from(Failed(failure): Failed) -> Self {
        Self::Unavailable(failure)
    }
}
