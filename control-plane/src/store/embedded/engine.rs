//! The open file, and the threads on which it is used: redb blocks, callers do not.

use std::sync::{Arc, PoisonError, RwLock};

use redb::Database;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::failed::Failed;
use crate::store::watch::Watchers;

/// An open file.
#[derive(Debug)]
pub(super) struct Engine {
    /// `None` once it is closed.
    database: RwLock<Option<Arc<Database>>>,
    /// Held by whoever writes, and while a watcher catches up, so that it misses nothing.
    writer: Arc<Mutex<Watchers>>,
    work: TaskTracker,
}

/// Why some work was not done.
pub(super) enum NotDone {
    /// The file is closed; nothing was begun.
    Closed(Failed),
    /// The process is ending, or the work failed in a way it should not.
    Interrupted(Failed),
}

/// The file is closed.
#[derive(Debug, thiserror::Error)]
#[error("the store is closed")]
struct Closed;

impl Engine {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database: RwLock::new(Some(Arc::new(database))),
            writer: Arc::default(),
            work: TaskTracker::new(),
        }
    }

    /// Runs `work` on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let working = self.begin(work)?;
        working.await.map_err(NotDone::interrupted)
    }

    /// The same, with the sole right to write. The right is held until the work is done, even if
    /// the caller stops waiting.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database, &mut Watchers) -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let mut watchers = Arc::clone(&self.writer).lock_owned().await;
        let working = self.begin(move |database| work(database, &mut watchers))?;
        working.await.map_err(NotDone::interrupted)
    }

    /// Begins some work, unless the file is closed. Closing waits for what has begun.
    fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, NotDone> {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = open.clone() else {
            return Err(NotDone::Closed(Failed::new(Closed)));
        };
        Ok(self.work.spawn_blocking(move || work(&database)))
    }

    /// Closes the file when all that has begun is done, and ends all watches.
    pub(super) async fn close(&self) {
        let database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.work.close();
        self.work.wait().await;
        *self.writer.lock().await = Watchers::default();
        // Whatever else had a share of it has ended its work.
        if let Some(database) = database.and_then(Arc::into_inner)
            && let Err(error) = database.close()
        {
            warn!(%error, "the store was not closed in good order");
        }
    }
}

impl NotDone {
    fn interrupted(error: tokio::task::JoinError) -> Self {
        Self::Interrupted(Failed::new(error))
    }
}
