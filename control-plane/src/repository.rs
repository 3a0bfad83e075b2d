//! The policy repository: revisions of the policy, applied whole or not at all.
//!
//! Rules this module keeps:
//! - One commit of the store makes a revision: its record, the head, and the end of the record that
//!   leaves the history. Before it nothing can be seen, after it everything.
//! - Revisions are numbered without gaps and never reused. The last
//!   [`agix_core::limits::POLICY_REVISIONS`] are kept.
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

#[cfg(test)]
mod tests;

use std::sync::Arc;

use agix_core::limits::POLICY_REVISIONS;
use tokio::sync::{Mutex, watch};

pub use apply::{Applied, Conflict, Intent, Outcome, Proposal, Rollback};
pub use blob::InvalidChunk;
pub use collect::{CollectError, Collected};
pub use error::{ApplyError, Damage, LoadError, RollbackError};
pub use load::History;
pub use published::Published;
pub use record::InvalidRecord;
pub use revision::RevisionInfo;

use crate::store::Store;

/// The revisions of the policy. Cheap to clone; clones share everything.
#[derive(Debug)]
pub struct Repository<S> {
    inner: Arc<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    store: S,
    /// Revisions kept.
    kept: u64,
    /// Held by whoever changes what is stored, and while a change of others is taken over.
    writing: Mutex<()>,
    current: watch::Sender<Option<Arc<Published>>>,
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
        let kept = u64::try_from(POLICY_REVISIONS).unwrap_or(u64::MAX);
        Self::keeping(store, kept).await
    }

    /// The same, with a history of `kept` revisions.
    async fn keeping(store: S, kept: u64) -> Result<Self, LoadError> {
        let (current, _) = watch::channel(None);
        let inner = Inner {
            store,
            kept,
            writing: Mutex::new(()),
            current,
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

    /// The current revision and those that follow. Whoever looks late sees the newest only.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Published>>> {
        self.inner.current.subscribe()
    }
}
