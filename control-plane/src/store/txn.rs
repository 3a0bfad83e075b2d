//! Transactions: guards and writes.

use std::fmt;

use agix_core::limits::{
    STORE_KEY_BYTES, STORE_TXN_BYTES, STORE_TXN_OPERATIONS, STORE_VALUE_BYTES,
};
use bytes::Bytes;

use super::{Entry, LeaseId, StoreKey, StoreRevision};

/// Writes that happen together, if all guards hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Txn {
    guards: Vec<Guard>,
    writes: Vec<Write>,
    /// Bytes that seals have added to values: the room that requests of etcd have beside the
    /// limits of a transaction is theirs.
    seals: usize,
}

/// What must be true for a transaction to be carried out.
#[derive(Clone, PartialEq, Eq)]
pub enum Guard {
    /// There is no such key.
    Absent(StoreKey),
    /// The key was put by this commit where none was, and is there ever since.
    Created(StoreKey, StoreRevision),
    /// The key's value was put by this commit.
    Modified(StoreKey, StoreRevision),
    /// The key has this value.
    Value(StoreKey, Bytes),
}

/// One change.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put {
        /// The key.
        key: StoreKey,
        /// Its value.
        value: Bytes,
        /// The lease it is bound to; `None`: it stays until it is deleted.
        lease: Option<LeaseId>,
    },
    /// Takes a key away, if it is there.
    Delete(StoreKey),
}

/// What a commit does to a key.
pub(super) struct Change {
    pub(super) key: StoreKey,
    /// The new value and its lease; `None`: the key goes.
    pub(super) value: Option<(Bytes, Option<LeaseId>)>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnOutcome {
    /// It was carried out.
    Committed {
        /// The revision it made, or the current one if it changed nothing.
        revision: StoreRevision,
    },
    /// A guard did not hold; nothing was changed.
    GuardFailed {
        /// The revision at which it did not hold.
        revision: StoreRevision,
    },
}

/// Why no backend would take a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many guards and writes.
    #[error("a transaction has at most {STORE_TXN_OPERATIONS} guards and writes, not {0}")]
    TooManyOperations(usize),
    /// Too much to write.
    #[error("a transaction has at most {STORE_TXN_BYTES} bytes, not {0}")]
    TooLarge(usize),
    /// A value is too large.
    #[error("a value has at most {STORE_VALUE_BYTES} bytes, the one of {key} has {bytes}")]
    ValueTooLarge {
        /// Its key.
        key: StoreKey,
        /// Its length.
        bytes: usize,
    },
    /// A key is empty or too long.
    #[error("a key has 1 to {STORE_KEY_BYTES} bytes, not {0}")]
    KeyLength(usize),
    /// Two writes of one key.
    #[error("{0} is written twice in one transaction")]
    WrittenTwice(StoreKey),
}

