use std::time::Duration;

use super::*;
use crate::id::{AgentName, ModelName, ProviderName, WebhookName};
use crate::policy::{
    Api, BreakerSettings, Enforcement, MinThroughput, Model, OnOutage, Provider, Reference,
    SignatureScheme, SimulatedOutcome, StreamRescue, UnknownModel, WebhookDefinition,
};

/// The blocks of the product's description, each with what it must say.
const SPEC: [(&str, &str, usize); 8] = [
    (
        "failover",
        include_str!("../../../../testdata/spec/failover.yaml"),
        4,
    ),
    (
        "failover-cross-provider",
        include_str!("../../../../testdata/spec/failover-cross-provider.yaml"),
        1,
    ),
    (
        "rate-limits",
        include_str!("../../../../testdata/spec/rate-limits.yaml"),
        2,
    ),
    (
        "runaway-agent",
        include_str!("../../../../testdata/spec/runaway-agent.yaml"),
        1,
    ),
    (
        "budget-alerts",
        include_str!("../../../../testdata/spec/budget-alerts.yaml"),
        2,
    ),
    (
        "webhooks",
        include_str!("../../../../testdata/spec/webhooks.yaml"),
        2,
    ),
    (
        "feedback-pipeline",
        include_str!("../../../../testdata/spec/feedback-pipeline.yaml"),
        1,
    ),
    (
        "enterprise",
        include_str!("../../../../testdata/spec/enterprise.yaml"),
        9,
    ),
];

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

fn model<'p>(policy: &'p Policy, name: &str) -> &'p Model {
    &policy.models[&ModelName::new(name).unwrap()]
}

fn provider<'p>(policy: &'p Policy, name: &str) -> &'p Provider {
    &policy.providers[&ProviderName::new(name).unwrap()]
}

#[test]
fn every_block_of_the_description_is_taken_as_it_stands() {
    for (name, text, resources) in SPEC {
        assert_eq!(policy(text).resources().len(), resources, "{name}");
    }
}

#[test]
fn the_enterprise_setup_means_what_it_says() {
    let policy = policy(SPEC[7].1);
    assert_eq!(policy.failover.max_retries, Some(1));
    let chain = &policy.chains[&ModelName::new("claude-opus-4-6").unwrap()];
    let targets: Vec<&str> = chain.targets.iter().map(ModelName::as_str).collect();
    assert_eq!(targets, ["claude-sonnet-4-5-20250929", "gpt-4o"]);
    let limits = &policy.rate_limits[&agent("batch-agent")];
    assert_eq!(limits.requests_per_minute.unwrap().get(), 5);
    assert_eq!(limits.requests_per_hour.unwrap().get(), 100);
    let budget = &policy.budgets[&agent("critical-agent")];
    assert_eq!(budget.daily.unwrap().amount().to_string(), "100");
    assert_eq!(budget.monthly, None);
    assert_eq!(budget.alert_at_percent.first().unwrap().get(), 75);
    let webhook = policy.webhooks.values().next().unwrap();
    assert_eq!(
        webhook.prompt_template.as_deref(),
        Some("Alert: Agent {{.AgentName}} at {{.SpentPercent}}%\n")
    );
    assert!(policy.webhook_settings.enabled && policy.audit.enabled && policy.tracing.enabled);
    assert_eq!(policy.tracing.sample_rate.as_millionths(), 100_000);
}

#[test]
fn limits_under_a_name_of_their_own_belong_to_rate_limits() {
    let policy = policy(SPEC[3].1);
    let limits = &policy.rate_limits[&agent("expensive-agent")];
    assert_eq!(limits.requests_per_minute.unwrap().get(), 5);
    assert_eq!(limits.requests_per_hour.unwrap().get(), 100);
    assert!(warnings(SPEC[3].1).contains(&"2:1 AGX0104 expensive-agent".to_owned()));
    assert_eq!(
        errors("batch: { requests_per_minute: 5, colour: red }"),
        ["1:1 AGX0003 batch"]
    );
    assert_eq!(
        errors("rate_limits: { a: { max_concurrent: 1 } }\na: { max_concurrent: 2 }"),
        ["2:1 AGX0004 a"]
    );
}

#[test]
fn chains_may_name_each_other() {
    assert!(errors(SPEC[7].1).is_empty());
    let text = "failover: { chains: { gpt-4o: [claude-x], claude-x: [gpt-4o] } }";
    assert_eq!(policy(text).chains.len(), 2);
}

