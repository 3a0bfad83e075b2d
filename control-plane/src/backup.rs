//! The whole state of a store as one file, and back into another store.
//!
//! Rules this module keeps:
//! - A backup is what the store holds at one revision of it, without what belongs to processes: who
//!   owns what. Values stay as they are stored, so sealed ones stay sealed.
//! - A restore is all or nothing. [`Key::Restoring`] is put before anything else, with the ownerships
//!   gone, and goes in the transaction that makes the policy current. While it is there nobody can own
//!   or change anything, and every transaction of a restore is guarded by it.
//! - A restore that was cut off leaves that key, and can be begun again; one that is refused takes away
//!   what it has written.
//! - Terms go on: [`Key::TermBase`] is above every term of the store that was backed up, so proxies
//!   follow the ledger's new owner and claims on webhooks are not given twice.

mod format;
mod restore;
mod take;

#[cfg(test)]
mod tests;

pub(crate) use restore::{Begun, Restore, RestoreError, Restored};
pub(crate) use take::{BackupError, backup};

use crate::store::StoreKey;
use crate::store::keyspace::Key;

/// The key that keeps everybody out while a backup is restored.
fn restoring() -> StoreKey {
    Key::Restoring.encode()
}
