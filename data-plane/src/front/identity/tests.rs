use agix_core::id::Revision;
use agix_core::policy::{Agent, Policy};
use http::{HeaderValue, StatusCode};

use super::*;

const KEY: &str = "sk-reviewer-0001";

fn hash(key: &str) -> KeyHash {
    KeyHash::from_bytes(Sha256::digest(key).into())
}

fn compiled(require_key: bool) -> Compiled {
    let mut policy = Policy::default();
    policy.identity.require_key = require_key;
    for (name, key) in [("reviewer", KEY), ("writer", "sk-writer-0001")] {
        let agent = Agent {
            keys: vec![hash(key)],
            ..Agent::default()
        };
        policy.agents.insert(AgentName::new(name).unwrap(), agent);
    }
    Compiled::compile(Revision::new(1), policy).unwrap()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers
}

fn who(compiled: &Compiled, pairs: &[(&'static str, &'static str)]) -> Result<String, StatusCode> {
    identify(compiled, &headers(pairs), None)
        .map(|agent| agent.to_string())
        .map_err(|refusal| refusal.status())
}

#[test]
fn without_keys_in_the_policy_the_header_names_the_agent() {
    let open = Compiled::empty();
    assert_eq!(
        who(&open, &[("x-agent-name", "batch")]).as_deref(),
        Ok("batch")
    );
    assert_eq!(
        who(&open, &[("authorization", "Bearer unused")]).as_deref(),
        Ok("default-agent")
    );
}

#[test]
fn a_key_identifies_its_agent_in_every_spelling() {
    let guarded = compiled(false);
    for pair in [
        ("authorization", "Bearer sk-reviewer-0001"),
        ("authorization", "bearer sk-reviewer-0001"),
        ("x-api-key", KEY),
        ("api-key", KEY),
    ] {
        assert_eq!(
            who(&guarded, &[pair]).as_deref(),
            Ok("reviewer"),
            "{pair:?}"
        );
    }
}

#[test]
fn a_key_cannot_be_used_in_another_agents_name() {
    let pairs = [("x-api-key", KEY), ("x-agent-name", "writer")];
    assert_eq!(who(&compiled(false), &pairs), Err(StatusCode::FORBIDDEN));
}

#[test]
fn an_agent_with_keys_cannot_be_named_without_one() {
    let guarded = compiled(false);
    assert_eq!(
        who(&guarded, &[("x-agent-name", "writer")]),
        Err(StatusCode::UNAUTHORIZED)
    );
    let wrong = [("x-agent-name", "writer"), ("x-api-key", "guess")];
    assert_eq!(who(&guarded, &wrong), Err(StatusCode::UNAUTHORIZED));
    assert_eq!(
        who(&guarded, &[("x-agent-name", "unlisted")]).as_deref(),
        Ok("unlisted")
    );
}

#[test]
fn where_a_key_is_required_nobody_passes_without() {
    let strict = compiled(true);
    assert_eq!(
        who(&strict, &[("x-agent-name", "unlisted")]),
        Err(StatusCode::UNAUTHORIZED)
    );
    assert_eq!(who(&strict, &[]), Err(StatusCode::UNAUTHORIZED));
    assert_eq!(
        who(&strict, &[("x-api-key", KEY)]).as_deref(),
        Ok("reviewer")
    );
}

#[test]
fn an_agent_name_that_is_none_is_refused() {
    let open = Compiled::empty();
    for name in ["two words", "ünïcode", "", "a\tb"] {
        let mut map = HeaderMap::new();
        map.insert(AGENT, HeaderValue::from_bytes(name.as_bytes()).unwrap());
        let refused = identify(&open, &map, None).map_err(|refusal| refusal.status());
        assert_eq!(
            refused.map(|agent| agent.to_string()),
            Err(StatusCode::BAD_REQUEST),
            "{name}"
        );
    }
    let twice = [("x-agent-name", "one"), ("x-agent-name", "two")];
    assert_eq!(who(&open, &twice), Err(StatusCode::BAD_REQUEST));
}

#[test]
fn a_path_names_the_agent_like_the_header_does() {
    let open = Compiled::empty();
    let named = |pairs, path| {
        identify(&open, &headers(pairs), path)
            .map(|agent| agent.to_string())
            .map_err(|refusal| refusal.status())
    };
    assert_eq!(named(&[], Some("batch")).as_deref(), Ok("batch"));
    let same = named(&[("x-agent-name", "batch")], Some("batch"));
    assert_eq!(same.as_deref(), Ok("batch"));
    let other = named(&[("x-agent-name", "other")], Some("batch"));
    assert_eq!(other, Err(StatusCode::BAD_REQUEST));
    assert_eq!(named(&[], Some("no name")), Err(StatusCode::BAD_REQUEST));
}
