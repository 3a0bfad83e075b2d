//! Reading ranges.

use std::fmt;

use agix_core::limits::STORE_PAGE_ENTRIES;
use bytes::Bytes;

use super::{KeyRange, LeaseId, StoreKey, StoreRevision};

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRequest {
    /// The keys.
    pub range: KeyRange,
    /// As of when; `None`: now.
    pub at: Option<StoreRevision>,
    /// Most entries of the page.
    pub limit: usize,
    /// Leave the values out.
    pub keys_only: bool,
    /// Begin with the last key.
    pub descending: bool,
}

/// A key and what is stored under it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: StoreKey,
    /// The value; empty if only keys were asked for.
    pub value: Bytes,
    /// The commit that put the key where none was: a fencing token for who put it.
    pub created: StoreRevision,
    /// The commit that put this value.
    pub modified: StoreRevision,
    /// The lease that keeps it.
    pub lease: Option<LeaseId>,
}

/// A part of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The revision that was read.
    pub revision: StoreRevision,
    /// Entries in the order asked for.
    pub entries: Vec<Entry>,
    /// Where the range goes on; `None`: nowhere. See [`RangeRequest::after`].
    pub next: Option<StoreKey>,
}

impl fmt::Debug for Entry {
    /// Without the value, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            created,
            modified,
            lease,
        } = self;
        f.debug_struct("Entry")
            .field("key", key)
            .field("value_bytes", &value.len())
            .field("created", created)
            .field("modified", modified)
            .field("lease", lease)
            .finish()
    }
}

impl RangeRequest {
    /// `range` as it is now, with values.
    pub const fn new(range: KeyRange) -> Self {
        Self {
            range,
            at: None,
            limit: STORE_PAGE_ENTRIES,
            keys_only: false,
            descending: false,
        }
    }

    /// As of the revision `at`.
    #[must_use]
    pub const fn at(mut self, at: StoreRevision) -> Self {
        self.at = Some(at);
        self
    }

    /// At most `limit` entries, and never more than [`STORE_PAGE_ENTRIES`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, STORE_PAGE_ENTRIES);
        self
    }

    /// Without the values.
    #[must_use]
    pub const fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    /// From the last key to the first.
    #[must_use]
    pub const fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// The request for what follows `page`.
    #[must_use]
    pub fn after(&self, page: &Page) -> Option<Self> {
        let next = page.next.clone()?;
        let range = if self.descending {
            self.range.ending_with(&next)
        } else {
            self.range.starting_at(next)
        };
        Some(Self {
            range,
            at: Some(page.revision),
            ..self.clone()
        })
    }
}
