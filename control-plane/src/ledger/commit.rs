//! Writing to the log. With a batch that has alerts they are put where webhooks are made of them, in
//! the same transaction: each alert that is in the log is there once.

use agix_core::ledger::{Batch, Entry};
use agix_core::webhook::outcome::BudgetAlert;
use agix_proto::v1;
use bytes::Bytes;
use prost::Message as _;
use tracing::error;

use super::codec;
use super::record::StoredBatch;
use crate::owned::{Lost, Owned};
use crate::store::keyspace::{Key, Shard};
use crate::store::{Store, StoreRevision};

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
        let mut txn = self.owned.txn().absent(&key);
        if let Some(alerts) = alerts_of(batch) {
            let key = Key::ShardAlerts(self.shard, batch.number);
            txn = txn.put(&key.encode(), Bytes::from(alerts.encode_to_vec()));
        }
        let revision = self.owned.commit(txn, &key, stored.main).await?;
        Ok((bytes, revision))
    }
}

fn alerts_of(batch: &Batch) -> Option<v1::BudgetAlerts> {
    let alerts = batch.entries.iter().filter_map(|entry| match entry {
        Entry::Alert {
            agent,
            period,
            percent,
            limit,
            spent,
        } => Some(BudgetAlert {
            agent: agent.clone(),
            period: *period,
            percent: *percent,
            limit: *limit,
            spent: *spent,
        }),
        _ => None,
    });
    let alerts: Vec<_> = alerts.map(|alert| (&alert).into()).collect();
    let at = u64::try_from(batch.clock.wall.as_millis()).unwrap_or_default();
    (!alerts.is_empty()).then_some(v1::BudgetAlerts { at_ms: at, alerts })
}
