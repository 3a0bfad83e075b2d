//! The store in one file of this machine, used by one process at a time.
//!
//! - A commit is answered after it was synced to the disk.
//! - The file is locked for as long as the store is open; a second process is refused.
//! - One writer at a time; readers see a snapshot and wait for nobody.
//! - A lease lives as long as the process: what the last process left under leases is deleted when
//!   the store is opened, so a new owner's key is a new creation with a larger term.

mod engine;
mod failed;
mod file;
mod read;
mod tables;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redb::ReadableDatabase as _;
use tokio::task::spawn_blocking;

pub use file::OpenEmbeddedError;

use self::engine::{Engine, NotDone};
use self::failed::failed;
use super::watch::Watcher;
use super::{
    CommitError, CompactError, KeyRange, LeaseError, LeaseId, Page, RangeError, RangeRequest,
    Store, StoreRevision, Txn, TxnOutcome, Watch, WatchEnd,
};

/// A store in a file.
#[derive(Debug, Clone)]
pub struct Embedded {
    engine: Arc<Engine>,
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
            engine: Arc::new(Engine::new(database)),
        })
    }

    /// Closes the file, when what is under way is done: from then on another process can open it.
    /// Whoever still uses a clone of the store is told that it is not available.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

impl Store for Embedded {
    async fn range(&self, request: RangeRequest) -> Result<Page, RangeError> {
        self.engine
            .read(move |database| {
                let txn = database.begin_read().map_err(failed)?;
                read::range(&txn, &request)
            })
            .await?
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, CommitError> {
        txn.check()?;
        self.engine
            .write(move |database, watchers| write::txn(database, watchers, &txn))
            .await
            .map_err(|not_done| match not_done {
                NotDone::Closed(failed) => failed.into(),
                NotDone::Interrupted(failed) => CommitError::OutcomeUnknown(failed.into()),
            })?
    }

    async fn watch(&self, range: KeyRange, from: StoreRevision) -> Result<Watch, WatchEnd> {
        let (watcher, watch) = Watcher::new(range, from);
        self.engine
            .write(move |database, watchers| {
                let txn = database.begin_read().map_err(failed)?;
                read::catch_up(&txn, &watcher, from)?;
                watchers.add(watcher);
                Ok::<_, WatchEnd>(())
            })
            .await??;
        Ok(watch)
    }

    async fn compact(&self, at: StoreRevision) -> Result<(), CompactError> {
        // Step by step, so that commits come in between.
        loop {
            let step = self
                .engine
                .write(move |database, _| write::compact_step(database, at))
                .await??;
            if step.is_done() {
                return Ok(());
            }
        }
    }

    async fn grant(&self, _ttl: Duration) -> Result<LeaseId, LeaseError> {
        self.engine
            .write(|database, _| write::grant(database))
            .await?
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.engine
            .read(move |database| read::lease(database, lease))
            .await?
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.engine
            .write(move |database, watchers| write::revoke(database, watchers, lease))
            .await?
    }
}
