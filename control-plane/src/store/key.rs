//! Keys of the store as bytes, and ranges of them.

use std::fmt;

use bytes::Bytes;

/// A key as the store sees it. Made by [`super::keyspace`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey(Bytes);

/// The keys from a first one to a last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    start: StoreKey,
    /// The first key after the range; `None`: it reaches to the end.
    end: Option<StoreKey>,
}

impl StoreKey {
    /// Takes bytes as a key.
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first key after this one.
    fn successor(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len().saturating_add(1));
        bytes.extend_from_slice(&self.0);
        bytes.push(0);
        Self::new(bytes)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl KeyRange {
    /// `key` alone.
    pub fn one(key: &StoreKey) -> Self {
        Self {
            start: key.clone(),
            end: Some(key.successor()),
        }
    }

    /// From `start` up to, without, `end`.
    pub const fn between(start: StoreKey, end: StoreKey) -> Self {
        Self {
            start,
            end: Some(end),
        }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: &StoreKey) -> Self {
        let mut end = prefix.0.to_vec();
        // The first key after all that begin with the prefix: its last byte that can grow, grown.
        while let Some(last) = end.pop() {
            if let Some(grown) = last.checked_add(1) {
                end.push(grown);
                break;
            }
        }
        Self {
            start: prefix.clone(),
            end: (!end.is_empty()).then(|| StoreKey::new(end)),
        }
    }

    /// What of this range lies at or after `key`.
    #[must_use]
    pub fn starting_at(&self, key: StoreKey) -> Self {
        Self {
            start: key.max(self.start.clone()),
            end: self.end.clone(),
        }
    }

    /// What of this range lies after `key`.
    #[must_use]
    pub fn starting_after(&self, key: &StoreKey) -> Self {
        self.starting_at(key.successor())
    }

    /// What of this range lies before `key`.
    #[must_use]
    pub fn ending_before(&self, key: &StoreKey) -> Self {
        let end = match &self.end {
            Some(end) => key.clone().min(end.clone()),
            None => key.clone(),
        };
        Self {
            start: self.start.clone(),
            end: Some(end),
        }
    }

    /// What of this range lies at or before `key`.
    #[must_use]
    pub fn ending_with(&self, key: &StoreKey) -> Self {
        let after = key.successor();
        let end = match &self.end {
            Some(end) => after.min(end.clone()),
            None => after,
        };
        Self {
            start: self.start.clone(),
            end: Some(end),
        }
    }

    /// The first key the range may contain.
    pub const fn start(&self) -> &StoreKey {
        &self.start
    }

    /// The first key after the range; `None`: it reaches to the end.
    pub const fn end(&self) -> Option<&StoreKey> {
        self.end.as_ref()
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &StoreKey) -> bool {
        *key >= self.start && self.end.as_ref().is_none_or(|end| key < end)
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> StoreKey {
        StoreKey::new(bytes.to_vec())
    }

    #[test]
    fn a_prefix_contains_what_begins_with_it_and_nothing_else() {
        let range = KeyRange::prefix(&key(b"a/"));
        assert!(range.contains(&key(b"a/")) && range.contains(&key(b"a/\xff\xff")));
        assert!(!range.contains(&key(b"a")) && !range.contains(&key(b"a0")));
        let range = KeyRange::prefix(&key(b"a\xff\xff"));
        assert!(range.contains(&key(b"a\xff\xff\x01")) && !range.contains(&key(b"b")));
        assert!(KeyRange::prefix(&key(b"\xff")).contains(&key(b"\xff\xff")));
    }

    #[test]
    fn one_key_is_one_key() {
        let range = KeyRange::one(&key(b"a"));
        assert!(range.contains(&key(b"a")));
        assert!(!range.contains(&key(b"a\0")) && !range.contains(&key(b"`")));
        assert!(range.starting_at(key(b"b")).is_empty());
        assert!(!range.ending_with(&key(b"b")).contains(&key(b"b")));
        assert!(range.ending_with(&key(b"a")).contains(&key(b"a")));
        assert!(range.ending_before(&key(b"a")).is_empty());
        assert!(range.starting_after(&key(b"a")).is_empty());
        assert!(range.starting_after(&key(b"Z")).contains(&key(b"a")));
    }
}
