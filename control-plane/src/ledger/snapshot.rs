//! Snapshots: what bounds the replay of a log.
//!
//! A snapshot is written in parts, beside the log and while that goes on; then its head makes it
//! count, in one commit. Only after that goes what it replaces: the log up to its batch and the parts
//! of older snapshots. Whatever is left behind by a crash in between is found and deleted the next
//! time.

use agix_core::ledger::Books;
use agix_core::limits::STORE_TXN_OPERATIONS;
use bytes::Bytes;
use tokio::task::{JoinError, spawn_blocking};

use super::codec;
use super::commit::LogWriter;
use super::record::{InvalidRecord, SnapshotHead};
use crate::owned::Lost;
use crate::store::keyspace::Key;
use crate::store::{Guard, KeyRange, RangeError, RangeRequest, Store};

/// Writes of one transaction beside the guard of the owner.
const DELETES: usize = STORE_TXN_OPERATIONS - 1;

/// Why there is no new snapshot. The old one and the log are as good as before.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    /// The shard is not owned any more.
    #[error("the ledger has another owner")]
    Lost,
    /// The books cannot be stored.
    #[error("the books cannot be stored")]
    Encoding(#[from] InvalidRecord),
    /// What the snapshot replaces could not be found.
    #[error("the old log cannot be read")]
    Store(#[from] RangeError),
    /// The process is ending.
    #[error("encoding was interrupted")]
    Interrupted(#[from] JoinError),
}

/// A snapshot that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    /// The last batch it contains.
    pub(super) batch: u64,
    /// Its length.
    pub(super) bytes: u64,
    /// Keys that were deleted since they are needed no more.
    pub(super) deleted: usize,
}

/// Writes a snapshot of books of which everything is in the log, and deletes what it replaces.
pub(super) async fn write<S: Store>(
    log: &LogWriter<S>,
    books: Books,
) -> Result<Made, SnapshotError> {
    let batch = books.number;
    let content = spawn_blocking(move || codec::encode_books(&books)).await?;
    let (head, parts) = SnapshotHead::new(batch, Bytes::from(content))?;
    let head_key = Key::ShardSnapshotHead(log.shard).encode();
    let seen = match log.owned.get(&head_key).await? {
        Some(entry) => Guard::Modified(head_key.clone(), entry.modified),
        None => Guard::Absent(head_key.clone()),
    };
    for (part, number) in parts.into_iter().zip(0..=u16::MAX) {
        let key = Key::ShardSnapshot(log.shard, batch, number);
        log.owned.put(&key.encode(), part).await?;
    }
    log.owned
        .put_if(seen, &head_key, Bytes::from(head.encode()))
        .await?;
    let deleted = trim(log, &head).await?;
    Ok(Made {
        batch,
        bytes: head.bytes,
        deleted,
    })
}

/// Deletes what the snapshot of `head` replaces.
async fn trim<S: Store>(log: &LogWriter<S>, head: &SnapshotHead) -> Result<usize, SnapshotError> {
    let old = [
        Key::shard_log_until(log.shard, head.batch),
        Key::shard_log_parts_until(log.shard, head.batch),
        Key::shard_snapshots(log.shard),
    ];
    let mut deleted = 0_usize;
    for range in old {
        deleted = deleted.saturating_add(delete(log, range, head).await?);
    }
    Ok(deleted)
}

/// Deletes a range but for the parts of the snapshot of `head`.
async fn delete<S: Store>(
    log: &LogWriter<S>,
    range: KeyRange,
    head: &SnapshotHead,
) -> Result<usize, SnapshotError> {
    let is_current = |key: &Key| {
        matches!(key, Key::ShardSnapshot(_, batch, part)
            if *batch == head.batch && *part < head.parts)
    };
    let mut deleted = 0_usize;
    let mut request = Some(RangeRequest::new(range).keys_only());
    while let Some(next) = request {
        let page = log.owned.store.range(next.clone()).await?;
        let keys = page.entries.iter().map(|entry| &entry.key);
        let old: Vec<_> = keys
            .filter(|key| Key::decode(key).is_ok_and(|key| !is_current(&key)))
            .collect();
        for some in old.chunks(DELETES) {
            let txn = some
                .iter()
                .fold(log.owned.txn(), |txn, key| txn.delete(key));
            log.owned.carry_out(&txn).await?;
        }
        deleted = deleted.saturating_add(old.len());
        request = next.after(&page);
    }
    Ok(deleted)
}

impl From<Lost> for SnapshotError {
    fn from(_: Lost) -> Self {
        Self::Lost
    }
}
