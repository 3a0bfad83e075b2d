use proptest::prelude::*;

use super::*;
use crate::policy::document::{SourceFile, read, render};
use crate::policy::strategy::policy as any_policy;

const FULL: &str = include_str!("../../../testdata/documents/full.yaml");

fn policy(text: &str) -> Policy {
    let file = SourceFile {
        name: "policy.yaml".to_owned(),
        text: text.to_owned(),
    };
    match read(&[file], &|_| true) {
        Ok(checked) => checked.policy,
        Err(diagnostics) => panic!("{}", render(&diagnostics, false)),
    }
}

/// The changes from one text to another, as `path: old -> new`.
fn between(old: &str, new: &str) -> Vec<String> {
    let show = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    changes(&policy(old), &policy(new))
        .into_iter()
        .map(|one| format!("{}: {} -> {}", one.path, show(one.old), show(one.new)))
        .collect()
}

#[test]
fn a_changed_number_is_one_line() {
    let old = "rate_limits: { batch: { requests_per_minute: 5, max_concurrent: 2 } }";
    let new = "rate_limits: { batch: { requests_per_minute: 10, max_concurrent: 2 } }";
    assert_eq!(
        between(old, new),
        ["rate_limits.batch.requests_per_minute: 5 -> 10"]
    );
    assert_eq!(between(old, old), [""; 0]);
}

#[test]
fn entries_come_and_go_with_what_they_say() {
    let old = "rate_limits: { a: { max_concurrent: 1 }, b: {} }\n\
               failover: { chains: { gpt-4o: [o3, o1] } }";
    let new = "budgets: { a: { daily_limit_usd: 2.50 } }\n\
               failover: { chains: { gpt-4o: [o1] } }";
    assert_eq!(
        between(old, new),
        [
            "budgets.a.daily_limit_usd: - -> 2.5",
            "failover.chains.gpt-4o: [o3, o1] -> [o1]",
            "rate_limits.a.max_concurrent: 1 -> -",
            "rate_limits.b: {} -> -",
        ]
    );
}

#[test]
fn a_setting_goes_back_to_its_default() {
    let old = "failover: { max_retries: 2, timeouts: { idle: 90s } }\naudit: { enabled: true }\n\
               budgets: { a: { daily_limit_usd: 1, enforcement: soft } }";
    let new = "budgets: { a: { daily_limit_usd: 1 } }";
    assert_eq!(
        between(old, new),
        [
            "audit.enabled: true -> false",
            "budgets.a.enforcement: soft -> hard",
            "failover.max_retries: 2 -> -",
            "failover.timeouts.idle: 90s -> 30s",
        ]
    );
}

#[test]
fn secrets_are_fingerprints() {
    let old = "providers: { openai: { api_key: hunter2 } }";
    let new = "providers: { openai: { api_key: hunter3 } }";
    let changes = between(old, new);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].starts_with("providers.openai.api_key: secret:sha256:"));
    let all = between("", FULL).join("\n");
    assert!(!all.contains("literal"), "{all}");
}

#[test]
fn every_field_of_a_document_has_a_line() {
    let mut lines = Vec::new();
    for resource in policy(FULL).resources() {
        let key = resource.key();
        let shown = fields(&resource);
        lines.extend(
            shown
                .iter()
                .map(|(field, value)| format!("{}: {value}", place(&key, field))),
        );
    }
    for line in [
        "providers.local.api_key: { file: /run/secrets/local }",
        "providers.openai.base_url: ${OPENAI_BASE:-https://api.openai.com/v1}",
        "providers.sim.simulate.first_token: 120ms",
        "providers.sim.simulate.outcomes: [ok, 503, reset, stall, truncate]",
        "models.gpt-4o.price.reasoning: 10.000001",
        "models.gpt-4o.context_window: 128000",
        "pricing.unknown_model.output: 2.5",
        "failover.max_cost_ratio: 4.5",
        "failover.timeouts.first_token: 1500ms",
        "failover.timeouts.total: 1h",
        "failover.breaker.max_open: 2m",
        "failover.chains.gpt-4o: [gpt-4o-mini, claude-opus-4-6]",
        "rate_limits.weekly.requests_per_hour: 50",
        "budgets.code-reviewer.monthly_limit_usd: 200.000001",
        "budgets.code-reviewer.timezone: Europe/Berlin",
        "agents.code-reviewer.models: [gpt-4o*, claude-opus-4-6]",
        "identity.default_agent: anonymous",
        "webhooks.definitions.summarize.callback_url: https://${HOST}/callback",
        "webhooks.definitions.summarize.callback_retries: [1s, 1m]",
        "webhooks.definitions.summarize.scheme: standard",
        "webhooks.definitions.summarize.keep_prompt: true",
        "tracing.sample_rate: 0.1",
        "tracing.propagate: true",
        "audit.content_log: true",
    ] {
        assert!(lines.iter().any(|one| one == line), "{line}\n{lines:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_difference_is_left_out(old in any_policy(), new in any_policy()) {
        let changed = changes(&old, &new);
        prop_assert_eq!(changed.is_empty(), old == new);
        for change in &changed {
            prop_assert_ne!(&change.old, &change.new, "{}", change.path);
        }
        // Every resource that is another has a line of its own.
        let delta = old.delta_to(&new);
        let keys = delta.upserts.iter().map(Resource::key).chain(delta.removals.clone());
        for key in keys {
            let path = key.to_string();
            prop_assert!(changed.iter().any(|one| one.path.starts_with(&path)), "{path}");
        }
        // Back again, the lines are turned around.
        let turned = changes(&new, &old);
        let paths = |list: &[Change]| list.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
        prop_assert_eq!(paths(&changed), paths(&turned));
    }

    #[test]
    fn any_policy_is_checked_without_a_panic(policy in any_policy()) {
        let _problems = policy.check();
    }
}
