use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::id::{AgentName, ProviderName, WebhookName};
use crate::limits::{LONGEST_SETTING, WEBHOOK_RETRIES_MOST};
use crate::policy::{
    Agent, Api, Budget, Chain, Enforcement, KeyHash, Model, Provider, Reference, Secret,
    SimulatedOutcome, Simulation, TimeZoneName, WebhookDefinition,
};

fn model(name: &str) -> ModelName {
    ModelName::new(name).unwrap()
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

fn provider(api: Api) -> Provider {
    Provider {
        api,
        base_url: None,
        api_key: None,
        headers: std::collections::BTreeMap::new(),
        simulate: None,
    }
}

/// What is found in a policy that `change` made from the empty one, as `path code`.
fn found(change: impl FnOnce(&mut Policy)) -> Vec<String> {
    let mut policy = Policy::default();
    change(&mut policy);
    let problems = policy.check();
    let lines = problems.iter();
    lines
        .map(|one| format!("{} {}", one.path(), one.code))
        .collect()
}

#[test]
fn an_empty_policy_may_be_used() {
    assert_eq!(Policy::default().check(), []);
}

/// What reaches a proxy did not pass through a document: all that the types allow must be checked.
#[test]
fn what_no_document_can_say_is_refused_as_well() {
    let chain = |targets: &[&str]| Chain {
        targets: targets.iter().map(|name| model(name)).collect(),
        stream_rescue: None,
    };
    assert_eq!(
        found(|policy| {
            policy.chains.insert(model("gpt-4o"), chain(&[]));
            policy
                .chains
                .insert(model("o1"), chain(&["o1", "o3", "o3"]));
        }),
        [
            "failover.chains.gpt-4o AGX0031",
            "failover.chains.o1[0] AGX0031",
            "failover.chains.o1[2] AGX0031",
        ]
    );
    assert_eq!(
        found(|policy| {
            policy.failover.max_retries = Some(32);
            policy.failover.timeouts.idle = Duration::ZERO;
            policy.failover.timeouts.total = Duration::from_hours(25);
            policy.failover.breaker.error_percent = 0;
            policy.failover.breaker.min_requests = 0;
        }),
        [
            "failover.max_retries AGX0008",
            "failover.timeouts.idle AGX0009",
            "failover.timeouts.total AGX0009",
            "failover.breaker.min_requests AGX0008",
            "failover.breaker.error_percent AGX0008",
        ]
    );
    let script = Simulation {
        first_token: Duration::from_hours(30),
        outcomes: vec![SimulatedOutcome::Status(200)],
        output_tokens: 0,
        ..Simulation::default()
    };
    assert_eq!(
        found(|policy| {
            let name = ProviderName::new("sim").unwrap();
            let provider = Provider {
                simulate: Some(script.clone()),
                ..provider(Api::Simulated)
            };
            policy.providers.insert(name, provider);
        }),
        [
            "providers.sim.simulate.first_token AGX0009",
            "providers.sim.simulate.output_tokens AGX0008",
            "providers.sim.simulate.outcomes[0] AGX0008",
        ]
    );
}

#[test]
fn a_provider_must_be_reachable() {
    let with = |base_url: &str| {
        let base_url = Reference::parse(base_url).ok();
        found(|policy| {
            let name = ProviderName::new("mine").unwrap();
            let provider = Provider {
                base_url,
                ..provider(Api::Anthropic)
            };
            policy.providers.insert(name, provider);
        })
    };
    assert_eq!(with("https://host/v1"), [""; 0]);
    assert_eq!(with("${BASE}"), [""; 0]);
    assert_eq!(with("host"), ["providers.mine.base_url AGX0034"]);
    assert_eq!(with("${"), ["providers.mine.base_url AGX0006"]);
}

#[test]
fn models_and_agents_refer_to_what_exists() {
    let entry = Model {
        provider: ProviderName::new("nowhere").unwrap(),
        upstream_model: Some(String::new()),
        price: None,
        context_window: None,
        max_output_tokens: None,
        simulate: None,
    };
    let key = KeyHash::from_bytes([7; 32]);
    let keeper = Agent {
        keys: vec![key, key],
        ..Agent::default()
    };
    assert_eq!(
        found(|policy| {
            policy.models.insert(model("m"), entry);
            policy.agents.insert(agent("a"), keeper.clone());
            policy.agents.insert(agent("b"), keeper);
        }),
        [
            "models.m.provider AGX0033",
            "models.m.upstream_model AGX0006",
            "agents.a.keys[1] AGX0037",
            "agents.b.keys[0] AGX0037",
            "agents.b.keys[1] AGX0037",
        ]
    );
}

#[test]
fn a_budget_has_an_amount_and_a_webhook_something_to_do() {
    let budget = Budget {
        daily: None,
        monthly: None,
        alert_at_percent: BTreeSet::new(),
        alert_webhook: WebhookName::new("w-alert").unwrap(),
        timezone: TimeZoneName::default(),
        enforcement: Enforcement::Hard,
        on_outage: None,
    };
    let webhook = WebhookDefinition {
        model: Some(model("llama")),
        callback_url: Some(Reference::literal("gopher://h")),
        ..WebhookDefinition::new(Secret::new(Reference::literal("s")))
    };
    assert_eq!(
        found(|policy| {
            policy.budgets.insert(agent("a"), budget);
            policy
                .webhooks
                .insert(WebhookName::new("w").unwrap(), webhook);
        }),
        [
            "budgets.a AGX0035",
            "budgets.a.alert_webhook AGX0040",
            "webhooks.definitions.w.model AGX0032",
            "webhooks.definitions.w.model AGX0038",
            "webhooks.definitions.w.callback_url AGX0034",
        ]
    );
}

#[test]
fn a_callback_goes_to_a_public_address_unless_its_definition_says_otherwise() {
    let with = |url: &str, insecure, private| {
        let webhook = WebhookDefinition {
            callback_url: Some(Reference::parse(url).unwrap()),
            allow_insecure: insecure,
            allow_private: private,
            ..WebhookDefinition::new(Secret::new(Reference::literal("s")))
        };
        let name = WebhookName::new("w").unwrap();
        found(|policy| drop(policy.webhooks.insert(name, webhook)))
    };
    let refused = ["webhooks.definitions.w.callback_url AGX0034"];
    assert_eq!(with("http://example.com/", false, true), refused);
    assert_eq!(with("https://127.0.0.1/", true, false), refused);
    assert_eq!(with("https://0x7f.1/", true, true), refused);
    assert!(with("http://127.0.0.1:9000/", true, true).is_empty());
    assert!(with("https://example.com/", false, false).is_empty());
    assert!(with("https://${HOST}/", false, false).is_empty());
}

#[test]
fn the_numbers_and_times_of_a_webhook_have_bounds() {
    let webhook = WebhookDefinition {
        callback_url: Some(Reference::literal("https://h.example")),
        tolerance: Duration::ZERO,
        max_payload_bytes: WebhookDefinition::most_payload() + 1,
        max_attempts: 0,
        timeout: Some(LONGEST_SETTING * 2),
        callback_retries: vec![Duration::ZERO; WEBHOOK_RETRIES_MOST + 1],
        ..WebhookDefinition::new(Secret::new(Reference::literal("s")))
    };
    let name = WebhookName::new(&"w".repeat(64)).unwrap();
    let mut found = found(|policy| drop(policy.webhooks.insert(name.clone(), webhook)));
    found.dedup();
    let place = format!("webhooks.definitions.{name}");
    assert_eq!(
        found,
        [
            format!("{place} AGX0038"),
            format!("{place}.max_payload_bytes AGX0008"),
            format!("{place}.max_attempts AGX0008"),
            format!("{place}.callback_retries AGX0017"),
            format!("{place}.tolerance AGX0009"),
            format!("{place}.timeout AGX0009"),
            format!("{place}.callback_retries AGX0009"),
        ]
    );
}
