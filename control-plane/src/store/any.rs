//! The store chosen at the edge, by `--store`. Everything behind it is generic over [`Store`].
//!
//! It seals what it stores under the keys of [`Key::sealed`], and opens it when it is read. A watch
//! hands such values on as they are stored: only heads are watched.

mod renew;

use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use super::keyspace::Key;
use super::{
    BackendFailure, CommitError, CompactError, Embedded, Entry, Etcd, KeyRange, LeaseError,
    LeaseId, Memory, OpenEmbeddedError, OpenEtcdError, Page, RangeError, RangeRequest, Store,
    StoreKey, StoreRevision, Txn, TxnOutcome, Watch, WatchEnd,
};
use crate::config::{SealSource, StoreSpec};
use crate::seal::{self, KeyFileError, NoRandomness, SealKeyId, SealKeys};

/// A backend, and what seals secrets in it.
#[derive(Debug, Clone)]
pub struct AnyStore {
    raw: RawStore,
    seal: Option<SealKeys>,
}

/// One of the backends: values as they are stored.
#[derive(Debug, Clone)]
pub(crate) enum RawStore {
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
    /// Secrets would lie open in etcd.
    #[error(
        "secrets in etcd need a key that seals them: make one with `openssl rand -hex 32 > FILE` \
         and pass --seal-key-file FILE, the same to every control plane; or pass --unsealed if \
         whoever reads etcd, its disks and its backups may read the secrets of the policy"
    )]
    NoSealKey,
    /// The store's own key cannot be had.
    #[error(transparent)]
    SealKey(#[from] KeyFileError),
    /// It could not be seen what is sealed.
    #[error("the store cannot be read to see what is sealed in it")]
    Unread(#[source] RangeError),
}

impl AnyStore {
    /// Whether other control planes may use the same store.
    pub const fn is_shared(&self) -> bool {
        matches!(self.raw, RawStore::Etcd(_))
    }

    /// Opens the store `spec` names, sealed by `source`.
    pub async fn open(spec: &StoreSpec, source: SealSource) -> Result<Self, OpenError> {
        let own = match (&source, spec) {
            (SealSource::Own, StoreSpec::Etcd(_)) => return Err(OpenError::NoSealKey),
            (SealSource::Own, StoreSpec::Embedded(directory)) => Some(directory.clone()),
            _ => None,
        };
        let raw = match spec {
            StoreSpec::Memory => RawStore::Memory(Memory::default()),
            StoreSpec::Embedded(directory) => RawStore::Embedded(Embedded::open(directory).await?),
            StoreSpec::Etcd(address) => RawStore::Etcd(Etcd::open(address).await?),
        };
        let seal = match (source, own) {
            (SealSource::Keys(keys), _) => Some(keys),
            (_, Some(directory)) => {
                let sealed_with = some_seal(&raw).await.map_err(OpenError::Unread)?;
                Some(seal::own(&directory, sealed_with)?)
            }
            (SealSource::Unsealed, None) => {
                warn!("--unsealed: who can read the store can read the secrets in it");
                None
            }
            (SealSource::Own, None) => None,
        };
        Ok(Self { raw, seal })
    }

    /// Lets go of what the store holds outside this process, when what is under way is done.
    pub async fn close(&self) {
        match &self.raw {
            RawStore::Memory(_) => {}
            RawStore::Embedded(store) => store.close().await,
            RawStore::Etcd(store) => store.close().await,
        }
    }

    /// The store below, where values are as they are stored.
    pub(crate) fn raw(&self) -> RawStore {
        self.raw.clone()
    }

    /// Whether a value, as it is stored under `key`, can be read.
    pub(crate) fn opens(&self, key: &StoreKey, value: &Bytes) -> Result<(), RangeError> {
        let none = StoreRevision::NONE;
        self.open_value(&mut Entry {
            key: key.clone(),
            value: value.clone(),
            created: none,
            modified: none,
            lease: None,
        })
    }

    /// A store in memory, sealed with `keys`.
    #[cfg(test)]
    pub(crate) fn in_memory(keys: Option<&str>) -> Self {
        Self {
            raw: RawStore::Memory(Memory::default()),
            seal: keys.map(|keys| keys.parse().expect("seal keys")),
        }
    }

    /// The plain value of an entry.
    fn open_value(&self, entry: &mut Entry) -> Result<(), RangeError> {
        if !Key::is_sealed(&entry.key) || seal::sealed_with(&entry.value).is_none() {
            return Ok(());
        }
        let opened = seal::open(self.seal.as_ref(), entry.key.as_bytes(), &entry.value);
        entry.value = opened
            .map_err(|source| RangeError::Sealed {
                key: entry.key.clone(),
                source,
            })?
            .into();
        Ok(())
    }
}

/// The key of one of the sealed values, if there are any.
async fn some_seal(raw: &RawStore) -> Result<Option<SealKeyId>, RangeError> {
    for range in Key::sealed() {
        let page = raw.range(RangeRequest::new(range).limit(1)).await?;
        let entry = page.entries.first();
        if let Some(id) = entry.and_then(|entry| seal::sealed_with(&entry.value)) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Passes a call on to the backend.
macro_rules! backend {
    ($any:expr, $store:ident => $call:expr) => {
        match $any {
            RawStore::Memory($store) => $call.await,
            RawStore::Embedded($store) => $call.await,
            RawStore::Etcd($store) => $call.await,
        }
    };
}

impl Store for RawStore {
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

impl Store for AnyStore {
    async fn range(&self, request: RangeRequest) -> Result<Page, RangeError> {
        let has_values = !request.keys_only;
        let mut page = self.raw.range(request).await?;
        if has_values {
            for entry in &mut page.entries {
                self.open_value(entry)?;
            }
        }
        Ok(page)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, CommitError> {
        // Its limits are those of the plain values: who packs transactions knows no seals.
        txn.check()?;
        let txn = match &self.seal {
            None => txn,
            Some(keys) => {
                let sealed = txn.sealed(|key, value| sealed(keys, key, value));
                sealed.map_err(|error| CommitError::Unavailable(BackendFailure::new(error)))?
            }
        };
        self.raw.txn(txn).await
    }

    async fn watch(&self, range: KeyRange, from: StoreRevision) -> Result<Watch, WatchEnd> {
        self.raw.watch(range, from).await
    }

    async fn compact(&self, at: StoreRevision) -> Result<(), CompactError> {
        self.raw.compact(at).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, LeaseError> {
        self.raw.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.raw.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.raw.revoke(lease).await
    }
}

/// A value as it is stored, if it is sealed.
fn sealed(keys: &SealKeys, key: &StoreKey, value: &Bytes) -> Result<Option<Bytes>, NoRandomness> {
    if !Key::is_sealed(key) {
        return Ok(None);
    }
    Ok(Some(keys.seal(key.as_bytes(), value)?.into()))
}

#[cfg(test)]
mod tests;
