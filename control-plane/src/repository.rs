//! The policy repository: revisions of the policy, applied whole or not at all.
//!
//! Rules this module keeps:
//! - One commit of the store makes a revision: its record, the head, and the end of the record that
//!   leaves the history. Before it nothing can be seen, after it everything.
//! - Revisions are numbered one after the other and never reused. The last
//!   [`agix_core::limits::POLICY_REVISIONS`] are kept. Numbers are left out only where a proxy has a
//!   later revision in force than the store knows, since the store was replaced or restored: the
//!   next revision passes it, or the proxy would never take one again.
//! - The policy and its redacted sources are stored as chunks named by their content, written before
//!   the commit that refers to them, shared between revisions and collected when unused.
//! - A commit without an answer is settled before anyone is told anything.
//! - What was read back is compared with its hash before it is used.

mod apply;
mod blob;
mod collect;
mod delta;
mod error;
mod follow;
mod load;
mod published;
mod record;
mod revision;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agix_core::id::Revision;
use agix_core::limits::{POLICY_REVISIONS, REVISION_LEAP};
use tokio::sync::{Mutex, watch};
use tracing::warn;

pub use apply::{Applied, Conflict, Intent, Outcome, Proposal, Rollback};
pub use blob::InvalidChunk;
pub use collect::{CollectError, Collected};
pub use error::{ApplyError, Damage, LoadError, RollbackError};
pub use load::History;
pub use published::Published;
pub use record::InvalidRecord;
pub(crate) use record::decode_head;
pub use revision::RevisionInfo;
pub(crate) use settle::{Settled, settle};

use crate::store::keyspace::Key;
use crate::store::{RangeError, Store};

/// The revisions of the policy. Cheap to clone; clones share everything.
#[derive(Debug)]
pub struct Repository<S> {
    inner: Arc<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    store: S,
    /// Revisions kept.
    kept: usize,
    /// Held by whoever changes what is stored, and while a change of others is taken over.
    writing: Mutex<()>,
    current: watch::Sender<Option<Arc<Published>>>,
    /// The latest revision a proxy has in force.
    seen: AtomicU64,
}

impl<S> Clone for Repository<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S: Store> Repository<S> {
    /// The repository of `store`, with its current revision read.
    pub async fn open(store: S) -> Result<Self, LoadError> {
        Self::keeping(store, POLICY_REVISIONS).await
    }

    /// The same, with a history of `kept` revisions.
    async fn keeping(store: S, kept: usize) -> Result<Self, LoadError> {
        let (current, _) = watch::channel(None);
        let inner = Inner {
            store,
            kept,
            writing: Mutex::new(()),
            current,
            seen: AtomicU64::new(0),
        };
        let repository = Self {
            inner: Arc::new(inner),
        };
        repository.catch_up().await?;
        Ok(repository)
    }

    /// The current revision; `None` before the first.
    pub fn current(&self) -> Option<Arc<Published>> {
        self.inner.current.borrow().clone()
    }

    /// Whether a backup is being restored into the store, or a restore was cut off.
    pub async fn is_restoring(&self) -> Result<bool, RangeError> {
        let marked = self.inner.store.get(&Key::Restoring.encode()).await?;
        Ok(marked.is_some())
    }

    /// Takes note of a revision that a proxy has in force and this history does not reach: the next
    /// one is numbered above it. One that is further away than [`REVISION_LEAP`] is not believed.
    pub fn pass(&self, applied: Revision) {
        let current = self.current();
        let newest = current.map_or(Revision::NONE, |current| current.info().revision);
        if applied.number() > newest.number().saturating_add(REVISION_LEAP) {
            warn!(%applied, %newest, "a proxy claims a revision that cannot be; it is ignored");
            return;
        }
        self.inner
            .seen
            .fetch_max(applied.number(), Ordering::Relaxed);
    }

    /// The number of the revision that follows `current`.
    fn number_after(&self, current: Revision) -> Revision {
        current.max(self.latest_seen()).next()
    }

    /// The latest revision that a proxy has in force.
    fn latest_seen(&self) -> Revision {
        Revision::new(self.inner.seen.load(Ordering::Relaxed))
    }

    /// The current revision and those that follow. Whoever looks late sees the newest only.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Published>>> {
        self.inner.current.subscribe()
    }
}

#[cfg(test)]
mod tests;
