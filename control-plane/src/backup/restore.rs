//! Putting the state of another store into an empty one.

use std::error::Error;

use agix_core::audit::Act;
use agix_core::id::Revision;
use agix_core::limits::{LEDGER_OWNERSHIP, STORE_TXN_BYTES, STORE_TXN_OPERATIONS};
use bytes::Bytes;
use tracing::{info, warn};

use super::format::{Frame, InvalidBackup, Reader, Stored};
use super::restoring;
use crate::acts::{ActsError, End};
use crate::ledger::SHARD;
use crate::repository::{InvalidRecord, Settled, decode_head, settle};
use crate::store::keyspace::{Key, UnknownKey};
use crate::store::{
    AnyStore, CommitError, Guard, LeaseError, RangeError, RangeRequest, RawStore, Store as _,
    StoreKey, StoreRevision, Txn,
};

/// Writes of one transaction beside its guard.
const BATCH: usize = STORE_TXN_OPERATIONS - 1;
/// Bytes of one, with room for the guard.
const BATCH_BYTES: usize = STORE_TXN_BYTES - 4 * 1024;

/// A restore that has begun.
#[derive(Debug)]
pub(crate) struct Restore {
    store: AnyStore,
    raw: RawStore,
    /// The commit that put the key that keeps everybody else out.
    begun: StoreRevision,
    reader: Reader,
    batch: Vec<(StoreKey, Bytes)>,
    batch_bytes: usize,
    head: Option<Bytes>,
    terms: u64,
    ended: bool,
    restored: Restored,
}

