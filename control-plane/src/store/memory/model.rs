//! The state of a store and its rules, with nothing around it.

use std::collections::{BTreeMap, BTreeSet};

use agix_core::limits::STORE_PAGE_BYTES;
use bytes::Bytes;

use crate::store::txn::Change;
use crate::store::watch::{Watcher, Watchers};
use crate::store::{
    Commit, CommitError, CompactError, Entry, Event, KeyRange, LeaseError, LeaseId, Page,
    RangeError, RangeRequest, StoreKey, StoreRevision, Txn, TxnOutcome, Watch, WatchEnd, Write,
};

/// Every version of every key since the last compaction.
#[derive(Default)]
pub(super) struct Model {
    head: StoreRevision,
    compacted: StoreRevision,
    keys: BTreeMap<StoreKey, BTreeMap<StoreRevision, Version>>,
    log: BTreeMap<StoreRevision, BTreeSet<StoreKey>>,
    last_lease: u64,
    leases: BTreeMap<LeaseId, BTreeSet<StoreKey>>,
    watchers: Watchers,
}

/// What a commit made of a key; `None`: it deleted it.
type Version = Option<Live>;

struct Live {
    value: Bytes,
    created: StoreRevision,
    lease: Option<LeaseId>,
}

impl Model {
    pub(super) fn range(&self, request: &RangeRequest) -> Result<Page, RangeError> {
        let revision = request.at.unwrap_or(self.head);
        if revision > self.head {
            return Err(RangeError::Future { head: self.head });
        }
        if revision < self.compacted {
            return Err(RangeError::Compacted {
                begins: self.compacted,
            });
        }
        let mut page = Page {
            revision,
            entries: Vec::new(),
            next: None,
        };
        let mut bytes = 0_usize;
        let mut keys: Vec<&StoreKey> = self.keys_in(&request.range).collect();
        if request.descending {
            keys.reverse();
        }
        for key in keys {
            let Some(mut entry) = self.entry(key, revision) else {
                continue;
            };
            if request.keys_only {
                entry.value = Bytes::new();
            }
            if page.entries.len() >= request.limit || bytes >= STORE_PAGE_BYTES {
                page.next = Some(key.clone());
                break;
            }
            bytes = bytes.saturating_add(entry.value.len());
            page.entries.push(entry);
        }
        Ok(page)
    }

    pub(super) fn txn(&mut self, txn: &Txn) -> Result<TxnOutcome, CommitError> {
        let current = |key| self.entry(key, self.head);
        if !txn
            .guards()
            .iter()
            .all(|guard| guard.holds(current(guard.key()).as_ref()))
        {
            return Ok(TxnOutcome::GuardFailed {
                revision: self.head,
            });
        }
        for write in txn.writes() {
            if let Write::Put {
                lease: Some(lease), ..
            } = write
                && !self.leases.contains_key(lease)
            {
                return Err(CommitError::LeaseEnded);
            }
        }
        let changes = txn.writes().iter().filter_map(|write| match write {
            Write::Put { key, value, lease } => Some(Change {
                key: key.clone(),
                value: Some((value.clone(), *lease)),
            }),
            Write::Delete(key) => current(key).map(|_| Change::delete(key.clone())),
        });
        let changes: Vec<_> = changes.collect();
        self.commit(changes);
        Ok(TxnOutcome::Committed {
            revision: self.head,
        })
    }

    pub(super) fn watch(
        &mut self,
        range: KeyRange,
        from: StoreRevision,
    ) -> Result<Watch, WatchEnd> {
        if from <= self.compacted && self.compacted > StoreRevision::NONE {
            return Err(WatchEnd::Compacted { at: self.compacted });
        }
        let (watcher, watch) = Watcher::new(range, from);
        for (revision, keys) in self.log.range(from..) {
            let wanted = keys.iter().filter(|key| watcher.wants(key));
            let commit = Commit {
                revision: *revision,
                events: wanted.map(|key| self.event(key, *revision)).collect(),
            };
            if watcher.send(&commit).is_err() {
                return Err(WatchEnd::Lagged);
            }
        }
        self.watchers.add(watcher);
        Ok(watch)
    }

    pub(super) fn compact(&mut self, at: StoreRevision) -> Result<(), CompactError> {
        if at > self.head {
            return Err(CompactError::Future { head: self.head });
        }
        if at <= self.compacted {
            return Ok(());
        }
        for versions in self.keys.values_mut() {
            let newest = versions.range(..=at).next_back();
            let Some((&newest, version)) = newest else {
                continue;
            };
            let keep_from = if version.is_some() {
                newest
            } else {
                newest.next()
            };
            *versions = versions.split_off(&keep_from);
        }
        self.keys.retain(|_, versions| !versions.is_empty());
        self.log = self.log.split_off(&at.next());
        self.compacted = at;
        Ok(())
    }

    pub(super) fn grant(&mut self) -> LeaseId {
        self.last_lease = self.last_lease.saturating_add(1);
        let lease = LeaseId::new(self.last_lease);
        self.leases.insert(lease, BTreeSet::new());
        lease
    }

    pub(super) fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        if self.leases.contains_key(&lease) {
            Ok(())
        } else {
            Err(LeaseError::Ended)
        }
    }

    pub(super) fn revoke(&mut self, lease: LeaseId) -> Result<(), LeaseError> {
        let keys = self.leases.remove(&lease).ok_or(LeaseError::Ended)?;
        self.commit(keys.into_iter().map(Change::delete).collect());
        Ok(())
    }

    /// Makes the next revision of `changes`, no two of one key.
    fn commit(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let revision = self.head.next();
        let touched: BTreeSet<StoreKey> = changes.iter().map(|change| change.key.clone()).collect();
        for Change { key, value } in changes {
            let before = self.entry(&key, self.head);
            if let Some(keys) = before
                .as_ref()
                .and_then(|entry| entry.lease)
                .and_then(|lease| self.leases.get_mut(&lease))
            {
                keys.remove(&key);
            }
            let version = value.map(|(value, lease)| Live {
                value,
                created: before.map_or(revision, |entry| entry.created),
                lease,
            });
            if let Some(keys) = version
                .as_ref()
                .and_then(|live| live.lease)
                .and_then(|lease| self.leases.get_mut(&lease))
            {
                keys.insert(key.clone());
            }
            self.keys.entry(key).or_default().insert(revision, version);
        }
        self.head = revision;
        let commit = Commit {
            revision,
            events: touched
                .iter()
                .map(|key| self.event(key, revision))
                .collect(),
        };
        self.log.insert(revision, touched);
        self.watchers.publish(&commit);
    }

    fn keys_in(&self, range: &KeyRange) -> impl Iterator<Item = &StoreKey> {
        let end = range.end().cloned();
        self.keys
            .range(range.start().clone()..)
            .map(|(key, _)| key)
            .take_while(move |key| end.as_ref().is_none_or(|end| *key < end))
    }

    /// `key` as of `at`.
    fn entry(&self, key: &StoreKey, at: StoreRevision) -> Option<Entry> {
        let (modified, version) = self.keys.get(key)?.range(..=at).next_back()?;
        let live = version.as_ref()?;
        Some(Entry {
            key: key.clone(),
            value: live.value.clone(),
            created: live.created,
            modified: *modified,
            lease: live.lease,
        })
    }

    /// What the commit `revision` did to `key`.
    fn event(&self, key: &StoreKey, revision: StoreRevision) -> Event {
        match self.entry(key, revision) {
            Some(entry) => Event::Put(entry),
            None => Event::Deleted(key.clone()),
        }
    }
}
