//! Writing to the log.

use agix_core::ledger::Batch;
use bytes::Bytes;
use tracing::error;

use super::codec;
use super::record::StoredBatch;
use crate::owned::{Lost, Owned};
use crate::store::keyspace::{Key, Shard};
use crate::store::{Guard, Store, StoreRevision};

/// The end of a shard's log, for its owner.
#[derive(Debug, Clone)]
pub(super) struct LogWriter<S> {
    pub(super) owned: Owned<S>,
    pub(super) shard: Shard,
}

impl<S: Store> LogWriter<S> {
    /// Appends a batch; says how many bytes it has, and as of when it can be read.
    pub(super) async fn append(&self, batch: &Batch) -> Result<(usize, StoreRevision), Lost> {
        let encoded = Bytes::from(codec::encode_batch(batch));
        let bytes = encoded.len();
        let stored = StoredBatch::new(encoded).map_err(|invalid| {
            error!(error = %invalid, "a batch of the ledger cannot be stored");
            Lost
        })?;
        for (part, number) in stored.parts.into_iter().zip(0..=u16::MAX) {
            let key = Key::ShardLogPart(self.shard, batch.number, number);
            self.owned.put(&key.encode(), part).await?;
        }
        let key = Key::ShardLog(self.shard, batch.number).encode();
        let revision = self
            .owned
            .put_if(Guard::Absent(key.clone()), &key, stored.main)
            .await?;
        Ok((bytes, revision))
    }
}