#[test]
fn retired_models_are_taken_with_a_warning() {
    assert_eq!(
        warnings(SPEC[1].1),
        ["6:9 AGX0101 failover.chains.gpt-4o[2]"]
    );
    assert_eq!(
        warnings(SPEC[0].1),
        ["13:5 AGX0101 failover.chains.deepseek-chat"]
    );
    let elsewhere = "models: { deepseek-chat: { provider: ollama } }\n\
                     failover: { chains: { gpt-4o: [deepseek-chat] } }";
    assert!(warnings(elsewhere).is_empty());
    let simulated = "providers: { deepseek: { api: simulated } }\n\
                     failover: { chains: { gpt-4o: [deepseek-chat] } }";
    assert!(warnings(simulated).is_empty());
}

#[test]
fn providers_and_models_say_every_field() {
    let policy = policy(FULL);
    let local = provider(&policy, "local");
    assert_eq!(local.api, Api::OpenAi);
    assert_eq!(
        local.api_key.as_ref().unwrap().expose(),
        &Reference::File("/run/secrets/local".into())
    );
    assert_eq!(local.headers.len(), 2);
    let script = provider(&policy, "sim").simulate.as_ref().unwrap();
    assert_eq!(
        script.outcomes,
        [
            SimulatedOutcome::Answer,
            SimulatedOutcome::Status(503),
            SimulatedOutcome::Reset,
            SimulatedOutcome::Stall,
            SimulatedOutcome::Truncate,
        ]
    );
    let gpt = model(&policy, "gpt-4o");
    let price = gpt.price.unwrap();
    assert_eq!(price.input.as_picos(), 2_500_000);
    assert_eq!(price.reasoning.unwrap().as_picos(), 10_000_001);
    assert_eq!(gpt.context_window.unwrap().get(), 128_000);
    assert_eq!(gpt.max_output_tokens.unwrap().get(), 16_384);
    let UnknownModel::Price(price) = policy.pricing.unknown_model else {
        panic!("unknown models have a price");
    };
    assert_eq!(price.output.as_picos(), 2_500_000);
}

#[test]
fn settings_say_every_field() {
    let policy = policy(FULL);
    let failover = &policy.failover;
    assert_eq!(failover.max_retries, Some(2));
    assert_eq!(failover.same_model_retries, 0);
    assert_eq!(failover.max_cost_ratio.unwrap().as_thousandths(), 4_500);
    assert_eq!(failover.timeouts.first_token, Duration::from_millis(1_500));
    assert_eq!(failover.timeouts.total, Duration::from_hours(1));
    assert_eq!(failover.stream_rescue, StreamRescue::Buffer);
    let rescue_of = |head: &str| policy.chains[&ModelName::new(head).unwrap()].stream_rescue;
    assert_eq!(rescue_of("gpt-4o"), None);
    assert_eq!(rescue_of("claude-opus-4-6"), Some(StreamRescue::Off));
    let least = MinThroughput {
        tokens_per_second: 5,
        window: Duration::from_secs(15),
    };
    assert_eq!(failover.min_throughput, Some(least));
    let breaker = BreakerSettings {
        consecutive_failures: 3,
        error_percent: 40,
        min_requests: 10,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
        max_open: Duration::from_mins(2),
    };
    assert_eq!(failover.breaker, breaker);
    assert_eq!(failover.retry_budget.percent, 10);
    assert_eq!(failover.retry_budget.at_least, 0);
    assert!(failover.drop_unsupported);
    let budget = &policy.budgets[&agent("code-reviewer")];
    assert_eq!(budget.monthly.unwrap().amount().to_string(), "200.000001");
    assert_eq!(budget.timezone.as_str(), "Europe/Berlin");
    assert_eq!(budget.enforcement, Enforcement::Soft);
    assert_eq!(budget.on_outage, Some(OnOutage::Allow));
    let reviewer = &policy.agents[&agent("code-reviewer")];
    assert_eq!(reviewer.keys[0].as_bytes(), &[15; 32]);
    assert!(reviewer.models[0].matches("gpt-4o-mini"));
    assert_eq!(reviewer.group.as_ref().unwrap().as_str(), "reviewers");
    assert!(policy.identity.require_key);
    assert_eq!(policy.identity.default_agent.as_str(), "anonymous");
    assert!(!policy.webhook_settings.enabled);
}

