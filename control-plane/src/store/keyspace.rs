//! The only place where keys of the store are made and read.
//!
//! A key is a path of ASCII text, numbers in hexadecimal of fixed width, so that keys sort as what
//! they name and people can read them. Prefixes are frozen: what is stored stays readable.
//!
//! | key | value |
//! | --- | --- |
//! | `agix/1/policy/head` | the current revision |
//! | `agix/1/policy/collection` | fence between applying and collecting unused chunks |
//! | `agix/1/policy/revision/<16 hex>` | what is known of a revision |
//! | `agix/1/policy/chunk/<64 hex>` | a part of policies, by its SHA-256 |
//! | `agix/1/shard/<4 hex>/owner` | who owns a shard of agents |

use std::fmt;
use std::str;

use agix_core::id::Revision;

use super::{KeyRange, StoreKey};

const POLICY_HEAD: &str = "agix/1/policy/head";
const POLICY_COLLECTION: &str = "agix/1/policy/collection";
const POLICY_REVISION: &str = "agix/1/policy/revision/";
const POLICY_CHUNK: &str = "agix/1/policy/chunk/";
const SHARD: &str = "agix/1/shard/";
const OWNER: &str = "/owner";

/// Every key agix stores something under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The current revision of the policy.
    PolicyHead,
    /// Changed by each collection of unused chunks, so that an apply under way notices it.
    PolicyCollection,
    /// What is known of one revision of the policy.
    PolicyRevision(Revision),
    /// A part of one or many policies.
    PolicyChunk(ChunkId),
    /// Who owns a shard of agents, for as long as its lease lasts.
    ShardOwner(Shard),
}

/// Names a chunk: the SHA-256 of its plain content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId([u8; 32]);

/// A part of the agents, with an owner of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shard(u16);

/// Bytes that are no key of agix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key of agix")]
pub struct UnknownKey(StoreKey);

impl Key {
    /// The key as the store knows it.
    pub fn encode(self) -> StoreKey {
        let text = match self {
            Self::PolicyHead => POLICY_HEAD.to_owned(),
            Self::PolicyCollection => POLICY_COLLECTION.to_owned(),
            Self::PolicyRevision(revision) => {
                format!("{POLICY_REVISION}{:016x}", revision.number())
            }
            Self::PolicyChunk(chunk) => format!("{POLICY_CHUNK}{chunk}"),
            Self::ShardOwner(Shard(shard)) => format!("{SHARD}{shard:04x}{OWNER}"),
        };
        StoreKey::new(text)
    }

    /// Reads a key of the store.
    pub fn decode(key: &StoreKey) -> Result<Self, UnknownKey> {
        str::from_utf8(key.as_bytes())
            .ok()
            .and_then(parse)
            // One key has one form: `0A` for `0a` would be another key of the same name.
            .filter(|parsed| parsed.encode() == *key)
            .ok_or_else(|| UnknownKey(key.clone()))
    }

    /// All revisions of the policy, oldest first.
    pub fn policy_revisions() -> KeyRange {
        KeyRange::prefix(&StoreKey::new(POLICY_REVISION))
    }

    /// The revisions before `end`.
    pub fn policy_revisions_before(end: Revision) -> KeyRange {
        KeyRange::between(
            StoreKey::new(POLICY_REVISION),
            Self::PolicyRevision(end).encode(),
        )
    }

    /// All chunks of policies.
    pub fn policy_chunks() -> KeyRange {
        KeyRange::prefix(&StoreKey::new(POLICY_CHUNK))
    }
}

fn parse(text: &str) -> Option<Key> {
    if text == POLICY_HEAD {
        return Some(Key::PolicyHead);
    }
    if text == POLICY_COLLECTION {
        return Some(Key::PolicyCollection);
    }
    if let Some(number) = text.strip_prefix(POLICY_REVISION) {
        let number = u64::from_str_radix(number, 16).ok()?;
        return Some(Key::PolicyRevision(Revision::new(number)));
    }
    if let Some(hash) = text.strip_prefix(POLICY_CHUNK) {
        return ChunkId::parse(hash).map(Key::PolicyChunk);
    }
    let shard = text.strip_prefix(SHARD)?.strip_suffix(OWNER)?;
    let shard = u16::from_str_radix(shard, 16).ok()?;
    Some(Key::ShardOwner(Shard(shard)))
}

impl ChunkId {
    /// The chunk whose content has this SHA-256.
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// The SHA-256.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let mut hash = [0_u8; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({self})")
    }
}

impl Shard {
    /// The shard numbered `number`.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = Key> {
        prop_oneof![
            Just(Key::PolicyHead),
            Just(Key::PolicyCollection),
            any::<u64>().prop_map(|number| Key::PolicyRevision(Revision::new(number))),
            any::<[u8; 32]>().prop_map(|hash| Key::PolicyChunk(ChunkId::new(hash))),
            any::<u16>().prop_map(|number| Key::ShardOwner(Shard::new(number))),
        ]
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_made(key in any_key()) {
            prop_assert_eq!(Key::decode(&key.encode()), Ok(key));
        }

        #[test]
        fn different_keys_have_different_bytes(one in any_key(), other in any_key()) {
            prop_assert_eq!(one == other, one.encode() == other.encode());
        }

        #[test]
        fn revisions_sort_as_their_numbers(one in any::<u64>(), other in any::<u64>()) {
            let key = |number| Key::PolicyRevision(Revision::new(number)).encode();
            prop_assert_eq!(one.cmp(&other), key(one).cmp(&key(other)));
        }

        #[test]
        fn foreign_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let key = StoreKey::new(bytes);
            if let Ok(read) = Key::decode(&key) {
                prop_assert_eq!(read.encode(), key);
            }
        }
    }

    #[test]
    fn the_stored_form_is_frozen() {
        let text = |key: Key| key.encode().to_string();
        assert_eq!(text(Key::PolicyHead), "agix/1/policy/head");
        assert_eq!(text(Key::PolicyCollection), "agix/1/policy/collection");
        assert_eq!(
            text(Key::PolicyRevision(Revision::new(26))),
            "agix/1/policy/revision/000000000000001a"
        );
        assert_eq!(
            text(Key::PolicyChunk(ChunkId::new([0xab; 32]))),
            format!("agix/1/policy/chunk/{}", "ab".repeat(32))
        );
        assert_eq!(
            text(Key::ShardOwner(Shard::new(7))),
            "agix/1/shard/0007/owner"
        );
    }

    #[test]
    fn ranges_hold_the_keys_of_their_kind_alone() {
        let revision = Key::PolicyRevision(Revision::new(u64::MAX)).encode();
        let chunk = Key::PolicyChunk(ChunkId::new([0xff; 32])).encode();
        assert!(Key::policy_revisions().contains(&revision));
        assert!(!Key::policy_revisions().contains(&chunk));
        assert!(Key::policy_chunks().contains(&chunk));
        let some = Key::policy_revisions_before(Revision::new(3));
        let inside =
            [1, 2, 3, 4].map(|n| some.contains(&Key::PolicyRevision(Revision::new(n)).encode()));
        assert_eq!(inside, [true, true, false, false]);
    }
}
