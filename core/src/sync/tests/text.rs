//! A codec of plain text: policies of rate limits only, one line for each agent.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::id::AgentName;
use crate::policy::{Delta, Policy, RateLimits, Resource, ResourceKey};
use crate::sync::{Codec, PolicyHash};
use crate::units::RequestLimit;

#[derive(Debug, Clone, Copy)]
pub(crate) struct TextCodec;

/// Not such a text.
#[derive(Debug, thiserror::Error)]
#[error("line `{0}`")]
pub(crate) struct NotText(String);

pub(crate) fn resource(agent: &str, limit: u32) -> Resource {
    let limits = RateLimits {
        requests_per_minute: RequestLimit::new(limit),
        ..RateLimits::default()
    };
    Resource::RateLimits(AgentName::new(agent).unwrap(), limits)
}

pub(crate) fn encode_policy(policy: &Policy) -> Vec<u8> {
    lines(&policy.resources(), &[])
}

pub(crate) fn encode_delta(delta: &Delta) -> Vec<u8> {
    lines(&delta.upserts, &delta.removals)
}

fn lines(upserts: &[Resource], removals: &[ResourceKey]) -> Vec<u8> {
    let mut text = String::new();
    for resource in upserts {
        let Resource::RateLimits(name, limits) = resource else {
            panic!("{resource:?}");
        };
        let limit = limits.requests_per_minute.unwrap().get();
        writeln!(text, "+{name}={limit}").unwrap();
    }
    for key in removals {
        writeln!(text, "-{}", key.name()).unwrap();
    }
    text.into_bytes()
}

impl Codec for TextCodec {
    type Error = NotText;

    fn policy(&self, bytes: &[u8]) -> Result<Policy, NotText> {
        let mut policy = Policy::default();
        policy.apply(self.delta(bytes)?);
        Ok(policy)
    }

    fn delta(&self, bytes: &[u8]) -> Result<Delta, NotText> {
        let mut delta = Delta::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let refused = || NotText(line.to_owned());
            if let Some((name, limit)) = line.strip_prefix('+').and_then(|it| it.split_once('=')) {
                let limit = limit.parse().map_err(|_refused| refused())?;
                AgentName::new(name).map_err(|_refused| refused())?;
                delta.upserts.push(resource(name, limit));
            } else if let Some(name) = line.strip_prefix('-') {
                let name = AgentName::new(name).map_err(|_refused| refused())?;
                delta.removals.push(ResourceKey::RateLimits(name));
            } else {
                return Err(refused());
            }
        }
        Ok(delta)
    }

    fn hash(&self, policy: &Policy) -> PolicyHash {
        PolicyHash::from_bytes(Sha256::digest(encode_policy_lossy(policy)).into())
    }
}

/// As [`encode_policy`], also for what damage may have made of a policy.
fn encode_policy_lossy(policy: &Policy) -> Vec<u8> {
    format!("{:?}", policy.resources()).into_bytes()
}
