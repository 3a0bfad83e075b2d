//! The store in memory: the reference the other backends are measured against, and the store of
//! tests and trials. What it holds is gone with the process.

mod model;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::model::Model;
use super::{
    CommitError, CompactError, KeyRange, LeaseError, LeaseId, Page, RangeError, RangeRequest,
    Store, StoreRevision, Txn, TxnOutcome, Watch, WatchEnd,
};

/// A store in memory.
#[derive(Clone, Default)]
pub struct Memory {
    model: Arc<Mutex<Model>>,
}

impl fmt::Debug for Memory {
    /// Without what is stored, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    async fn range(&self, request: RangeRequest) -> Result<Page, RangeError> {
        self.model().range(&request)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, CommitError> {
        txn.check()?;
        self.model().txn(&txn)
    }

    async fn watch(&self, range: KeyRange, from: StoreRevision) -> Result<Watch, WatchEnd> {
        self.model().watch(range, from)
    }

    async fn compact(&self, at: StoreRevision) -> Result<(), CompactError> {
        self.model().compact(at)
    }

    async fn grant(&self, _ttl: Duration) -> Result<LeaseId, LeaseError> {
        Ok(self.model().grant())
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.model().keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.model().revoke(lease)
    }
}