/// Whether a restore could begin.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It has begun.
    Restore(Box<Restore>),
    /// There is something in the store, which is left as it is.
    NotEmpty(String),
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Restored {
    /// The revision of the policy that is current now.
    pub(crate) revision: Option<Revision>,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// Why a state could not be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// The file is none, or not as it was written.
    #[error("the file cannot be restored")]
    File(#[from] InvalidBackup),
    /// It has something this version does not know.
    #[error("the backup was made by a later version of agix")]
    Unknown(#[source] UnknownKey),
    /// A sealed value cannot be opened with the keys of this control plane, or was changed.
    #[error("the backup cannot be used with the seal key of this control plane")]
    Sealed(#[source] RangeError),
    /// The policy's head is malformed.
    #[error("the backup names no current policy")]
    Head(#[source] InvalidRecord),
    /// Its terms are no numbers that can be counted on from.
    #[error("the backup counts terms up to {0}, more than any store had")]
    Terms(u64),
    /// The store could not be read.
    #[error("the store cannot be read")]
    Read(#[source] RangeError),
    /// The store could not be written.
    #[error("the store cannot be written")]
    Write(#[source] CommitError),
    /// The owners of what is in the store could not be ended.
    #[error("the store cannot be taken from its owners")]
    Depose(#[source] LeaseError),
    /// The chain of administrative acts cannot be gone on with.
    #[error("the record of the restore cannot be added to that of the backup")]
    Acts(#[source] ActsError),
    /// Another restore has begun meanwhile.
    #[error("another restore into this store has begun meanwhile")]
    Overtaken,
}

/// Terms that leave room for all claims they are the upper part of.
const MOST_TERMS: u64 = 1 << 39;

impl Restore {
    /// Begins, if there is nothing in the store, or half of what another restore has left.
    pub(crate) async fn begin(store: AnyStore) -> Result<Begun, RestoreError> {
        let seen = store.get(&restoring()).await.map_err(RestoreError::Read)?;
        if seen.is_none()
            && let Some(holds) = holds(&store).await.map_err(RestoreError::Read)?
        {
            return Ok(Begun::NotEmpty(holds));
        }
        let name = Bytes::from(format!("{:032x}", fastrand::u128(..)));
        let txn = Txn::new()
            .unchanged(&restoring(), seen.as_ref())
            .absent(&Key::PolicyHead.encode())
            .put(&restoring(), name.clone());
        let settled = settle(&store, &txn).await.map_err(RestoreError::Write)?;
        let begun = match settled {
            Settled::Committed(revision) => revision,
            Settled::Refused | Settled::MaybeCommitted => {
                let now = store.get(&restoring()).await.map_err(RestoreError::Read)?;
                match now.filter(|entry| entry.value == name) {
                    Some(entry) => entry.modified,
                    None => return Err(RestoreError::Overtaken),
                }
            }
        };
        warn!("a restore into the store has begun; nothing else is served until it is done");
        let restore = Self {
            raw: store.raw(),
            store,
            begun,
            reader: Reader::default(),
            batch: Vec::new(),
            batch_bytes: 0,
            head: None,
            terms: 0,
            ended: false,
            restored: Restored::default(),
        };
        restore.depose().await?;
        restore.clear().await?;
        Ok(Begun::Restore(Box::new(restore)))
    }

    /// Ends all ownerships, and waits until every owner knows: one that is not told by the store has
    /// given up by then.
    async fn depose(&self) -> Result<(), RestoreError> {
        let mut owners = false;
        for key in [Key::ShardOwner(SHARD), Key::WebhookOwner] {
            let owner = self.store.get(&key.encode()).await;
            let Some(lease) = owner.map_err(RestoreError::Read)?.and_then(|it| it.lease) else {
                continue;
            };
            owners = true;
            match self.store.revoke(lease).await {
                Ok(()) | Err(LeaseError::Ended) => {}
                Err(error) => return Err(RestoreError::Depose(error)),
            }
        }
        if owners {
            tokio::time::sleep(LEDGER_OWNERSHIP).await;
        }
        Ok(())
    }

    /// Takes in the next bytes of the file.
    pub(crate) async fn take(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.reader.feed(bytes);
        while let Some(frame) = self.reader.next()? {
            match frame {
                Frame::Head(head) if head.terms < MOST_TERMS => self.terms = head.terms,
                Frame::Head(head) => return Err(RestoreError::Terms(head.terms)),
                Frame::Entry(entry) => self.add(entry).await?,
                Frame::End => self.ended = true,
            }
        }
        Ok(())
    }

    /// Makes what was restored the state of the store, and adds the record of that act to its chain.
    pub(crate) async fn finish(
        mut self,
        act: Option<Act>,
    ) -> Result<Restored, (Box<Self>, RestoreError)> {
        match self.make_current(act).await {
            Ok(restored) => {
                info!(
                    entries = restored.entries,
                    bytes = restored.bytes,
                    "the store was restored"
                );
                Ok(restored)
            }
            Err(error) => Err((Box::new(self), error)),
        }
    }

    /// Takes away what was written, so that the store is empty again.
    pub(crate) async fn abandon(self) {
        let cleared = async {
            self.clear().await?;
            self.write(Txn::new().delete(&restoring())).await
        };
        match cleared.await {
            Ok(()) => info!("the restore was given up; the store is empty again"),
            Err(error) => {
                let error: &dyn Error = &error;
                warn!(
                    error,
                    "a restore was given up and could not be cleared away: restore again"
                );
            }
        }
    }

    async fn make_current(&mut self, act: Option<Act>) -> Result<Restored, RestoreError> {
        self.reader.finish()?;
        self.flush().await?;
        let head = self.head.take();
        let revision = head.as_deref().map(decode_head).transpose();
        self.restored.revision = revision.map_err(RestoreError::Head)?;
        let mut txn = Txn::new()
            .delete(&restoring())
            .put(&Key::TermBase.encode(), self.terms.to_string());
        if let Some(head) = head {
            txn = txn.put(&Key::PolicyHead.encode(), head);
        }
        if let Some(act) = act {
            let end = End::look(&self.raw).await.map_err(RestoreError::Acts)?;
            txn = end.record(txn, act);
        }
        let guarded = txn.only_if(self.fence());
        match settle(&self.raw, &guarded).await {
            Ok(Settled::Committed(_)) => Ok(self.restored),
            // The key is gone: it was an earlier try that has taken it away, if nobody began anew.
            Ok(Settled::MaybeCommitted) => {
                let now = self.store.get(&restoring()).await;
                match now.map_err(RestoreError::Read)? {
                    None => Ok(self.restored),
                    Some(_) => Err(RestoreError::Overtaken),
                }
            }
            Ok(Settled::Refused) => Err(RestoreError::Overtaken),
            Err(error) => Err(RestoreError::Write(error)),
        }
    }

    async fn add(&mut self, entry: Stored) -> Result<(), RestoreError> {
        let Stored { key, value } = entry;
        let known = Key::from_bytes(key).map_err(RestoreError::Unknown)?;
        let key = known.encode();
        let bytes = key.as_bytes().len().saturating_add(value.len());
        let size = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.restored.entries = self.restored.entries.saturating_add(1);
        self.restored.bytes = self.restored.bytes.saturating_add(size);
        self.store
            .opens(&key, &value)
            .map_err(RestoreError::Sealed)?;
        match known {
            // The last of all.
            Key::PolicyHead => self.head = Some(value),
            Key::Restoring | Key::TermBase | Key::ShardOwner(_) | Key::WebhookOwner => {
                return Err(InvalidBackup::Order.into());
            }
            _ => {
                if self.batch.len() >= BATCH || self.batch_bytes.saturating_add(bytes) > BATCH_BYTES
                {
                    self.flush().await?;
                }
                self.batch_bytes = self.batch_bytes.saturating_add(bytes);
                self.batch.push((key, value));
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), RestoreError> {
        self.batch_bytes = 0;
        let puts = std::mem::take(&mut self.batch).into_iter();
        let txn = puts.fold(Txn::new(), |txn, (key, value)| txn.put(&key, value));
        self.write(txn).await
    }

    /// Deletes everything but the key of the restore.
    async fn clear(&self) -> Result<(), RestoreError> {
        let mut request = Some(RangeRequest::new(Key::all()).keys_only());
        while let Some(next) = request {
            let page = self.raw.range(next.clone()).await;
            let page = page.map_err(RestoreError::Read)?;
            request = next.after(&page);
            let keys = page.entries.iter().map(|entry| &entry.key);
            let others: Vec<_> = keys.filter(|key| **key != restoring()).collect();
            for some in others.chunks(BATCH) {
                let txn = some.iter().fold(Txn::new(), |txn, key| txn.delete(key));
                self.write(txn).await?;
            }
        }
        Ok(())
    }

    /// Carries out writes that do no harm if they are carried out again.
    async fn write(&self, txn: Txn) -> Result<(), RestoreError> {
        if txn.writes().is_empty() {
            return Ok(());
        }
        match settle(&self.raw, &txn.only_if(self.fence())).await {
            Ok(Settled::Committed(_)) => Ok(()),
            Ok(Settled::Refused | Settled::MaybeCommitted) => Err(RestoreError::Overtaken),
            Err(error) => Err(RestoreError::Write(error)),
        }
    }

    /// Holds until this restore is over or another one has begun.
    fn fence(&self) -> Guard {
        Guard::Modified(restoring(), self.begun)
    }
}

/// What is in the store, if there is something that a restore would lose.
async fn holds(store: &AnyStore) -> Result<Option<String>, RangeError> {
    if let Some(head) = store.get(&Key::PolicyHead.encode()).await? {
        let revision = decode_head(&head.value).unwrap_or_default();
        return Ok(Some(format!("a policy at revision {revision}")));
    }
    let executions = RangeRequest::new(Key::webhook_executions()).limit(1);
    let executions = store.range(executions.keys_only()).await?;
    Ok((!executions.entries.is_empty()).then(|| "webhooks".to_owned()))
}
