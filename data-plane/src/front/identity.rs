//! Who is calling.
//!
//! Rules this module keeps:
//! - A key that belongs to an agent identifies the caller; a header naming another agent is then
//!   refused, not followed.
//! - An agent that has keys cannot be named by the header alone.
//! - An agent without an entry is known by `X-Agent-Name` or by the path `/a/{agent}`; a caller that sends none is the policy's
//!   default agent, so that leaving the header out is no way around a limit.
//! - A key that is wrong and a key that is missing get the same answer.

use agix_core::id::AgentName;
use agix_core::policy::KeyHash;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use crate::front::refusal::Refusal;
use crate::snapshot::Compiled;

const AGENT: HeaderName = HeaderName::from_static("x-agent-name");
const API_KEYS: [HeaderName; 2] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
];

/// The agent that sent these headers.
pub(crate) fn identify(
    compiled: &Compiled,
    headers: &HeaderMap,
    in_path: Option<&str>,
) -> Result<AgentName, Refusal> {
    let named = match (named_agent(headers)?, in_path.map(AgentName::new)) {
        (named, None) => named,
        (_, Some(Err(error))) => return Err(Refusal::bad_path(&format!("/a/: {error}"))),
        (Some(named), Some(Ok(agent))) if named != agent => {
            let message = "X-Agent-Name names another agent than the path";
            return Err(Refusal::bad_path(message));
        }
        (_, Some(Ok(agent))) => Some(agent),
    };
    if !compiled.has_keys() && !compiled.policy.identity.require_key {
        return Ok(named.unwrap_or_else(|| compiled.policy.identity.default_agent.clone()));
    }
    let owner = presented_key(headers)
        .map(|key| KeyHash::from_bytes(Sha256::digest(key).into()))
        .and_then(|hash| compiled.agent_of_key(&hash));
    match (owner, named) {
        (Some(owner), Some(named)) if *owner != named => Err(Refusal::key_of_another(&named)),
        (Some(owner), _) => Ok(owner.clone()),
        (None, _) if compiled.policy.identity.require_key => Err(Refusal::no_key()),
        (None, named) => {
            let agent = named.unwrap_or_else(|| compiled.policy.identity.default_agent.clone());
            let guarded = compiled
                .policy
                .agents
                .get(&agent)
                .is_some_and(|entry| !entry.keys.is_empty());
            if guarded {
                Err(Refusal::no_key())
            } else {
                Ok(agent)
            }
        }
    }
}

fn named_agent(headers: &HeaderMap) -> Result<Option<AgentName>, Refusal> {
    let mut values = headers.get_all(&AGENT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refusal::bad_header("X-Agent-Name was sent more than once"));
    }
    let text = value
        .to_str()
        .map_err(|_bytes| Refusal::bad_header("X-Agent-Name has characters other than ASCII"))?;
    match AgentName::new(text.trim()) {
        Ok(name) => Ok(Some(name)),
        Err(error) => Err(Refusal::bad_header(&format!("X-Agent-Name: {error}"))),
    }
}

fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let bytes = value.as_bytes();
        let (scheme, key) = bytes.split_at_checked(7)?;
        scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| key.trim_ascii())
    });
    bearer.or_else(|| {
        API_KEYS
            .iter()
            .find_map(|name| headers.get(name))
            .map(|value| value.as_bytes().trim_ascii())
    })
}

#[cfg(test)]
mod tests;