impl Txn {
    /// A transaction that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if `guard` holds.
    pub fn only_if(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// Only if there is no `key`.
    pub fn absent(self, key: &StoreKey) -> Self {
        self.only_if(Guard::Absent(key.clone()))
    }

    /// Only if `key` is as `seen` found it: as the entry says, or absent.
    pub fn unchanged(self, key: &StoreKey, seen: Option<&Entry>) -> Self {
        self.only_if(match seen {
            Some(entry) => Guard::Modified(key.clone(), entry.modified),
            None => Guard::Absent(key.clone()),
        })
    }

    /// Sets `key` to `value`.
    pub fn put(mut self, key: &StoreKey, value: impl Into<Bytes>) -> Self {
        self.writes.push(Write::Put {
            key: key.clone(),
            value: value.into(),
            lease: None,
        });
        self
    }

    /// Sets `key` to `value` for as long as `lease` lasts.
    pub fn put_leased(mut self, key: &StoreKey, value: impl Into<Bytes>, lease: LeaseId) -> Self {
        self.writes.push(Write::Put {
            key: key.clone(),
            value: value.into(),
            lease: Some(lease),
        });
        self
    }

    /// Changes something.
    pub fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// Takes `key` away.
    pub fn delete(mut self, key: &StoreKey) -> Self {
        self.writes.push(Write::Delete(key.clone()));
        self
    }

    /// The same with what `seal` makes of the values it seals.
    pub(super) fn sealed<E>(
        mut self,
        seal: impl Fn(&StoreKey, &Bytes) -> Result<Option<Bytes>, E>,
    ) -> Result<Self, E> {
        for write in &mut self.writes {
            if let Write::Put { key, value, .. } = write
                && let Some(sealed) = seal(key, value)?
            {
                let added = sealed.len().saturating_sub(value.len());
                self.seals = self.seals.saturating_add(added);
                *value = sealed;
            }
        }
        Ok(self)
    }

    /// The guards.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The writes.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Whether every backend takes this transaction.
    pub fn check(&self) -> Result<(), Refused> {
        let operations = self.guards.len().saturating_add(self.writes.len());
        if operations > STORE_TXN_OPERATIONS {
            return Err(Refused::TooManyOperations(operations));
        }
        let mut bytes = 0_usize;
        for guard in &self.guards {
            check_key(guard.key())?;
            let value = match guard {
                Guard::Value(_, value) => value.len(),
                Guard::Absent(_) | Guard::Created(..) | Guard::Modified(..) => 0,
            };
            bytes = bytes.saturating_add(guard.key().as_bytes().len());
            bytes = bytes.saturating_add(value);
        }
        let mut written: Vec<&StoreKey> = Vec::with_capacity(self.writes.len());
        for write in &self.writes {
            check_key(write.key())?;
            if let Write::Put { key, value, .. } = write {
                if value.len() > STORE_VALUE_BYTES.saturating_add(self.seals) {
                    return Err(Refused::ValueTooLarge {
                        key: key.clone(),
                        bytes: value.len(),
                    });
                }
                bytes = bytes.saturating_add(value.len());
            }
            bytes = bytes.saturating_add(write.key().as_bytes().len());
            written.push(write.key());
        }
        if bytes > STORE_TXN_BYTES.saturating_add(self.seals) {
            return Err(Refused::TooLarge(bytes));
        }
        written.sort_unstable();
        let mut pairs = written.iter().zip(written.iter().skip(1));
        match pairs.find(|(one, other)| one == other) {
            Some((key, _)) => Err(Refused::WrittenTwice((*key).clone())),
            None => Ok(()),
        }
    }
}

impl Guard {
    /// The key it speaks of.
    pub const fn key(&self) -> &StoreKey {
        match self {
            Self::Absent(key)
            | Self::Created(key, _)
            | Self::Modified(key, _)
            | Self::Value(key, _) => key,
        }
    }

    /// Whether it holds if the key is as `current` says.
    pub fn holds(&self, current: Option<&Entry>) -> bool {
        match (self, current) {
            (Self::Absent(_), current) => current.is_none(),
            (Self::Created(_, at), Some(entry)) => entry.created == *at,
            (Self::Modified(_, at), Some(entry)) => entry.modified == *at,
            (Self::Value(_, value), Some(entry)) => entry.value == *value,
            (Self::Created(..) | Self::Modified(..) | Self::Value(..), None) => false,
        }
    }
}

impl Write {
    /// The key it changes.
    pub const fn key(&self) -> &StoreKey {
        match self {
            Self::Put { key, .. } | Self::Delete(key) => key,
        }
    }
}

// Values are left out: they may hold secrets.

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(key) => write!(f, "Absent({key})"),
            Self::Created(key, at) => write!(f, "Created({key}, {at})"),
            Self::Modified(key, at) => write!(f, "Modified({key}, {at})"),
            Self::Value(key, value) => write!(f, "Value({key}, {} bytes)", value.len()),
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value, lease } => {
                write!(f, "Put({key}, {} bytes, {lease:?})", value.len())
            }
            Self::Delete(key) => write!(f, "Delete({key})"),
        }
    }
}

impl Change {
    pub(super) const fn delete(key: StoreKey) -> Self {
        Self { key, value: None }
    }
}

fn check_key(key: &StoreKey) -> Result<(), Refused> {
    match key.as_bytes().len() {
        1..=STORE_KEY_BYTES => Ok(()),
        length => Err(Refused::KeyLength(length)),
    }
}
