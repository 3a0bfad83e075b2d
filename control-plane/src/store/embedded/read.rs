//! Reading the file.

use agix_core::limits::STORE_PAGE_BYTES;
use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::failed::{Failed, failed};
use super::tables::{COMPACTED, HEAD, LEASES, LOG, META, VERSIONS, Version, number};
use crate::store::watch::Watcher;
use crate::store::{
    Commit, LeaseError, LeaseId, Page, RangeError, RangeRequest, StoreKey, StoreRevision, WatchEnd,
};

/// The newest revision, and the one up to which the past is gone.
fn bounds(txn: &ReadTransaction) -> Result<(StoreRevision, StoreRevision), Failed> {
    let meta = txn.open_table(META).map_err(failed)?;
    let head = number(&meta, HEAD).map_err(failed)?;
    let compacted = number(&meta, COMPACTED).map_err(failed)?;
    Ok((StoreRevision::new(head), StoreRevision::new(compacted)))
}

/// A page of a range.
pub(super) fn range(txn: &ReadTransaction, request: &RangeRequest) -> Result<Page, RangeError> {
    let (head, compacted) = bounds(txn)?;
    let revision = request.at.unwrap_or(head);
    if revision > head {
        return Err(RangeError::Future { head });
    }
    if revision < compacted {
        return Err(RangeError::Compacted { begins: compacted });
    }
    let mut page = PageInProgress {
        limit: request.limit,
        bytes: 0,
        page: Page {
            revision,
            entries: Vec::new(),
            next: None,
        },
    };
    if request.range.is_empty() {
        return Ok(page.page);
    }
    let versions = txn.open_table(VERSIONS).map_err(failed)?;
    let start = (request.range.start().as_bytes(), 0);
    let rows = match request.range.end() {
        Some(end) => versions.range(start..(end.as_bytes(), 0)),
        None => versions.range(start..),
    };
    let mut current: Option<(StoreKey, StoreRevision, Version)> = None;
    for row in rows.map_err(failed)? {
        let (place, version) = row.map_err(failed)?;
        let (key, modified) = place.value();
        if current
            .as_ref()
            .is_none_or(|(seen, ..)| seen.as_bytes() != key)
        {
            // Versions of a key are in the order of their revisions: the last one seen counts.
            if !page.take(current.take()) {
                return Ok(page.page);
            }
        }
        if modified <= revision.number() {
            let version = Version::decode(version.value(), !request.keys_only).map_err(failed)?;
            let key = match current.take() {
                Some((key, ..)) => key,
                None => StoreKey::new(key.to_vec()),
            };
            current = Some((key, StoreRevision::new(modified), version));
        }
    }
    page.take(current);
    Ok(page.page)
}

struct PageInProgress {
    limit: usize,
    bytes: usize,
    page: Page,
}

impl PageInProgress {
    /// Adds what is live; `false` if the page was full before.
    fn take(&mut self, version: Option<(StoreKey, StoreRevision, Version)>) -> bool {
        let entry = version.and_then(|(key, modified, version)| version.into_entry(key, modified));
        let Some(entry) = entry else {
            return true;
        };
        if self.page.entries.len() >= self.limit || self.bytes >= STORE_PAGE_BYTES {
            self.page.next = Some(entry.key);
            return false;
        }
        self.bytes = self.bytes.saturating_add(entry.value.len());
        self.page.entries.push(entry);
        true
    }
}

/// Sends `watcher` the commits from `from` on.
pub(super) fn catch_up(
    txn: &ReadTransaction,
    watcher: &Watcher,
    from: StoreRevision,
) -> Result<(), WatchEnd> {
    let (_, compacted) = bounds(txn)?;
    if from <= compacted && compacted > StoreRevision::NONE {
        return Err(WatchEnd::Compacted { at: compacted });
    }
    let log = txn.open_table(LOG).map_err(failed)?;
    let versions = txn.open_table(VERSIONS).map_err(failed)?;
    let mut commit: Option<Commit> = None;
    for row in log.range((from.number(), 0)..).map_err(failed)? {
        let (place, key) = row.map_err(failed)?;
        let revision = StoreRevision::new(place.value().0);
        if commit
            .as_ref()
            .is_some_and(|open| open.revision != revision)
        {
            send(watcher, commit.take())?;
        }
        let key = StoreKey::new(key.value().to_vec());
        if watcher.wants(&key) {
            let row = versions.get((key.as_bytes(), revision.number()));
            let version = match row.map_err(failed)? {
                Some(bytes) => Version::decode(bytes.value(), true).map_err(failed)?,
                None => Version::Deleted,
            };
            let open = commit.get_or_insert_with(|| Commit {
                revision,
                events: Vec::new(),
            });
            open.events.push(version.into_event(key, revision));
        }
    }
    send(watcher, commit)
}

fn send(watcher: &Watcher, commit: Option<Commit>) -> Result<(), WatchEnd> {
    if commit.is_none_or(|commit| watcher.send(&commit).is_ok()) {
        Ok(())
    } else {
        Err(WatchEnd::Lagged)
    }
}

/// Whether `lease` has not ended.
pub(super) fn lease(database: &Database, lease: LeaseId) -> Result<(), LeaseError> {
    let txn = database.begin_read().map_err(failed)?;
    let leases = txn.open_table(LEASES).map_err(failed)?;
    match leases.get(lease.number()).map_err(failed)? {
        Some(_) => Ok(()),
        None => Err(LeaseError::Ended),
    }
}