#[test]
fn a_webhook_says_every_field_or_has_its_default() {
    let policy = policy(FULL);
    let webhook = |name: &str| &policy.webhooks[&WebhookName::new(name).unwrap()];
    let full = webhook("summarize");
    assert_eq!(full.scheme, SignatureScheme::Standard);
    assert!(full.previous_secret.as_ref().unwrap().holds_literal());
    assert_eq!(full.tolerance, Duration::from_mins(1));
    assert_eq!(full.max_payload_bytes, 65_536);
    assert_eq!(full.agent, Some(agent("code-reviewer")));
    assert_eq!(full.max_attempts, 2);
    assert_eq!(full.timeout, Some(Duration::from_secs(45)));
    let pauses = [1, 60].map(Duration::from_secs);
    assert_eq!(full.callback_retries, pauses);
    assert!(!full.enabled && full.keep_prompt && full.allow_insecure && full.allow_private);
    let plain = webhook("alert");
    let default = WebhookDefinition {
        callback_url: plain.callback_url.clone(),
        ..WebhookDefinition::new(plain.secret.clone())
    };
    assert_eq!(*plain, default);
}

#[test]
fn a_budget_alerts_at_one_share_or_at_several() {
    let policy = policy(
        "budgets: { a: { daily_limit_usd: 1, alert_at_percent: [100, 50, 80], alert_webhook: w },\n\
         \x20 b: { daily_limit_usd: 1, alert_at_percent: 80 } }\n\
         webhooks: { definitions: { w: { secret: s, callback_url: https://h.example } } }",
    );
    let percents = |name: &str| -> Vec<u8> {
        let budget = &policy.budgets[&agent(name)];
        budget.alert_at_percent.iter().map(|at| at.get()).collect()
    };
    assert_eq!(percents("a"), [50, 80, 100]);
    assert_eq!(percents("b"), [80]);
    let webhook = |name: &str| policy.budgets[&agent(name)].alert_webhook.as_str();
    assert_eq!([webhook("a"), webhook("b")], ["w", "budget-alert"]);
}

#[test]
fn a_template_is_text_whatever_stands_in_it() {
    let policy = policy(FULL);
    let template = policy
        .webhooks
        .values()
        .find_map(|webhook| webhook.prompt_template.as_deref());
    assert_eq!(template, Some("Cost: ${{.Spent}} and ${NOT_A_REFERENCE}\n"));
}

#[test]
fn a_provider_with_the_name_of_a_built_in_one_takes_the_rest_from_it() {
    let policy = policy(
        "providers:\n  openai: { base_url: http://127.0.0.1:9 }\n  anthropic: { api: openai, \
         base_url: http://127.0.0.1:8 }\n  gemini:\n",
    );
    let openai = provider(&policy, "openai");
    assert_eq!(openai.api, Api::OpenAi);
    assert_eq!(
        openai.base_url,
        Some(Reference::literal("http://127.0.0.1:9"))
    );
    let key = openai.api_key.as_ref().unwrap();
    assert_eq!(key.to_string(), "${OPENAI_API_KEY:-}");
    // Another protocol is another provider: its key must not be sent there.
    assert_eq!(provider(&policy, "anthropic").api_key, None);
    assert!(provider(&policy, "gemini").base_url.is_some());
}

#[test]
fn a_model_without_a_provider_stays_with_its_family() {
    let policy = policy("models: { claude-x: { max_output_tokens: 5 } }");
    assert_eq!(model(&policy, "claude-x").provider.as_str(), "anthropic");
    let route = policy.route(&ModelName::new("claude-x").unwrap()).unwrap();
    assert_eq!(route.upstream_model, "claude-x");
}

#[test]
fn sections_without_content_are_absent() {
    let text = "failover:\nrate_limits: ~\nbudgets: null\nproviders:\n  # nothing\naudit:\n";
    assert_eq!(policy(text), Policy::default());
    assert_eq!(
        policy("failover: { chains: , timeouts: , breaker: ~ }"),
        Policy::default()
    );
    assert_eq!(policy("webhooks: { definitions: }"), Policy::default());
    assert_eq!(policy("# only a comment\n"), Policy::default());
    assert_eq!(warnings(""), ["0:0 AGX0105 "]);
}

#[test]
fn the_files_of_a_directory_are_one_document() {
    let files = [
        file(
            "a.yaml",
            "failover: { max_retries: 1 }\nrate_limits: { a: { max_concurrent: 1 } }",
        ),
        file(
            "b.yaml",
            "failover:\n  chains: { gpt-4o: [o3] }\nrate_limits: { b: { max_concurrent: 2 } }",
        ),
        file(
            "c.yaml",
            "---\naudit: { enabled: true }\n---\nrate_limits: { c: { max_concurrent: 3 } }\n",
        ),
        file("d.yaml", ""),
    ];
    let checked = read_files(&files).unwrap();
    assert_eq!(checked.policy.rate_limits.len(), 3);
    assert_eq!(checked.policy.chains.len(), 1);
    assert_eq!(checked.policy.failover.max_retries, Some(1));
    assert!(checked.policy.audit.enabled);
    let mut turned = files.clone();
    turned.reverse();
    assert_eq!(read_files(&turned).unwrap().policy, checked.policy);
}

