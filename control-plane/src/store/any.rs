//! The store chosen at the edge, by `--store`. Everything behind it is generic over [`Store`].

use std::time::Duration;

use super::{
    CommitError, CompactError, Embedded, Etcd, KeyRange, LeaseError, LeaseId, Memory,
    OpenEmbeddedError, OpenEtcdError, Page, RangeError, RangeRequest, Store, StoreRevision, Txn,
    TxnOutcome, Watch, WatchEnd,
};
use crate::config::StoreSpec;

/// One of the backends.
#[derive(Debug, Clone)]
pub enum AnyStore {
    /// In memory.
    Memory(Memory),
    /// In a file of this machine.
    Embedded(Embedded),
    /// In an etcd cluster.
    Etcd(Etcd),
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded store could not.
    #[error(transparent)]
    Embedded(#[from] OpenEmbeddedError),
    /// The etcd store could not.
    #[error(transparent)]
    Etcd(#[from] OpenEtcdError),
}

impl AnyStore {
    /// Opens the store `spec` names.
    pub async fn open(spec: &StoreSpec) -> Result<Self, OpenError> {
        Ok(match spec {
            StoreSpec::Memory => Self::Memory(Memory::default()),
            StoreSpec::Embedded(directory) => Self::Embedded(Embedded::open(directory).await?),
            StoreSpec::Etcd(address) => Self::Etcd(Etcd::open(address).await?),
        })
    }
}

impl AnyStore {
    /// Lets go of what the store holds outside this process, when what is under way is done.
    pub async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Embedded(store) => store.close().await,
            Self::Etcd(store) => store.close().await,
        }
    }
}

/// Passes a call on to the backend.
macro_rules! backend {
    ($any:expr, $store:ident => $call:expr) => {
        match $any {
            AnyStore::Memory($store) => $call.await,
            AnyStore::Embedded($store) => $call.await,
            AnyStore::Etcd($store) => $call.await,
        }
    };
}

impl Store for AnyStore {
    async fn range(&self, request: RangeRequest) -> Result<Page, RangeError> {
        backend!(self, store => store.range(request))
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, CommitError> {
        backend!(self, store => store.txn(txn))
    }

    async fn watch(&self, range: KeyRange, from: StoreRevision) -> Result<Watch, WatchEnd> {
        backend!(self, store => store.watch(range, from))
    }

    async fn compact(&self, at: StoreRevision) -> Result<(), CompactError> {
        backend!(self, store => store.compact(at))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, LeaseError> {
        backend!(self, store => store.grant(ttl))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        backend!(self, store => store.keep_alive(lease))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        backend!(self, store => store.revoke(lease))
    }
}
