//! What an owner writes to the store: until it is known what became of each transaction.
//!
//! - Every transaction is guarded by the ownership, so that one that is lost changes nothing.
//! - A transaction without an answer is carried out again. Its guards are such that this cannot
//!   happen twice; if one fails then, the store itself says whose value it has.
//! - A store that is not available is asked again for as long as the ownership lasts.
//! - An end is an end: whoever loses the ownership drops everything in memory and starts over.

mod desk;
mod outlet;
mod tenure;

use std::error::Error;
use std::time::Duration;

use agix_core::limits::{LEDGER_RETRY_LONGEST, SETTLE_PAUSE};
use bytes::Bytes;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub use desk::NotServed;
pub(crate) use desk::{Desk, Request, Speaker};
#[cfg(test)]
pub(crate) use outlet::Listener;
pub(crate) use outlet::{Outlet, Outlets, StreamEnd};
pub(crate) use tenure::{Over, Tenant, Tenure};

use crate::store::{CommitError, Entry, Guard, Store, StoreKey, StoreRevision, Txn, TxnOutcome};

/// The store, for the owner of something in it.
#[derive(Debug, Clone)]
pub(crate) struct Owned<S> {
    pub(crate) store: S,
    /// What is owned, in messages.
    pub(crate) what: &'static str,
    /// Holds as long as the ownership does.
    pub(crate) fence: Guard,
    /// Ends the patience with a store that is not available.
    pub(crate) stop: CancellationToken,
}

/// Nothing more can be written: there is another owner, or the control plane stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// What became of a transaction whose outcome is known.
enum Outcome {
    Committed(StoreRevision),
    /// A guard does not hold; perhaps since an earlier try without an answer was carried out.
    Refused {
        tried: bool,
    },
}

impl<S: Store> Owned<S> {
    /// Sets a key to a value if `guard` holds, which it does no more once that has happened.
    pub(crate) async fn put_if(
        &self,
        guard: Guard,
        key: &StoreKey,
        value: Bytes,
    ) -> Result<StoreRevision, Lost> {
        let txn = self.txn().only_if(guard);
        self.commit(txn, key, value).await
    }

    /// Carries out `txn` and sets a key to a value, if the guards hold, which they do no more once
    /// that has happened.
    pub(crate) async fn commit(
        &self,
        txn: Txn,
        key: &StoreKey,
        value: Bytes,
    ) -> Result<StoreRevision, Lost> {
        let txn = txn.put(key, value.clone());
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
    pub(crate) async fn get(&self, key: &StoreKey) -> Result<Option<Entry>, Lost> {
        let mut pause = SETTLE_PAUSE;
        loop {
            match self.store.get(key).await {
                Ok(entry) => return Ok(entry),
                Err(error) => {
                    let error: &dyn Error = &error;
                    warn!(
                        error,
                        what = self.what,
                        "the store cannot be read; trying again"
                    );
                }
            }
            self.pause(&mut pause).await?;
        }
    }

    /// Sets a key to a value that only this owner writes.
    pub(crate) async fn put(&self, key: &StoreKey, value: Bytes) -> Result<(), Lost> {
        self.carry_out(&self.txn().put(key, value)).await
    }

    /// Carries out a transaction that does no harm if it is carried out again.
    pub(crate) async fn carry_out(&self, txn: &Txn) -> Result<(), Lost> {
        match self.settle(txn).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Refused { tried: _ } => Err(Lost),
        }
    }

    /// A transaction of this owner.
    pub(crate) fn txn(&self) -> Txn {
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
                    error!(
                        error,
                        what = self.what,
                        "the store does not take what its owner writes"
                    );
                    return Err(Lost);
                }
            };
            warn!(error = %failure, what = self.what, "the store cannot be written; trying again");
            self.pause(&mut pause).await?;
        }
    }

    /// Waits a while; longer the next time.
    async fn pause(&self, pause: &mut Duration) -> Result<(), Lost> {
        let waited = self.stop.run_until_cancelled(sleep(*pause));
        waited.await.ok_or(Lost)?;
        *pause = pause.saturating_mul(2).min(LEDGER_RETRY_LONGEST);
        Ok(())
    }
}
