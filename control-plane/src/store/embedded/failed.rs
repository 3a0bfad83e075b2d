//! What an error of the engine means to the caller of the store: it is not available.

use super::engine::NotDone;
use crate::store::{BackendFailure, CommitError, CompactError, LeaseError, RangeError, WatchEnd};

/// An error before anything was committed.
pub(super) struct Failed(BackendFailure);

impl Failed {
    /// Takes an error of the threads around redb.
    pub(super) fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(BackendFailure::new(error))
    }
}

/// Takes any of redb's errors.
pub(super) fn failed(error: impl Into<redb::Error>) -> Failed {
    Failed::new(error.into())
}

impl From<Failed> for BackendFailure {
    fn from(Failed(failure): Failed) -> Self {
        failure
    }
}

/// For each error of the store: `?` on an error of the engine.
macro_rules! unavailable {
    ($($error:ident),*) => {$(
        impl From<Failed> for $error {
            fn from(Failed(failure): Failed) -> Self {
                Self::Unavailable(failure)
            }
        }
    )*};
}

/// The same where it makes no difference whether the work was begun.
macro_rules! not_done {
    ($($error:ident),*) => {$(
        impl From<NotDone> for $error {
            fn from(not_done: NotDone) -> Self {
                let (NotDone::Closed(failed) | NotDone::Interrupted(failed)) = not_done;
                failed.into()
            }
        }
    )*};
}

unavailable!(RangeError, CommitError, WatchEnd, CompactError, LeaseError);
not_done!(RangeError, WatchEnd, CompactError, LeaseError);
