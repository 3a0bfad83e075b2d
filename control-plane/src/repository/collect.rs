//! Collecting chunks no revision refers to any more.
//!
//! A chunk must not go while an apply under way counts on it. Both sides are fenced: an apply
//! commits only if no collection came in between, a collection deletes only if no revision was made
//! since it looked. Whoever loses starts over.

use std::collections::BTreeSet;

use agix_core::limits::STORE_TXN_OPERATIONS;
use tracing::info;

use super::load::record;
use super::settle::{Settled, settle};
use super::{LoadError, Repository};
use crate::store::keyspace::{ChunkId, Key};
use crate::store::{CommitError, Guard, RangeRequest, Store, Txn};

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collected {
    /// It deleted this many chunks.
    Deleted(usize),
    /// A revision was made meanwhile; the rest is left to the next collection.
    Interrupted,
}

/// Why chunks could not be collected. Nothing that is in use was deleted.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The revisions could not be read.
    #[error("the revisions cannot be read to find unused chunks")]
    Load(#[from] LoadError),
    /// The chunks could not be deleted.
    #[error("unused chunks cannot be deleted")]
    Store(#[from] CommitError),
}

/// Writes of one transaction beside its three guards and the fence.
const BATCH: usize = STORE_TXN_OPERATIONS - 4;

impl<S: Store> Repository<S> {
    /// Deletes the chunks no revision refers to.
    pub async fn collect(&self) -> Result<Collected, CollectError> {
        let _writing = self.inner.writing.lock().await;
        let fence = Key::PolicyCollection.encode();
        let seen = self
            .inner
            .store
            .get(&fence)
            .await
            .map_err(LoadError::Store)?;
        let (head, at) = self.head().await?;
        let head_key = Key::PolicyHead.encode();
        let mut used = BTreeSet::new();
        let revisions = RangeRequest::new(Key::policy_revisions()).at(at);
        self.each(revisions, |entry| {
            let record = record(entry)?;
            used.extend(record.policy.chunks);
            used.extend(record.sources.chunks);
            Ok(())
        })
        .await?;
        let mut unused: Vec<ChunkId> = Vec::new();
        let chunks = RangeRequest::new(Key::policy_chunks()).at(at).keys_only();
        self.each(chunks, |entry| {
            if let Ok(Key::PolicyChunk(chunk)) = Key::decode(&entry.key)
                && !used.contains(&chunk)
            {
                unused.push(chunk);
            }
            Ok(())
        })
        .await?;

        let mut guard = match &seen {
            Some(entry) => Guard::Modified(fence.clone(), entry.modified),
            None => Guard::Absent(fence.clone()),
        };
        for batch in unused.chunks(BATCH) {
            let mut txn = Txn::new()
                .unchanged(&head_key, head.as_ref())
                .only_if(guard)
                // What is restored has no revision that refers to it until the end.
                .absent(&Key::Restoring.encode())
                .put(&fence, Vec::new());
            for chunk in batch {
                txn = txn.delete(&Key::PolicyChunk(*chunk).encode());
            }
            match settle(&self.inner.store, &txn).await? {
                Settled::Committed(revision) => guard = Guard::Modified(fence.clone(), revision),
                Settled::Refused | Settled::MaybeCommitted => return Ok(Collected::Interrupted),
            }
        }
        if !unused.is_empty() {
            info!(
                chunks = unused.len(),
                "unused chunks of old policies were deleted"
            );
        }
        Ok(Collected::Deleted(unused.len()))
    }
}
