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
//! | `agix/1/restoring` | keeps everybody out while a backup is restored |
//! | `agix/1/term-base` | what is added to the terms of owners, since the state was in another store |
//! | `agix/1/shard/<4 hex>/owner` | who owns a shard of agents |
//! | `agix/1/shard/<4 hex>/log/<16 hex>` | a batch of a shard's log, by its number |
//! | `agix/1/shard/<4 hex>/log-part/<16 hex>/<4 hex>` | what of a large batch has no room there |
//! | `agix/1/shard/<4 hex>/snapshot-head` | the snapshot from which a shard's log goes on |
//! | `agix/1/shard/<4 hex>/snapshot/<16 hex>/<4 hex>` | a part of a snapshot, by its last batch |
//! | `agix/1/shard/<4 hex>/alerts/<16 hex>` | alerts of a batch that no webhook was made of yet |
//! | `agix/1/fleet/<16 hex>/<4 hex>` | proxies of a control plane, for as long as it lives |
//! | `agix/1/audit/head` | both ends of the chain of administrative acts |
//! | `agix/1/audit/act/<16 hex>` | the record of an act, by its number |
//! | `agix/1/webhook/owner` | who owns the queue of webhooks |
//! | `agix/1/webhook/execution/<32 hex>` | the state of an execution |
//! | `agix/1/webhook/payload/<32 hex>` | what it received |
//! | `agix/1/webhook/result/<32 hex>` | what came of its model call |
//! | `agix/1/webhook/delivery/<8 hex>/<64 hex>` | which execution a delivery has, by half days |

use std::fmt;
use std::str;

use agix_core::id::Revision;
use agix_core::webhook::execution::{DeliveryKey, ExecutionId};
use bytes::Bytes;

use super::{KeyRange, StoreKey};

