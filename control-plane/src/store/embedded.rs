//! The store in one file of this machine, used by one process at a time.
//!
//! - A commit is answered after it was synced to the disk.
//! - The file is locked for as long as the store is open; a second process is refused.
//! - One writer at a time; readers see a snapshot and wait for nobody.
//! - A lease lives as long as the process: what the last process left under leases is deleted when
//!   the store is opened, so a new owner's key is a new creation with a larger term.

mod failed;
mod file;
mod read;
mod tables;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase as _};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::{JoinError, spawn_blocking};

pub use file::OpenEmbeddedError;

use self::failed::failed;

use super::watch::{Watcher, Watchers};
use super::{
    BackendFailure, CommitError, CompactError, KeyRange, LeaseError, LeaseId, Page, RangeError,
    RangeRequest, Store, StoreRevision, Txn, TxnOutcome, Watch, WatchEnd,
};

/// A store in a file.
#[derive(Debug, Clone)]
pub struct Embedded {
    database: Arc<Database>,
    /// Held by whoever writes, and while a watcher catches up, so that it misses nothing.
    writer: Arc<Mutex<Watchers>>,
}

impl Embedded {
    /// Opens the store of `directory`; makes it if there is none.
    pub async fn open(directory: &Path) -> Result<Self, OpenEmbeddedError> {
        let directory = directory.to_owned();
        let opened = spawn_blocking(move || {
            let database = file::open(&directory)?;
            write::end_leases(&database).map_err(|source| OpenEmbeddedError::Prepare {
                path: file::path_in(&directory),
                source: Box::new(source),
            })?;
            Ok(database)
        });
        let database = opened.await.map_err(OpenEmbeddedError::Interrupted)??;
        Ok(Self {
            database: Arc::new(database),
            writer: Arc::default(),
        })
    }

    /// Runs `work` on a thread that may block, with the sole right to write. The right is held
    /// until the work is done, even if the caller stops waiting.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database, &mut OwnedMutexGuard<Watchers>) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let database = Arc::clone(&self.database);
        let mut watchers = Arc::clone(&self.writer).lock_owned().await;
        spawn_blocking(move || work(&database, &mut watchers)).await
    }
}

impl Store for Embedded {
    async fn range(&self, request: RangeRequest) -> Result<Page, RangeError> {
        let database = Arc::clone(&self.database);
        let read = spawn_blocking(move || {
            let txn = database.begin_read().map_err(failed)?;
            read::range(&txn, &request)
        });
        read.await
            .unwrap_or_else(|error| Err(RangeError::Unavailable(BackendFailure::new(error))))
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, CommitError> {
        txn.check()?;
        self.write(move |database, watchers| write::txn(database, watchers, &txn))
            .await
            .unwrap_or_else(|error| Err(CommitError::OutcomeUnknown(BackendFailure::new(error))))
    }

    async fn watch(&self, range: KeyRange, from: StoreRevision) -> Result<Watch, WatchEnd> {
        let (watcher, watch) = Watcher::new(range, from);
        self.write(move |database, watchers| {
            let txn = database.begin_read().map_err(failed)?;
            read::catch_up(&txn, &watcher, from)?;
            watchers.add(watcher);
            Ok(())
        })
        .await
        .unwrap_or_else(|error| Err(WatchEnd::Unavailable(BackendFailure::new(error))))?;
        Ok(watch)
    }

    async fn compact(&self, at: StoreRevision) -> Result<(), CompactError> {
        // Step by step, so that commits come in between.
        loop {
            let step = self
                .write(move |database, _| write::compact_step(database, at))
                .await
                .unwrap_or_else(|error| {
                    Err(CompactError::Unavailable(BackendFailure::new(error)))
                })?;
            if step.is_done() {
                return Ok(());
            }
        }
    }

    async fn grant(&self, _ttl: Duration) -> Result<LeaseId, LeaseError> {
        self.write(|database, _| write::grant(database))
            .await
            .unwrap_or_else(lease_interrupted)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        let database = Arc::clone(&self.database);
        spawn_blocking(move || read::lease(&database, lease))
            .await
            .unwrap_or_else(lease_interrupted)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.write(move |database, watchers| write::revoke(database, watchers, lease))
            .await
            .unwrap_or_else(lease_interrupted)
    }
}

fn lease_interrupted<T>(error: JoinError) -> Result<T, LeaseError> {
    Err(LeaseError::Unavailable(BackendFailure::new(error)))
}
