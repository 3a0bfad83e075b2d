//! Writing the file. Each function is one transaction of redb, synced before it returns.

mod open;

use std::collections::BTreeSet;

use agix_core::limits::STORE_COMPACT_STEP;
use redb::{Database, ReadableTable as _, StorageError};

use self::open::Open;
use super::failed::failed;
use super::tables::{COMPACTED, LAST_LEASE, SCHEMA, SCHEMA_VERSION, number};
use crate::store::txn::Change;
use crate::store::watch::Watchers;
use crate::store::{
    BackendFailure, CommitError, CompactError, LeaseError, LeaseId, StoreKey, StoreRevision, Txn,
    TxnOutcome, Write,
};

/// How far a compaction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compaction {
    Done,
    Unfinished,
}

impl Compaction {
    pub(super) const fn is_done(self) -> bool {
        matches!(self, Self::Done)
    }
}

/// Makes the tables of a new store.
pub(super) fn set_up(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    Open::new(&txn)?.meta.insert(SCHEMA, SCHEMA_VERSION)?;
    txn.commit()?;
    Ok(())
}

/// Ends the leases of the process before this one.
pub(super) fn end_leases(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    let mut open = Open::new(&txn)?;
    open.leases.retain(|_, ()| false)?;
    let mut keys = BTreeSet::new();
    for row in open.leased.iter()? {
        let (place, _) = row?;
        keys.insert(StoreKey::new(place.value().1.to_vec()));
    }
    open.commit(keys.into_iter().map(Change::delete).collect())?;
    drop(open);
    txn.commit()?;
    Ok(())
}

/// Carries out a transaction that was checked.
pub(super) fn txn(
    database: &Database,
    watchers: &mut Watchers,
    request: &Txn,
) -> Result<TxnOutcome, CommitError> {
    let txn = database.begin_write().map_err(failed)?;
    let mut open = Open::new(&txn).map_err(failed)?;
    let revision = open.head().map_err(failed)?;
    let changes = match decide(&open, request, revision).map_err(failed)? {
        Decision::Change(changes) => changes,
        Decision::GuardFailed => return Ok(TxnOutcome::GuardFailed { revision }),
        Decision::LeaseEnded => return Err(CommitError::LeaseEnded),
    };
    let commit = open.commit(changes).map_err(failed)?;
    drop(open);
    let Some(commit) = commit else {
        return Ok(TxnOutcome::Committed { revision });
    };
    txn.commit()
        .map_err(|error| CommitError::OutcomeUnknown(BackendFailure::new(error)))?;
    watchers.publish(&commit);
    Ok(TxnOutcome::Committed {
        revision: commit.revision,
    })
}

enum Decision {
    Change(Vec<Change>),
    GuardFailed,
    LeaseEnded,
}

fn decide(open: &Open<'_>, request: &Txn, head: StoreRevision) -> Result<Decision, StorageError> {
    for guard in request.guards() {
        if !guard.holds(open.entry(guard.key(), head)?.as_ref()) {
            return Ok(Decision::GuardFailed);
        }
    }
    let mut changes = Vec::with_capacity(request.writes().len());
    for write in request.writes() {
        match write {
            Write::Put { key, value, lease } => {
                if let Some(lease) = lease
                    && open.leases.get(lease.number())?.is_none()
                {
                    return Ok(Decision::LeaseEnded);
                }
                changes.push(Change {
                    key: key.clone(),
                    value: Some((value.clone(), *lease)),
                });
            }
            Write::Delete(key) if open.entry(key, head)?.is_some() => {
                changes.push(Change::delete(key.clone()));
            }
            Write::Delete(_) => {}
        }
    }
    Ok(Decision::Change(changes))
}

/// Compacts some revisions further towards `at`.
pub(super) fn compact_step(
    database: &Database,
    at: StoreRevision,
) -> Result<Compaction, CompactError> {
    let step = || {
        let txn = database.begin_write()?;
        let mut open = Open::new(&txn)?;
        let head = open.head()?;
        let compacted = number(&open.meta, COMPACTED)?;
        if at > head || at.number() <= compacted {
            return Ok((Compaction::Done, head));
        }
        let to = at
            .number()
            .min(compacted.saturating_add(STORE_COMPACT_STEP));
        open.forget(StoreRevision::new(to))?;
        drop(open);
        txn.commit()?;
        let progress = if to == at.number() {
            Compaction::Done
        } else {
            Compaction::Unfinished
        };
        Ok::<_, redb::Error>((progress, head))
    };
    let (progress, head) = step().map_err(failed)?;
    if at > head {
        Err(CompactError::Future { head })
    } else {
        Ok(progress)
    }
}

/// Makes a lease.
pub(super) fn grant(database: &Database) -> Result<LeaseId, LeaseError> {
    let grant = || {
        let txn = database.begin_write()?;
        let mut open = Open::new(&txn)?;
        let lease = number(&open.meta, LAST_LEASE)?.saturating_add(1);
        open.meta.insert(LAST_LEASE, lease)?;
        open.leases.insert(lease, ())?;
        drop(open);
        txn.commit()?;
        Ok::<_, redb::Error>(LeaseId::new(lease))
    };
    Ok(grant().map_err(failed)?)
}

/// Ends a lease and deletes what is bound to it.
pub(super) fn revoke(
    database: &Database,
    watchers: &mut Watchers,
    lease: LeaseId,
) -> Result<(), LeaseError> {
    let revoke = || {
        let txn = database.begin_write()?;
        let mut open = Open::new(&txn)?;
        if open.leases.remove(lease.number())?.is_none() {
            return Ok(None);
        }
        let keys = open.bound_to(lease)?;
        let commit = open.commit(keys.into_iter().map(Change::delete).collect())?;
        drop(open);
        txn.commit()?;
        Ok::<_, redb::Error>(Some(commit))
    };
    let ended = revoke().map_err(failed)?;
    if let Some(commit) = ended.ok_or(LeaseError::Ended)? {
        watchers.publish(&commit);
    }
    Ok(())
}
