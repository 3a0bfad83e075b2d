//! The tables of the file and the form of their records. Frozen: what is stored stays readable.

use bytes::Bytes;
use redb::{ReadableTable, StorageError, TableDefinition};

use crate::store::{Entry, Event, LeaseId, StoreKey, StoreRevision};

/// Numbers of the store as a whole, see the constants below.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Every version of every key since the last compaction: (key, revision) to a [`Version`].
pub(super) const VERSIONS: TableDefinition<'_, (&[u8], u64), &[u8]> =
    TableDefinition::new("versions");
/// The keys each revision changed: (revision, place) to key.
pub(super) const LOG: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("log");
/// Leases that have not ended.
pub(super) const LEASES: TableDefinition<'_, u64, ()> = TableDefinition::new("leases");
/// The keys bound to leases: (lease, key).
pub(super) const LEASED: TableDefinition<'_, (u64, &[u8]), ()> = TableDefinition::new("leased");

/// In [`META`]: the form of the tables.
pub(super) const SCHEMA: &str = "schema";
/// In [`META`]: the newest revision.
pub(super) const HEAD: &str = "head";
/// In [`META`]: the revision up to which the past is gone.
pub(super) const COMPACTED: &str = "compacted";
/// In [`META`]: the last lease ever granted, so that none is named twice.
pub(super) const LAST_LEASE: &str = "last_lease";

/// The form of the tables written by this version.
pub(super) const SCHEMA_VERSION: u64 = 1;

const DELETED: u8 = 0;
const LIVE: u8 = 1;

/// What a commit made of a key.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Version {
    /// It took it away.
    Deleted,
    /// It put a value.
    Live {
        /// The commit that put the key where none was.
        created: StoreRevision,
        /// The lease the key is bound to.
        lease: Option<LeaseId>,
        /// The value.
        value: Bytes,
    },
}

impl Version {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Deleted => vec![DELETED],
            Self::Live {
                created,
                lease,
                value,
            } => {
                let mut bytes = Vec::with_capacity(value.len().saturating_add(17));
                bytes.push(LIVE);
                bytes.extend_from_slice(&created.number().to_be_bytes());
                // Leases are numbered from one, so zero is free to mean none.
                let lease = lease.map_or(0, LeaseId::number);
                bytes.extend_from_slice(&lease.to_be_bytes());
                bytes.extend_from_slice(value);
                bytes
            }
        }
    }

    /// Reads a version; without its value unless `with_value`.
    pub(super) fn decode(bytes: &[u8], with_value: bool) -> Result<Self, StorageError> {
        let corrupted = || StorageError::Corrupted("a version of a key is malformed".to_owned());
        let (&tag, rest) = bytes.split_first().ok_or_else(corrupted)?;
        match tag {
            DELETED if rest.is_empty() => Ok(Self::Deleted),
            LIVE => {
                let (created, rest) = rest.split_first_chunk().ok_or_else(corrupted)?;
                let (lease, value) = rest.split_first_chunk().ok_or_else(corrupted)?;
                let lease = u64::from_be_bytes(*lease);
                Ok(Self::Live {
                    created: StoreRevision::new(u64::from_be_bytes(*created)),
                    lease: (lease != 0).then(|| LeaseId::new(lease)),
                    value: if with_value {
                        Bytes::copy_from_slice(value)
                    } else {
                        Bytes::new()
                    },
                })
            }
            _ => Err(corrupted()),
        }
    }

    /// The version as what is stored under `key` since the commit `modified`.
    pub(super) fn into_entry(self, key: StoreKey, modified: StoreRevision) -> Option<Entry> {
        match self {
            Self::Deleted => None,
            Self::Live {
                created,
                lease,
                value,
            } => Some(Entry {
                key,
                value,
                created,
                modified,
                lease,
            }),
        }
    }

    /// The version as what the commit `revision` did to `key`.
    pub(super) fn into_event(self, key: StoreKey, revision: StoreRevision) -> Event {
        match self.into_entry(key.clone(), revision) {
            Some(entry) => Event::Put(entry),
            None => Event::Deleted(key),
        }
    }
}

/// A number of [`META`]; zero if it was never set.
pub(super) fn number(
    meta: &impl ReadableTable<&'static str, u64>,
    name: &'static str,
) -> Result<u64, StorageError> {
    Ok(meta.get(name)?.map_or(0, |number| number.value()))
}

/// What is stored under `key` as of `at`.
pub(super) fn entry_at(
    versions: &impl ReadableTable<(&'static [u8], u64), &'static [u8]>,
    key: &StoreKey,
    at: StoreRevision,
) -> Result<Option<Entry>, StorageError> {
    let bytes = key.as_bytes();
    let newest = versions
        .range((bytes, 0)..=(bytes, at.number()))?
        .next_back()
        .transpose()?;
    let Some((place, version)) = newest else {
        return Ok(None);
    };
    let modified = StoreRevision::new(place.value().1);
    Ok(Version::decode(version.value(), true)?.into_entry(key.clone(), modified))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_version_is_read_as_it_was_written(
            created in any::<u64>(),
            lease in proptest::option::of(1..u64::MAX),
            value in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let version = Version::Live {
                created: StoreRevision::new(created),
                lease: lease.map(LeaseId::new),
                value: value.into(),
            };
            prop_assert_eq!(Version::decode(&version.encode(), true).unwrap(), version);
        }

        #[test]
        fn foreign_bytes_are_refused_or_read_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Ok(version) = Version::decode(&bytes, true) {
                prop_assert_eq!(version.encode(), bytes);
            }
        }
    }
}
