//! The store in an etcd cluster, shared by all control planes that name it.
//!
//! - One client per endpoint and one endpoint at a time, with a bound on every answer: a member that
//!   hangs costs that time once, then the next one is asked.
//! - What can be asked twice is asked of every endpoint. A transaction is sent on only if the one
//!   before was not even reached; without an answer its outcome is unknown.
//! - etcd counts its revisions from one, when nothing is stored; the store counts from zero.
//! - A watch begins one revision early, so that etcd itself refuses one with a gap.
//! - All keys begin with a prefix, so that other users of the cluster are not in the way. Compaction
//!   is that of the whole cluster, as etcd knows no other.

mod address;
mod answer;
mod endpoints;
mod read;
mod watch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::{ETCD_ANSWER_TIME, ETCD_KEEP_ALIVE_TIME};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use address::{EtcdAccess, EtcdAddress, InvalidEtcdAddress};
pub use endpoints::OpenEtcdError;

use self::answer::{EtcdFailure, Trouble};
use self::endpoints::Endpoints;
use super::{
    BackendFailure, CommitError, CompactError, KeyRange, LeaseError, LeaseId, Page, RangeError,
    RangeRequest, Store, StoreKey, StoreRevision, Txn, TxnOutcome, Watch, WatchEnd,
};

/// A store in etcd.
#[derive(Debug, Clone)]
pub struct Etcd {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoints: Endpoints,
    /// What every key begins with.
    prefix: Vec<u8>,
    /// The watches that are relayed.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Etcd {
    /// Connects to the cluster; fails if no endpoint answers, or none lets us in.
    pub async fn open(address: &EtcdAddress) -> Result<Self, OpenEtcdError> {
        let endpoints = Endpoints::new(address).await?;
        let store = Self {
            inner: Arc::new(Inner {
                endpoints,
                prefix: address.key_prefix(),
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
        };
        match store.head().await {
            Ok(_) => Ok(store),
            Err(trouble) => Err(OpenEtcdError::Unreachable(trouble.into_failure())),
        }
    }

    /// Ends the watches.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// The newest revision.
    async fn head(&self) -> Result<StoreRevision, Trouble> {
        let key = self.inner.prefix.clone();
        let head = self.inner.endpoints.read(ETCD_ANSWER_TIME, |client| {
            let key = key.clone();
            async move { client.kv_client().get(key, None).await }
        });
        answer::revision_of(head.await?.header())
    }

    /// The key as etcd has it.
    fn full(&self, key: &StoreKey) -> Vec<u8> {
        let mut bytes = self.inner.prefix.clone();
        bytes.extend_from_slice(key.as_bytes());
        bytes
    }

    /// Where a range begins and ends, as etcd has it.
    fn bounds(&self, range: &KeyRange) -> (Vec<u8>, Vec<u8>) {
        let prefix = || KeyRange::prefix(&StoreKey::new(self.inner.prefix.clone()));
        let end = match range.end() {
            Some(end) => self.full(end),
            // A prefix ends with a slash, so there is a key after all that begin with it.
            None => prefix()
                .end()
                .map_or_else(Vec::new, |end| end.as_bytes().to_vec()),
        };
        (self.full(range.start()), end)
    }
}

impl Store for Etcd {
    async fn range(&self, request: RangeRequest) -> Result<Page, RangeError> {
        self.read_page(&request).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, CommitError> {
        txn.check()?;
        self.commit(&txn).await
    }

    async fn watch(&self, range: KeyRange, from: StoreRevision) -> Result<Watch, WatchEnd> {
        self.begin_watch(range, from).await
    }

    async fn compact(&self, at: StoreRevision) -> Result<(), CompactError> {
        let number = answer::number_of(at);
        let compacted = self
            .inner
            .endpoints
            .read(ETCD_ANSWER_TIME, |client| async move {
                client.kv_client().compact(number, None).await
            });
        match compacted.await {
            Ok(_) | Err(Trouble::Compacted(_)) => Ok(()),
            Err(Trouble::Future(_)) => match self.head().await {
                Ok(head) => Err(CompactError::Future { head }),
                Err(trouble) => Err(CompactError::Unavailable(trouble.into())),
            },
            Err(trouble) => Err(CompactError::Unavailable(trouble.into())),
        }
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, LeaseError> {
        let seconds = i64::try_from(ttl.as_secs().max(1)).unwrap_or(i64::MAX);
        let granted = self
            .inner
            .endpoints
            .read(ETCD_ANSWER_TIME, |client| async move {
                client.lease_client().grant(seconds, None).await
            });
        let granted = granted.await.map_err(lease_error)?;
        match u64::try_from(granted.id()) {
            Ok(number) if number > 0 => Ok(LeaseId::new(number)),
            Ok(_) | Err(_) => Err(LeaseError::Unavailable(BackendFailure::new(
                EtcdFailure::Malformed,
            ))),
        }
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        let id = i64::try_from(lease.number()).map_err(|_outside| LeaseError::Ended)?;
        let kept = self
            .inner
            .endpoints
            .read(ETCD_KEEP_ALIVE_TIME, |client| async move {
                client.lease_client().keep_alive(id).await
            });
        kept.await.map(drop).map_err(lease_error)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        let id = i64::try_from(lease.number()).map_err(|_outside| LeaseError::Ended)?;
        let revoked = self
            .inner
            .endpoints
            .read(ETCD_ANSWER_TIME, |client| async move {
                client.lease_client().revoke(id).await
            });
        revoked.await.map(drop).map_err(lease_error)
    }
}

fn lease_error(trouble: Trouble) -> LeaseError {
    match trouble {
        Trouble::NoLease(_) => LeaseError::Ended,
        other => LeaseError::Unavailable(other.into()),
    }
}
