//! From the bytes of an update to a policy that may be put in force.

use crate::causes::with_causes;
use crate::policy::{Delta, Policy, Problem};
use crate::sync::{NackReason, PolicyHash, Version};

/// The meaning of the bytes on the stream.
pub trait Codec {
    /// Why bytes could not be read.
    type Error: std::error::Error;

    /// Reads the canonical form of a policy.
    fn policy(&self, bytes: &[u8]) -> Result<Policy, Self::Error>;

    /// Reads an encoded delta.
    fn delta(&self, bytes: &[u8]) -> Result<Delta, Self::Error>;

    /// The hash of a policy's canonical form.
    fn hash(&self, policy: &Policy) -> PolicyHash;
}

/// A whole update, as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The version it leads to.
    pub version: Version,
    /// Its bytes.
    pub content: Content,
}

/// The bytes of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The canonical form of the policy.
    Snapshot(Vec<u8>),
    /// What turns the policy in force into the new one, encoded.
    Delta(Vec<u8>),
}

/// Why an update is not put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// The delta does not turn the policy in force into the version promised. A snapshot will.
    Mismatch,
    /// The policy itself is refused.
    Refused(Vec<NackReason>),
}

impl Received {
    /// The policy that results when `base` is in force, if it may be put in force: readable, equal
    /// to what the control plane has, and free of problems. Takes time in proportion to the policy.
    pub fn into_policy(self, base: &Policy, codec: &impl Codec) -> Result<Policy, Rejected> {
        let Self { version, content } = self;
        let unreadable = |error: &dyn std::error::Error| {
            Rejected::Refused(vec![NackReason::unreadable(&with_causes(error))])
        };
        let (policy, mismatch) = match content {
            Content::Snapshot(bytes) => (
                codec.policy(&bytes).map_err(|error| unreadable(&error))?,
                Rejected::Refused(vec![NackReason::not_understood()]),
            ),
            Content::Delta(bytes) => {
                let delta = codec.delta(&bytes).map_err(|error| unreadable(&error))?;
                let mut policy = base.clone();
                policy.apply(delta);
                (policy, Rejected::Mismatch)
            }
        };
        if codec.hash(&policy) != version.hash {
            return Err(mismatch);
        }
        let problems = policy.check();
        if problems.is_empty() {
            Ok(policy)
        } else {
            Err(Rejected::from(problems))
        }
    }
}

impl From<Vec<Problem>> for Rejected {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Refused(problems.into_iter().map(NackReason::from).collect())
    }
}
