//! Writing to the log: until it is known what became of each transaction.
//!
//! - A transaction without an answer is carried out again. Its guards are such that this cannot
//!   happen twice; if one fails then, the log itself says whose batch it has.
//! - A store that is not available is asked again for as long as the ownership lasts.

use std::error::Error;
use std::time::Duration;

use agix_core::ledger::Batch;
use agix_core::limits::{LEDGER_RETRY_LONGEST, SETTLE_PAUSE};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::codec;
use super::record::StoredBatch;
use crate::store::keyspace::{Key, Shard};
use crate::store::{CommitError, Entry, Guard, Store, StoreKey, StoreRevision, Txn, TxnOutcome};

/// The end of a shard's log, for its owner.
#[derive(Debug, Clone)]
pub(super) struct LogWriter<S> {
    pub(super) store: S,
    pub(super) shard: Shard,
    /// Holds as long as the ownership does.
    pub(super) fence: Guard,
    /// Ends the patience with a store that is not available.
    pub(super) stop: CancellationToken,
}

/// Nothing more can be written: the shard has another owner, or the control plane stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

/// What became of a transaction whose outcome is known.
enum Outcome {
    Committed(StoreRevision),
    /// A guard does not hold; perhaps since an earlier try without an answer was carried out.
    Refused {
        tried: bool,
    },
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
            self.put(&key.encode(), part).await?;
        }
        let key = Key::ShardLog(self.shard, batch.number).encode();
        let revision = self
            .put_if(Guard::Absent(key.clone()), &key, stored.main)
            .await?;
        Ok((bytes, revision))
    }

    /// Sets a key to a value if `guard` holds, which it does no more once that has happened.
    pub(super) async fn put_if(
        &self,
        guard: Guard,
        key: &StoreKey,
        value: Bytes,
    ) -> Result<StoreRevision, Lost> {
        let txn = self.txn().only_if(guard).put(key, value.clone());
        match self.settle(&txn).await? {
            Outcome::Committed(revision) => Ok(revision),
            Outcome::Refused { tried: false } => Err(Lost),
            // An earlier try may have made the guard fail: then the key has our value.
            Outcome::Refused { tried: true } => match self.get(key).await? {
                Some(entry) if entry.value == value => Ok(entry.modified),
                Some(_) | None => Err(Lost),
            },
        }
    }

    /// Reads a key.
    pub(super) async fn get(&self, key: &StoreKey) -> Result<Option<Entry>, Lost> {
        let mut pause = SETTLE_PAUSE;
        loop {
            match self.store.get(key).await {
                Ok(entry) => return Ok(entry),
                Err(error) => {
                    let error: &dyn Error = &error;
                    warn!(error, "the ledger's log cannot be read; trying again");
                }
            }
            self.pause(&mut pause).await?;
        }
    }

    /// Sets a key to a value that only this owner writes.
    pub(super) async fn put(&self, key: &StoreKey, value: Bytes) -> Result<(), Lost> {
        self.carry_out(&self.txn().put(key, value)).await
    }

    /// Carries out a transaction that does no harm if it is carried out again.
    pub(super) async fn carry_out(&self, txn: &Txn) -> Result<(), Lost> {
        match self.settle(txn).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Refused { tried: _ } => Err(Lost),
        }
    }

    /// A transaction of this owner.
    pub(super) fn txn(&self) -> Txn {
        Txn::new().only_if(self.fence.clone())
    }

    async fn settle(&self, txn: &Txn) -> Result<Outcome, Lost> {
        let mut pause = SETTLE_PAUSE;
        let mut tried = false;
        loop {
            let failure = match self.store.txn(txn.clone()).await {
                Ok(TxnOutcome::Committed { revision }) => return Ok(Outcome::Committed(revision)),
                Ok(TxnOutcome::GuardFailed { .. }) => return Ok(Outcome::Refused { tried }),
                Err(CommitError::OutcomeUnknown(failure)) => {
                    tried = true;
                    failure
                }
                Err(CommitError::Unavailable(failure)) => failure,
                Err(error @ (CommitError::Refused(_) | CommitError::LeaseEnded)) => {
                    let error: &dyn Error = &error;
                    error!(error, "the store does not take what the ledger writes");
                    return Err(Lost);
                }
            };
            warn!(error = %failure, "the ledger's log cannot be written; trying again");
            self.pause(&mut pause).await?;
        }
    }

    /// Waits a while; longer the next time.
    async fn pause(&self, pause: &mut Duration) -> Result<(), Lost> {
        let waited = self.stop.run_until_cancelled(tokio::time::sleep(*pause));
        waited.await.ok_or(Lost)?;
        *pause = pause.saturating_mul(2).min(LEDGER_RETRY_LONGEST);
        Ok(())
    }
}
