//! The tables opened for writing, and what is done to them.

use std::collections::BTreeSet;

use redb::{ReadableTable as _, StorageError, Table, TableError, WriteTransaction};

use crate::store::embedded::tables::{
    COMPACTED, HEAD, LEASED, LEASES, LOG, META, VERSIONS, Version, entry_at, number,
};
use crate::store::txn::Change;
use crate::store::{Commit, Entry, LeaseId, StoreKey, StoreRevision};

/// All tables of the store, within one transaction.
pub(super) struct Open<'txn> {
    pub(super) meta: Table<'txn, &'static str, u64>,
    pub(super) leases: Table<'txn, u64, ()>,
    pub(super) leased: Table<'txn, (u64, &'static [u8]), ()>,
    versions: Table<'txn, (&'static [u8], u64), &'static [u8]>,
    log: Table<'txn, (u64, u32), &'static [u8]>,
}

impl<'txn> Open<'txn> {
    /// Opens the tables, or makes them.
    pub(super) fn new(txn: &'txn WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            meta: txn.open_table(META)?,
            leases: txn.open_table(LEASES)?,
            leased: txn.open_table(LEASED)?,
            versions: txn.open_table(VERSIONS)?,
            log: txn.open_table(LOG)?,
        })
    }

    /// The newest revision.
    pub(super) fn head(&self) -> Result<StoreRevision, StorageError> {
        Ok(StoreRevision::new(number(&self.meta, HEAD)?))
    }

    /// `key` as of `at`.
    pub(super) fn entry(
        &self,
        key: &StoreKey,
        at: StoreRevision,
    ) -> Result<Option<Entry>, StorageError> {
        entry_at(&self.versions, key, at)
    }

    /// The keys bound to `lease`.
    pub(super) fn bound_to(&self, lease: LeaseId) -> Result<Vec<StoreKey>, StorageError> {
        let lease = lease.number();
        let rows = self.leased.range((lease, &[][..])..)?;
        let mut keys = Vec::new();
        for row in rows {
            let (place, _) = row?;
            let (holder, key) = place.value();
            if holder != lease {
                break;
            }
            keys.push(StoreKey::new(key.to_vec()));
        }
        Ok(keys)
    }

    /// Makes the next revision of `changes`, no two of one key; `None` if there are none.
    pub(super) fn commit(
        &mut self,
        mut changes: Vec<Change>,
    ) -> Result<Option<Commit>, StorageError> {
        if changes.is_empty() {
            return Ok(None);
        }
        changes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let head = self.head()?;
        let revision = head.next();
        self.meta.insert(HEAD, revision.number())?;
        let mut events = Vec::with_capacity(changes.len());
        for (place, Change { key, value }) in (0..).zip(changes) {
            let before = self.entry(&key, head)?;
            if let Some(lease) = before.as_ref().and_then(|entry| entry.lease) {
                self.leased.remove((lease.number(), key.as_bytes()))?;
            }
            let version = match value {
                None => Version::Deleted,
                Some((value, lease)) => {
                    if let Some(lease) = lease {
                        self.leased.insert((lease.number(), key.as_bytes()), ())?;
                    }
                    Version::Live {
                        created: before.map_or(revision, |entry| entry.created),
                        lease,
                        value,
                    }
                }
            };
            let number = revision.number();
            self.versions
                .insert((key.as_bytes(), number), version.encode().as_slice())?;
            self.log.insert((number, place), key.as_bytes())?;
            events.push(version.into_event(key, revision));
        }
        Ok(Some(Commit { revision, events }))
    }

    /// Forgets what only revisions before `to` can see.
    pub(super) fn forget(&mut self, to: StoreRevision) -> Result<(), StorageError> {
        let mut touched = BTreeSet::new();
        let past = (0, 0)..=(to.number(), u32::MAX);
        for row in self.log.range(past.clone())? {
            touched.insert(StoreKey::new(row?.1.value().to_vec()));
        }
        self.log.retain_in(past, |_, _| false)?;
        for key in touched {
            let bytes = key.as_bytes();
            let is_live = self.entry(&key, to)?.map(|entry| entry.modified);
            // The version that was current at `to` stays, unless it says that the key is gone.
            self.versions
                .retain_in((bytes, 0)..=(bytes, to.number()), |(_, revision), _| {
                    is_live.is_some_and(|kept| kept.number() == revision)
                })?;
        }
        self.meta.insert(COMPACTED, to.number())?;
        Ok(())
    }
}