const POLICY_HEAD: &str = "agix/1/policy/head";
const POLICY_COLLECTION: &str = "agix/1/policy/collection";
const POLICY_REVISION: &str = "agix/1/policy/revision/";
const POLICY_CHUNK: &str = "agix/1/policy/chunk/";
const EVERYTHING: &str = "agix/1/";
const RESTORING: &str = "agix/1/restoring";
const TERM_BASE: &str = "agix/1/term-base";
const SHARD: &str = "agix/1/shard/";
const OWNER: &str = "owner";
const LOG: &str = "log";
const LOG_PART: &str = "log-part";
const SNAPSHOT_HEAD: &str = "snapshot-head";
const SNAPSHOT: &str = "snapshot";
const ALERTS: &str = "alerts";
const FLEET: &str = "agix/1/fleet/";
const ACTS_HEAD: &str = "agix/1/audit/head";
const ACT: &str = "agix/1/audit/act/";
const WEBHOOK_OWNER: &str = "agix/1/webhook/owner";
const WEBHOOK_EXECUTION: &str = "agix/1/webhook/execution/";
const WEBHOOK_PAYLOAD: &str = "agix/1/webhook/payload/";
const WEBHOOK_RESULT: &str = "agix/1/webhook/result/";
const WEBHOOK_DELIVERY: &str = "agix/1/webhook/delivery/";

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
    /// Keeps everybody out while a backup is restored.
    Restoring,
    /// What is added to the terms of owners.
    TermBase,
    /// Who owns a shard of agents, for as long as its lease lasts.
    ShardOwner(Shard),
    /// A batch of a shard's log.
    ShardLog(Shard, u64),
    /// A part of a batch that is too large for one value.
    ShardLogPart(Shard, u64, u16),
    /// The snapshot from which a shard's log goes on.
    ShardSnapshotHead(Shard),
    /// A part of the snapshot that was made after a batch.
    ShardSnapshot(Shard, u64, u16),
    /// Alerts of a batch that no webhook was made of yet.
    ShardAlerts(Shard, u64),
    /// A part of the list of a control plane's proxies, for as long as its lease lasts.
    Fleet(u64, u16),
    /// Both ends of the chain of administrative acts.
    ActsHead,
    /// The record of an administrative act.
    Act(u64),
    /// Who owns the queue of webhooks, for as long as its lease lasts.
    WebhookOwner,
    /// The state of an execution.
    WebhookExecution(ExecutionId),
    /// What it received.
    WebhookPayload(ExecutionId),
    /// What came of its model call.
    WebhookResult(ExecutionId),
    /// Which execution a delivery has, by the half day in which it came.
    WebhookDelivery(u32, DeliveryKey),
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
            Self::Restoring => RESTORING.to_owned(),
            Self::TermBase => TERM_BASE.to_owned(),
            Self::ShardOwner(shard) => format!("{SHARD}{shard}/{OWNER}"),
            Self::ShardLog(shard, batch) => format!("{SHARD}{shard}/{LOG}/{batch:016x}"),
            Self::ShardLogPart(shard, batch, part) => {
                format!("{SHARD}{shard}/{LOG_PART}/{batch:016x}/{part:04x}")
            }
            Self::ShardSnapshotHead(shard) => format!("{SHARD}{shard}/{SNAPSHOT_HEAD}"),
            Self::ShardSnapshot(shard, batch, part) => {
                format!("{SHARD}{shard}/{SNAPSHOT}/{batch:016x}/{part:04x}")
            }
            Self::ShardAlerts(shard, batch) => format!("{SHARD}{shard}/{ALERTS}/{batch:016x}"),
            Self::Fleet(name, part) => format!("{FLEET}{name:016x}/{part:04x}"),
            Self::ActsHead => ACTS_HEAD.to_owned(),
            Self::Act(number) => format!("{ACT}{number:016x}"),
            Self::WebhookOwner => WEBHOOK_OWNER.to_owned(),
            Self::WebhookExecution(id) => format!("{WEBHOOK_EXECUTION}{:032x}", id.to_bits()),
            Self::WebhookPayload(id) => format!("{WEBHOOK_PAYLOAD}{:032x}", id.to_bits()),
            Self::WebhookResult(id) => format!("{WEBHOOK_RESULT}{:032x}", id.to_bits()),
            Self::WebhookDelivery(half_day, delivery) => {
                format!("{WEBHOOK_DELIVERY}{half_day:08x}/{delivery}")
            }
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

    /// Reads a key that comes from elsewhere.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, UnknownKey> {
        Self::decode(&StoreKey::new(bytes))
    }

    /// Everything agix stores.
    pub fn all() -> KeyRange {
        KeyRange::prefix(&StoreKey::new(EVERYTHING))
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

    /// The log of a shard from the batch `first` on.
    pub fn shard_log_from(shard: Shard, first: u64) -> KeyRange {
        Self::shard_log(shard).starting_at(Self::ShardLog(shard, first).encode())
    }

    /// The log of a shard up to the batch `last`, that one included.
    pub fn shard_log_until(shard: Shard, last: u64) -> KeyRange {
        Self::shard_log(shard).ending_with(&Self::ShardLog(shard, last).encode())
    }

    /// All parts of one large batch.
    pub fn shard_log_parts(shard: Shard, batch: u64) -> KeyRange {
        KeyRange::prefix(&StoreKey::new(format!(
            "{SHARD}{shard}/{LOG_PART}/{batch:016x}/"
        )))
    }

    /// The parts of all batches up to `last`, that one included.
    pub fn shard_log_parts_until(shard: Shard, last: u64) -> KeyRange {
        KeyRange::prefix(&StoreKey::new(format!("{SHARD}{shard}/{LOG_PART}/")))
            .ending_with(&Self::ShardLogPart(shard, last, u16::MAX).encode())
    }

    /// The parts of one snapshot.
    pub fn shard_snapshot(shard: Shard, batch: u64) -> KeyRange {
        KeyRange::prefix(&StoreKey::new(format!(
            "{SHARD}{shard}/{SNAPSHOT}/{batch:016x}/"
        )))
    }

    /// The parts of all snapshots of a shard.
    pub fn shard_snapshots(shard: Shard) -> KeyRange {
        KeyRange::prefix(&StoreKey::new(format!("{SHARD}{shard}/{SNAPSHOT}/")))
    }

    /// The alerts of a shard that no webhooks were made of.
    pub fn shard_alerts(shard: Shard) -> KeyRange {
        KeyRange::prefix(&StoreKey::new(format!("{SHARD}{shard}/{ALERTS}/")))
    }

    /// The kinds of keys whose values are sealed: what may hold secrets, prompts or answers.
    pub fn sealed() -> [KeyRange; 3] {
        [POLICY_CHUNK, WEBHOOK_PAYLOAD, WEBHOOK_RESULT]
            .map(|prefix| KeyRange::prefix(&StoreKey::new(prefix)))
    }

    /// Whether the value of `key` is sealed.
    pub fn is_sealed(key: &StoreKey) -> bool {
        [POLICY_CHUNK, WEBHOOK_PAYLOAD, WEBHOOK_RESULT]
            .iter()
            .any(|prefix| key.as_bytes().starts_with(prefix.as_bytes()))
    }

    /// The proxies of all control planes.
    pub fn fleets() -> KeyRange {
        KeyRange::prefix(&StoreKey::new(FLEET))
    }

    /// The records of all administrative acts, oldest first.
    pub fn acts() -> KeyRange {
        KeyRange::prefix(&StoreKey::new(ACT))
    }

    /// All executions, in the order of their ids.
    pub fn webhook_executions() -> KeyRange {
        KeyRange::prefix(&StoreKey::new(WEBHOOK_EXECUTION))
    }

    /// The deliveries of all half days before one.
    pub fn webhook_deliveries_before(half_day: u32) -> KeyRange {
        KeyRange::between(
            StoreKey::new(WEBHOOK_DELIVERY),
            StoreKey::new(format!("{WEBHOOK_DELIVERY}{half_day:08x}/")),
        )
    }

    fn shard_log(shard: Shard) -> KeyRange {
        KeyRange::prefix(&StoreKey::new(format!("{SHARD}{shard}/{LOG}/")))
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
        return Some(Key::PolicyRevision(Revision::new(long(number)?)));
    }
    if let Some(hash) = text.strip_prefix(POLICY_CHUNK) {
        return ChunkId::parse(hash).map(Key::PolicyChunk);
    }
    if let Some(rest) = text.strip_prefix(FLEET) {
        let (name, part) = rest.split_once('/')?;
        return Some(Key::Fleet(long(name)?, short(part)?));
    }
    if text == RESTORING {
        return Some(Key::Restoring);
    }
    if text == TERM_BASE {
        return Some(Key::TermBase);
    }
    if text == ACTS_HEAD {
        return Some(Key::ActsHead);
    }
    if let Some(number) = text.strip_prefix(ACT) {
        return Some(Key::Act(long(number)?));
    }
    if text == WEBHOOK_OWNER {
        return Some(Key::WebhookOwner);
    }
    if let Some(id) = text.strip_prefix(WEBHOOK_EXECUTION) {
        return execution(id).map(Key::WebhookExecution);
    }
    if let Some(id) = text.strip_prefix(WEBHOOK_PAYLOAD) {
        return execution(id).map(Key::WebhookPayload);
    }
    if let Some(id) = text.strip_prefix(WEBHOOK_RESULT) {
        return execution(id).map(Key::WebhookResult);
    }
    if let Some(rest) = text.strip_prefix(WEBHOOK_DELIVERY) {
        let (half_day, delivery) = rest.split_once('/')?;
        let half_day = u32::from_str_radix(half_day, 16).ok()?;
        let delivery = DeliveryKey::new(digest(delivery)?);
        return Some(Key::WebhookDelivery(half_day, delivery));
    }
    let (shard, rest) = text.strip_prefix(SHARD)?.split_once('/')?;
    let shard = Shard(short(shard)?);
    let mut path = rest.split('/');
    let parts = (path.next()?, path.next(), path.next(), path.next());
    match parts {
        (OWNER, None, None, None) => Some(Key::ShardOwner(shard)),
        (LOG, Some(batch), None, None) => Some(Key::ShardLog(shard, long(batch)?)),
        (LOG_PART, Some(batch), Some(part), None) => {
            Some(Key::ShardLogPart(shard, long(batch)?, short(part)?))
        }
        (SNAPSHOT_HEAD, None, None, None) => Some(Key::ShardSnapshotHead(shard)),
        (SNAPSHOT, Some(batch), Some(part), None) => {
            Some(Key::ShardSnapshot(shard, long(batch)?, short(part)?))
        }
        (ALERTS, Some(batch), None, None) => Some(Key::ShardAlerts(shard, long(batch)?)),
        _ => None,
    }
}

