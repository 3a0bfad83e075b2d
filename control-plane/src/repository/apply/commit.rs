//! Writing a revision: first its chunks, then, in one transaction, everything that makes it one.

use std::collections::BTreeSet;
use std::sync::Arc;

use agix_core::limits::{STORE_TXN_BYTES, STORE_TXN_OPERATIONS};

use super::blocking;
use super::prepare::Prepared;
use super::seen::Seen;
use crate::acts::End;
use crate::repository::record::{Record, encode_head};
use crate::repository::settle::{Settled, settle};
use crate::repository::{ApplyError, LoadError, Repository};
use crate::store::keyspace::{ChunkId, Key};
use crate::store::{CommitError, Store, Txn};

impl<S: Store> Repository<S> {
    /// Writes what is missing, then makes the revision; `false` if somebody else was faster.
    pub(super) async fn commit(
        &self,
        prepared: &Arc<Prepared>,
        seen: &Seen,
        record: &Record,
    ) -> Result<bool, ApplyError> {
        let known = seen
            .current
            .as_ref()
            .map(|current| current.chunks().clone());
        self.write_chunks(prepared, known.unwrap_or_default())
            .await?;
        let revision = record.info.revision;
        let key = Key::PolicyRevision(revision).encode();
        let head = Key::PolicyHead.encode();
        let end = End::look(&self.inner.store).await?;
        let mut txn = Txn::new()
            .unchanged(&head, seen.head.as_ref())
            .unchanged(&Key::PolicyCollection.encode(), seen.collection.as_ref())
            .absent(&Key::Restoring.encode())
            .put(&key, record.encode())
            .put(&head, encode_head(revision));
        for oldest in &seen.leaving {
            txn = txn.delete(oldest);
        }
        let txn = end.record(txn, record.act(seen.revision()));
        match settle(&self.inner.store, &txn)
            .await
            .map_err(commit_error)?
        {
            Settled::Committed(_) => Ok(true),
            Settled::Refused => Ok(false),
            Settled::MaybeCommitted => match self.record(revision).await {
                Ok(found) => Ok(found.attempt == record.attempt),
                Err(LoadError::NoSuchRevision(_)) => Ok(false),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Writes the chunks that are not among `known`.
    async fn write_chunks(
        &self,
        prepared: &Arc<Prepared>,
        known: BTreeSet<ChunkId>,
    ) -> Result<(), ApplyError> {
        let missing = {
            let prepared = Arc::clone(prepared);
            blocking(move || prepared.stored_except(known)).await?
        };
        let mut batch = Txn::new();
        let mut bytes = 0_usize;
        for (id, stored) in missing {
            let key = Key::PolicyChunk(id).encode();
            let size = stored.len().saturating_add(key.as_bytes().len());
            let is_full = bytes.saturating_add(size) > STORE_TXN_BYTES
                || batch.writes().len() >= STORE_TXN_OPERATIONS;
            if is_full {
                self.write_batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            batch = batch.put(&key, stored);
        }
        self.write_batch(batch).await
    }

    async fn write_batch(&self, batch: Txn) -> Result<(), ApplyError> {
        if !batch.writes().is_empty() {
            // A chunk written twice, or late, is the same chunk: no harm is done.
            settle(&self.inner.store, &batch)
                .await
                .map_err(|error| match error {
                    CommitError::OutcomeUnknown(failure) => {
                        ApplyError::Store(CommitError::Unavailable(failure))
                    }
                    other => ApplyError::Store(other),
                })?;
        }
        Ok(())
    }
}

fn commit_error(error: CommitError) -> ApplyError {
    match error {
        CommitError::OutcomeUnknown(failure) => ApplyError::OutcomeUnknown(failure),
        other => ApplyError::Store(other),
    }
}