#[test]
fn aliases_and_merge_keys_stand_for_what_they_name() {
    let policy = policy(FULL);
    let limits = |name| policy.rate_limits[&agent(name)];
    assert_eq!(limits("nightly"), limits("batch"));
    let weekly = limits("weekly");
    assert_eq!(weekly.requests_per_hour.unwrap().get(), 50);
    assert_eq!(weekly.tokens_per_minute, limits("batch").tokens_per_minute);
}

#[test]
fn json_is_a_document_too() {
    let text = r#"{"rate_limits": {"a": {"requests_per_minute": 5}}, "audit": {"enabled": true}}"#;
    let policy = policy(text);
    assert!(policy.audit.enabled);
    assert_eq!(policy.rate_limits.len(), 1);
}

#[test]
fn the_maze_of_scalars_is_read_as_written() {
    let policy = policy(
        "\u{feff}rate_limits:\r\n  123: { requests_per_minute: 1_000, requests_per_hour: !!int 5e2 }\r\n  \
         \"a@b\": { max_concurrent: +7 }\r\n",
    );
    let limits = &policy.rate_limits[&agent("123")];
    assert_eq!(limits.requests_per_minute.unwrap().get(), 1_000);
    assert_eq!(limits.requests_per_hour.unwrap().get(), 500);
    assert_eq!(
        policy.rate_limits[&agent("a@b")]
            .max_concurrent
            .unwrap()
            .get(),
        7
    );
}

#[test]
fn a_hundred_thousand_agents_are_read() {
    use std::fmt::Write;
    let mut text = String::from("rate_limits:\n");
    for index in 0..100_000 {
        writeln!(text, "  agent-{index}: {{ requests_per_minute: 5 }}").unwrap();
    }
    text.push_str("budgets:\n");
    for index in 0..100_000 {
        writeln!(text, "  agent-{index}: {{ daily_limit_usd: 2.5 }}").unwrap();
    }
    let policy = policy(&text);
    assert_eq!(
        (policy.rate_limits.len(), policy.budgets.len()),
        (100_000, 100_000)
    );
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    for (text, expected) in [
        (
            "rate_limits: { a: { requests_per_minute: 1, requests_per_hour: 61 } }",
            "1:64 AGX0103 rate_limits.a.requests_per_hour",
        ),
        (
            "budgets: { a: { daily_limit_usd: 5, monthly_limit_usd: 4 } }",
            "1:56 AGX0107 budgets.a.monthly_limit_usd",
        ),
        (
            "budgets: { a: { daily_limit_usd: 5, monthly_limit_usd: 156 } }",
            "1:56 AGX0103 budgets.a.monthly_limit_usd",
        ),
        (
            "budgets: { a: { daily_limit_usd: 5, alert_at_percent: 80 } }",
            "1:55 AGX0108 budgets.a.alert_at_percent",
        ),
        (
            "rate_limits: { a: { on_outage: deny } }",
            "1:16 AGX0105 rate_limits.a",
        ),
        (
            "identity: { require_key: true }",
            "1:26 AGX0106 identity.require_key",
        ),
        (
            "failover: { chains: { gpt-4o: { targets: [o3], stream_rescue: continue } } }",
            "1:1 AGX0102 failover.stream_rescue",
        ),
        (
            "failover: { stream_rescue: continue }",
            "1:28 AGX0102 failover.stream_rescue",
        ),
    ] {
        let found = warnings(text);
        assert!(found.contains(&expected.to_owned()), "{text}: {found:?}");
    }
    for text in [
        "rate_limits: { a: { requests_per_minute: 1, requests_per_hour: 60 } }",
        "budgets: { a: { daily_limit_usd: 5, monthly_limit_usd: 155 } }",
        "failover: { stream_rescue: off, breaker: { min_requests: 20 } }",
        "audit: { enabled: true, content_log: true }\ntracing: { enabled: true, sample_rate: 0.1 }",
    ] {
        let found = warnings(text);
        assert!(
            found.iter().all(|one| one.contains("AGX0102")),
            "{text}: {found:?}"
        );
    }
}
