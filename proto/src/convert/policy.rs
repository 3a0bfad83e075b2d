//! Whole policies: the canonical form, its hash, and deltas, as bytes.
//!
//! The canonical form is the encoding of `agix.v1.Policy` with the resources in the order of
//! [`Policy::resources`]. It is what the store keeps, what a snapshot carries and what a proxy
//! writes to its disk. Fields of protobuf are written in the order of their numbers and maps in the
//! order of their keys, so a policy has one canonical form.

use std::collections::BTreeSet;

use agix_core::policy::{Delta, Policy, Resource};
use agix_core::sync::{Codec, PolicyHash};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::error::{At, InvalidField, InvalidMessage};
use crate::v1;

/// Bytes that are not a policy.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPolicy {
    /// They are not of the protocol's form.
    #[error("not the encoding of a policy")]
    Encoding(#[source] prost::DecodeError),
    /// A field means nothing legal.
    #[error(transparent)]
    Message(#[from] InvalidMessage),
}

/// The meaning that this protocol gives to the bytes of a policy stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct WireCodec;

impl Codec for WireCodec {
    type Error = InvalidPolicy;

    fn policy(&self, bytes: &[u8]) -> Result<Policy, InvalidPolicy> {
        decode_policy(bytes)
    }

    fn delta(&self, bytes: &[u8]) -> Result<Delta, InvalidPolicy> {
        decode_delta(bytes)
    }

    fn hash(&self, policy: &Policy) -> PolicyHash {
        policy_hash(policy)
    }
}

/// The canonical form of a policy.
pub fn encode_policy(policy: &Policy) -> Vec<u8> {
    let mut bytes = Vec::new();
    for_each_encoded(policy, |part| bytes.extend_from_slice(part));
    bytes
}

/// Reads the encoding of a policy. The result is not checked as a whole; see [`Policy::check`].
pub fn decode_policy(bytes: &[u8]) -> Result<Policy, InvalidPolicy> {
    let v1::Policy { resources } = v1::Policy::decode(bytes).map_err(InvalidPolicy::Encoding)?;
    let mut policy = Policy::default();
    let mut seen = BTreeSet::new();
    for (index, wire) in resources.into_iter().enumerate() {
        let resource = Resource::try_from(wire).at_entry("resources", index)?;
        if !seen.insert(resource.key()) {
            return Err(InvalidField::Duplicate)
                .at_entry("resources", index)
                .map_err(InvalidPolicy::Message);
        }
        policy.put(resource);
    }
    Ok(policy)
}

/// The SHA-256 of the canonical form.
pub fn policy_hash(policy: &Policy) -> PolicyHash {
    let mut hash = Sha256::new();
    for_each_encoded(policy, |part| hash.update(part));
    PolicyHash::from_bytes(hash.finalize().into())
}

/// The encoding of a delta.
pub fn encode_delta(delta: &Delta) -> Vec<u8> {
    v1::Delta::from(delta).encode_to_vec()
}

/// Reads the encoding of a delta.
pub fn decode_delta(bytes: &[u8]) -> Result<Delta, InvalidPolicy> {
    let wire = v1::Delta::decode(bytes).map_err(InvalidPolicy::Encoding)?;
    Ok(Delta::try_from(wire)?)
}

/// Hands out the canonical form resource by resource: the encodings of messages with one repeated
/// field each make, one after the other, the encoding of the message with all of them.
fn for_each_encoded(policy: &Policy, mut take: impl FnMut(&[u8])) {
    let mut buffer = Vec::new();
    for resource in policy.resources() {
        buffer.clear();
        prost::encoding::message::encode(1, &v1::Resource::from(&resource), &mut buffer);
        take(&buffer);
    }
}
