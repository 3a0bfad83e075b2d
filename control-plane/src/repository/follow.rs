//! Taking over the revisions other control planes make in the same store.
//!
//! The store's watch is a hint, the head is the truth: it is looked at whenever the watch says
//! something or ends, and now and then without a reason.

use std::error::Error;

use agix_core::limits::{RECONCILE_INTERVAL, STORE_RETRY_PAUSE};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{LoadError, Repository};
use crate::store::keyspace::Key;
use crate::store::{KeyRange, Store, StoreRevision, WatchEnd};

impl<S: Store> Repository<S> {
    /// Keeps the current revision current until `stop` is cancelled.
    pub async fn follow(&self, stop: CancellationToken) {
        let once = || async {
            self.follow_once().await;
            tokio::time::sleep(STORE_RETRY_PAUSE).await;
        };
        while stop.run_until_cancelled(once()).await.is_some() {}
    }

    /// Takes over what is there and what comes, until the store fails.
    async fn follow_once(&self) {
        let seen = match self.catch_up().await {
            Ok(seen) => seen,
            Err(error) => return unread(&error),
        };
        let head = KeyRange::one(&Key::PolicyHead.encode());
        let mut watch = match self.inner.store.watch(head, seen.next()).await {
            Ok(watch) => watch,
            Err(end) => return unwatched(&end),
        };
        loop {
            match tokio::time::timeout(RECONCILE_INTERVAL, watch.next()).await {
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(end)) => return unwatched(&end),
            }
            if let Err(error) = self.catch_up().await {
                return unread(&error);
            }
        }
    }

    /// Takes over what is in the store now; says as of when.
    pub(super) async fn catch_up(&self) -> Result<StoreRevision, LoadError> {
        let _writing = self.inner.writing.lock().await;
        let (head, seen) = self.head().await?;
        self.take_over(head.as_ref()).await?;
        Ok(seen)
    }
}

fn unread(error: &LoadError) {
    let error: &dyn Error = error;
    warn!(
        error,
        "the current policy cannot be read; the last one stays in force"
    );
}

fn unwatched(end: &WatchEnd) {
    let error: &dyn Error = end;
    warn!(error, "the store cannot be watched; it is read again");
}
