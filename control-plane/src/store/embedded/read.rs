//! Reading the file.

use agix_core::limits::STORE_PAGE_BYTES;
use redb::{AccessGuard, Database, ReadTransaction, ReadableDatabase as _, StorageError};

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
    let rows = rows.map_err(failed)?;
    if request.descending {
        page.fill(rows.rev(), request)?;
    } else {
        page.fill(rows, request)?;
    }
    Ok(page.page)
}

/// A row of [`VERSIONS`].
type Row = (
    AccessGuard<'static, (&'static [u8], u64)>,
    AccessGuard<'static, &'static [u8]>,
);

struct PageInProgress {
    limit: usize,
    bytes: usize,
    page: Page,
}

impl PageInProgress {
    /// Takes the version of each key that counts at the revision of the page: the newest that is
    /// not newer. The versions of a key stand together.
    fn fill(
        &mut self,
        rows: impl Iterator<Item = Result<Row, StorageError>>,
        request: &RangeRequest,
    ) -> Result<(), Failed> {
        let at = self.page.revision.number();
        let mut current: Option<(StoreKey, StoreRevision, Version)> = None;
        for row in rows {
            let (place, version) = row.map_err(failed)?;
            let (key, modified) = place.value();
            let is_next = current.as_ref().is_none_or(|(it, ..)| it.as_bytes() != key);
            if is_next && !self.take(current.take()) {
                return Ok(());
            }
            let is_newer = current
                .as_ref()
                .is_none_or(|(_, it, _)| it.number() < modified);
            if modified <= at && is_newer {
                let version =
                    Version::decode(version.value(), !request.keys_only).map_err(failed)?;
                let key = StoreKey::new(key.to_vec());
                current = Some((key, StoreRevision::new(modified), version));
            }
        }
        self.take(current);
        Ok(())
    }

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