fn long(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn execution(text: &str) -> Option<ExecutionId> {
    let bits = u128::from_str_radix(text, 16).ok()?;
    Some(ExecutionId::from_bits(bits))
}

/// Reads the hexadecimal digits of a SHA-256.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0_u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn short(text: &str) -> Option<u16> {
    u16::from_str_radix(text, 16).ok()
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
        digest(text).map(Self)
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

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
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
            Just(Key::Restoring),
            Just(Key::TermBase),
            shard().prop_map(Key::ShardOwner),
            (shard(), any::<u64>()).prop_map(|(shard, batch)| Key::ShardLog(shard, batch)),
            (shard(), any::<u64>(), any::<u16>())
                .prop_map(|(shard, batch, part)| Key::ShardLogPart(shard, batch, part)),
            shard().prop_map(Key::ShardSnapshotHead),
            (shard(), any::<u64>(), any::<u16>())
                .prop_map(|(shard, batch, part)| Key::ShardSnapshot(shard, batch, part)),
            (shard(), any::<u64>()).prop_map(|(shard, batch)| Key::ShardAlerts(shard, batch)),
            any::<(u64, u16)>().prop_map(|(name, part)| Key::Fleet(name, part)),
            Just(Key::ActsHead),
            any::<u64>().prop_map(Key::Act),
            Just(Key::WebhookOwner),
            any::<u128>().prop_map(|id| Key::WebhookExecution(ExecutionId::from_bits(id))),
            any::<u128>().prop_map(|id| Key::WebhookPayload(ExecutionId::from_bits(id))),
            any::<u128>().prop_map(|id| Key::WebhookResult(ExecutionId::from_bits(id))),
            any::<(u32, [u8; 32])>()
                .prop_map(|(half_day, key)| Key::WebhookDelivery(half_day, DeliveryKey::new(key))),
        ]
    }

    fn shard() -> impl Strategy<Value = Shard> {
        any::<u16>().prop_map(Shard::new)
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_made(key in any_key()) {
            prop_assert_eq!(Key::decode(&key.encode()), Ok(key));
        }

        #[test]
        fn every_key_is_within_everything(key in any_key()) {
            prop_assert!(Key::all().contains(&key.encode()));
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
        fn batches_and_parts_sort_as_their_numbers(
            one in any::<(u64, u16)>(),
            other in any::<(u64, u16)>(),
        ) {
            let shard = Shard::new(3);
            let log = |(batch, _)| Key::ShardLog(shard, batch).encode();
            prop_assert_eq!(one.0.cmp(&other.0), log(one).cmp(&log(other)));
            let part = |(batch, part)| Key::ShardSnapshot(shard, batch, part).encode();
            prop_assert_eq!(one.cmp(&other), part(one).cmp(&part(other)));
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
        assert_eq!(text(Key::Restoring), "agix/1/restoring");
        assert_eq!(text(Key::TermBase), "agix/1/term-base");
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
        assert_eq!(
            text(Key::ShardLog(Shard::new(7), 26)),
            "agix/1/shard/0007/log/000000000000001a"
        );
        assert_eq!(
            text(Key::ShardLogPart(Shard::new(7), 26, 10)),
            "agix/1/shard/0007/log-part/000000000000001a/000a"
        );
        assert_eq!(
            text(Key::ShardSnapshotHead(Shard::new(7))),
            "agix/1/shard/0007/snapshot-head"
        );
        assert_eq!(
            text(Key::ShardSnapshot(Shard::new(7), 26, 10)),
            "agix/1/shard/0007/snapshot/000000000000001a/000a"
        );
        assert_eq!(
            text(Key::ShardAlerts(Shard::new(7), 26)),
            "agix/1/shard/0007/alerts/000000000000001a"
        );
        assert_eq!(
            text(Key::Fleet(26, 10)),
            "agix/1/fleet/000000000000001a/000a"
        );
        assert_eq!(text(Key::WebhookOwner), "agix/1/webhook/owner");
        let id = ExecutionId::from_bits(26);
        let of = |kind| format!("agix/1/webhook/{kind}/0000000000000000000000000000001a");
        assert_eq!(text(Key::WebhookExecution(id)), of("execution"));
        assert_eq!(text(Key::WebhookPayload(id)), of("payload"));
        assert_eq!(text(Key::WebhookResult(id)), of("result"));
        assert_eq!(
            text(Key::WebhookDelivery(10, DeliveryKey::new([0xab; 32]))),
            format!("agix/1/webhook/delivery/0000000a/{}", "ab".repeat(32))
        );
    }

    #[test]
    fn deliveries_before_a_half_day_are_those_of_earlier_ones() {
        let range = Key::webhook_deliveries_before(5);
        let key = |half_day| Key::WebhookDelivery(half_day, DeliveryKey::new([0; 32])).encode();
        assert_eq!(
            [0, 4, 5].map(|n| range.contains(&key(n))),
            [true, true, false]
        );
        assert!(!range.contains(&Key::WebhookOwner.encode()));
    }

    #[test]
    fn ranges_of_a_shard_hold_its_own_batches_and_parts_alone() {
        let shard = Shard::new(1);
        let log = |batch| Key::ShardLog(shard, batch).encode();
        let within = |range: KeyRange| [0, 4, 5, 6, u64::MAX].map(|n| range.contains(&log(n)));
        let from = Key::shard_log_from(shard, 5);
        assert_eq!(within(from.clone()), [false, false, true, true, true]);
        let until = Key::shard_log_until(shard, 5);
        assert_eq!(within(until.clone()), [true, true, true, false, false]);
        for range in [from, until] {
            for other in [
                Key::ShardLog(Shard::new(0), 5),
                Key::ShardLog(Shard::new(2), 5),
                Key::ShardLogPart(shard, 5, 0),
                Key::ShardOwner(shard),
                Key::ShardSnapshotHead(shard),
                Key::ShardSnapshot(shard, 5, 0),
            ] {
                assert!(!range.contains(&other.encode()), "{other:?}");
            }
        }
        let part = |batch, part| Key::ShardLogPart(shard, batch, part).encode();
        let old = Key::shard_log_parts_until(shard, 5);
        assert!(old.contains(&part(5, u16::MAX)) && !old.contains(&part(6, 0)));
        let one = Key::shard_log_parts(shard, 5);
        assert!(one.contains(&part(5, 0)) && one.contains(&part(5, u16::MAX)));
        assert!(!one.contains(&part(4, 0)) && !one.contains(&part(6, 0)));
        let part = |batch, part| Key::ShardSnapshot(shard, batch, part).encode();
        let all = Key::shard_snapshots(shard);
        let one = Key::shard_snapshot(shard, 5);
        assert!(all.contains(&part(u64::MAX, u16::MAX)) && one.contains(&part(5, u16::MAX)));
        assert!(!one.contains(&part(6, 0)));
        assert!(!all.contains(&Key::ShardSnapshotHead(shard).encode()));
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
