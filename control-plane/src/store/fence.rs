//! Owning something exclusively: a key bound to a lease, whose creation is the fencing token.
//!
//! Whoever puts the key owns what it names, until its lease ends. The commit that created the key
//! is the owner's *term*: terms only grow, and a transaction guarded by [`Fence::guard`] has no
//! effect once another owner's term has begun, however late it arrives.

use std::time::Duration;

use bytes::Bytes;

use super::keyspace::Key;
use super::{
    BackendFailure, CommitError, Guard, LeaseError, LeaseId, RangeError, Store, StoreKey,
    StoreRevision, Txn, TxnOutcome,
};

/// Ownership of a key.
#[derive(Debug)]
pub struct Fence<S> {
    store: S,
    key: StoreKey,
    term: StoreRevision,
    lease: LeaseId,
}

/// Whether ownership was obtained.
#[derive(Debug)]
pub enum Acquired<S> {
    /// It is ours now.
    Held(Fence<S>),
    /// Somebody else has it.
    Taken {
        /// What the owner wrote under the key.
        by: Bytes,
    },
}

/// Why it is not known who owns the key.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// No lease could be had.
    #[error("no lease could be had")]
    Lease(#[source] LeaseError),
    /// The key could not be written.
    #[error("the owner's key cannot be written")]
    Commit(#[source] CommitError),
    /// The key could not be read.
    #[error("the owner's key cannot be read")]
    Read(#[source] RangeError),
}

/// What is added to the terms of owners, since what they own was in another store before.
pub(crate) async fn term_base<S: Store>(store: &S) -> Result<u64, RangeError> {
    let Some(entry) = store.get(&Key::TermBase.encode()).await? else {
        return Ok(0);
    };
    let base = std::str::from_utf8(&entry.value).ok();
    base.and_then(|base| base.parse().ok()).ok_or_else(|| {
        let what = "what is added to terms is damaged in the store";
        RangeError::Unavailable(BackendFailure::new(what))
    })
}

impl<S: Store> Fence<S> {
    /// Becomes the owner of `key` if it has none, writing `name` for others to see. The ownership
    /// ends `ttl` after the last [`Fence::keep_alive`].
    ///
    /// Nobody else uses this name, and its user has one ownership at a time: what is left of one that
    /// it could not give up is ended, so that a later try has a chance.
    pub async fn acquire(
        store: S,
        key: StoreKey,
        name: Bytes,
        ttl: Duration,
    ) -> Result<Acquired<S>, AcquireError> {
        let lease = store.grant(ttl).await.map_err(AcquireError::Lease)?;
        let own_name = name.clone();
        let txn = Txn::new()
            .absent(&key)
            // Nobody owns anything while a backup is restored.
            .absent(&Key::Restoring.encode())
            .put_leased(&key, name, lease);
        match store.txn(txn).await {
            Ok(TxnOutcome::Committed { .. } | TxnOutcome::GuardFailed { .. })
            | Err(CommitError::OutcomeUnknown(_)) => {}
            Err(error) => return Err(AcquireError::Commit(error)),
        }
        // Whatever the answer was, or if there was none: the key says who owns it.
        let owner = store.get(&key).await.map_err(AcquireError::Read)?;
        match owner {
            Some(entry) if entry.lease == Some(lease) => Ok(Acquired::Held(Self {
                store,
                key,
                term: entry.created,
                lease,
            })),
            other => {
                // A put that is still under way must not make an owner nobody knows of.
                match store.revoke(lease).await {
                    Ok(()) | Err(LeaseError::Ended) => {}
                    Err(error) => return Err(AcquireError::Lease(error)),
                }
                let Some(entry) = other else {
                    return Ok(Acquired::Taken { by: Bytes::new() });
                };
                if entry.value == own_name
                    && let Some(left) = entry.lease
                {
                    match store.revoke(left).await {
                        Ok(()) | Err(LeaseError::Ended) => {}
                        Err(error) => return Err(AcquireError::Lease(error)),
                    }
                }
                Ok(Acquired::Taken { by: entry.value })
            }
        }
    }

    /// The owner's term: larger than that of every owner before in this store. See [`term_base`].
    pub const fn term(&self) -> StoreRevision {
        self.term
    }

    /// Holds as long as this ownership does; belongs into every transaction of the owner.
    pub fn guard(&self) -> Guard {
        Guard::Created(self.key.clone(), self.term)
    }

    /// Begins the time of the ownership anew.
    pub async fn keep_alive(&self) -> Result<(), LeaseError> {
        self.store.keep_alive(self.lease).await
    }

    /// Gives the ownership up.
    pub async fn release(self) -> Result<(), LeaseError> {
        self.store.revoke(self.lease).await
    }
}
