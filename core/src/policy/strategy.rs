//! Policies for property tests: every kind of resource and every variant, legal or not, with few
//! names so that two policies have entries in common.

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::id::{AgentName, GroupName, ModelName, ProviderName, WebhookName};
use crate::policy::{
    Agent, Api, Audit, BreakerSettings, Budget, Chain, Enforcement, FailoverSettings, Identity,
    KeyHash, Model, ModelPattern, OnOutage, Policy, Price, Pricing, Provider, RateLimits,
    Reference, Secret, SimulatedOutcome, Simulation, StreamRescue, TimeZoneName, Timeouts, Tracing,
    UnknownModel, WebhookDefinition, WebhookSettings,
};
use crate::units::{
    AlertPercent, CostRatio, MoneyLimit, PicoUsdPerToken, RequestLimit, SampleRate, TokenLimit,
    Tokens,
};

macro_rules! names {
    ($name:ident, $type:ident) => {
        fn $name() -> impl Strategy<Value = $type> {
            "[a-c]{1,2}".prop_map(|text| $type::new(&text).unwrap())
        }
    };
}

names!(agent_name, AgentName);
names!(group_name, GroupName);
names!(model_name, ModelName);
names!(provider_name, ProviderName);
names!(webhook_name, WebhookName);

/// Any policy that the types allow.
pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    let entries = (
        btree_map(provider_name(), provider(), 0..3),
        btree_map(model_name(), model(), 0..3),
        btree_map(model_name(), chain(), 0..3),
        btree_map(agent_name(), rate_limits(), 0..3),
        btree_map(agent_name(), budget(), 0..3),
        btree_map(agent_name(), agent(), 0..3),
        btree_map(webhook_name(), webhook(), 0..3),
    );
    let settings = (
        pricing(),
        failover(),
        (any::<bool>(), agent_name()),
        any::<bool>(),
        any::<bool>(),
        (any::<bool>(), 0..=1_000_000_u32),
    );
    (entries, settings).prop_map(|(entries, settings)| {
        let (providers, models, chains, rate_limits, budgets, agents, webhooks) = entries;
        let (pricing, failover, identity, webhooks_enabled, audit, tracing) = settings;
        Policy {
            providers,
            models,
            pricing,
            failover,
            chains,
            rate_limits,
            budgets,
            agents,
            identity: Identity {
                require_key: identity.0,
                default_agent: identity.1,
            },
            webhook_settings: WebhookSettings {
                enabled: webhooks_enabled,
            },
            webhooks,
            audit: Audit { enabled: audit },
            tracing: Tracing {
                enabled: tracing.0,
                sample_rate: SampleRate::from_millionths(tracing.1).unwrap(),
            },
        }
    })
}

fn millis() -> impl Strategy<Value = Duration> {
    (0..100_000_u64).prop_map(Duration::from_millis)
}

fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        "[a-z$/:]{1,8}".prop_map(|text| Reference::literal(&text)),
        "[A-Z]{1,4}".prop_map(|name| Reference::parse(&format!("http://${{{name}}}/")).unwrap()),
        "[A-Z]{1,4}".prop_map(|name| Reference::parse(&format!("${{{name}:-x}}")).unwrap()),
        "/[a-z]{1,6}".prop_map(|path| Reference::File(path.into())),
    ]
}

fn secret() -> impl Strategy<Value = Secret> {
    reference().prop_map(Secret::new)
}

fn provider() -> impl Strategy<Value = Provider> {
    let api = prop_oneof![
        Just(Api::OpenAi),
        Just(Api::Anthropic),
        Just(Api::Simulated)
    ];
    let parts = (
        api,
        option::of(reference()),
        option::of(secret()),
        btree_map("[a-z]{1,4}", secret(), 0..3),
        option::of(simulation()),
    );
    parts.prop_map(|(api, base_url, api_key, headers, simulate)| Provider {
        api,
        base_url,
        api_key,
        headers,
        simulate,
    })
}

fn simulation() -> impl Strategy<Value = Simulation> {
    let outcome = prop_oneof![
        Just(SimulatedOutcome::Answer),
        (400..600_u16).prop_map(SimulatedOutcome::Status),
        Just(SimulatedOutcome::Reset),
        Just(SimulatedOutcome::Stall),
        Just(SimulatedOutcome::Truncate),
    ];
    let parts = (millis(), millis(), 1..100_u32, vec(outcome, 1..4));
    parts.prop_map(
        |(first_token, per_token, output_tokens, outcomes)| Simulation {
            first_token,
            per_token,
            output_tokens,
            outcomes,
        },
    )
}

fn model() -> impl Strategy<Value = Model> {
    let tokens = || option::of((1..1_000_u64).prop_map(Tokens::new));
    let parts = (
        provider_name(),
        option::of("[a-z]{1,4}"),
        option::of(price()),
        tokens(),
        tokens(),
        option::of(simulation()),
    );
    parts.prop_map(
        |(provider, upstream_model, price, window, output, simulate)| Model {
            provider,
            upstream_model,
            price,
            context_window: window,
            max_output_tokens: output,
            simulate,
        },
    )
}

fn price() -> impl Strategy<Value = Price> {
    let amount = || (0..100_000_000_u64).prop_map(PicoUsdPerToken::from_picos);
    let parts = (
        amount(),
        option::of(amount()),
        option::of(amount()),
        option::of(amount()),
        amount(),
        option::of(amount()),
    );
    parts.prop_map(
        |(input, cached_input, cache_write, cache_write_1h, output, reasoning)| Price {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
        },
    )
}

fn pricing() -> impl Strategy<Value = Pricing> {
    let rule = prop_oneof![
        Just(UnknownModel::DenyIfBudgeted),
        Just(UnknownModel::Deny),
        price().prop_map(UnknownModel::Price),
    ];
    rule.prop_map(|unknown_model| Pricing { unknown_model })
}

fn failover() -> impl Strategy<Value = FailoverSettings> {
    let rescue = prop_oneof![
        Just(StreamRescue::Off),
        Just(StreamRescue::Buffer),
        Just(StreamRescue::Continue),
    ];
    let timeouts = (millis(), millis(), millis(), millis());
    let breaker = (1..9_u32, 1..=100_u8, 1..9_u32, millis(), millis(), millis());
    let parts = (
        option::of(0..9_u32),
        0..9_u32,
        option::of(1..9_000_u64),
        timeouts,
        rescue,
        breaker,
    );
    let settings = parts.prop_map(|(retries, same, ratio, timeouts, stream_rescue, breaker)| {
        FailoverSettings {
            max_retries: retries,
            same_model_retries: same,
            max_cost_ratio: ratio.and_then(CostRatio::from_thousandths),
            timeouts: Timeouts {
                connect: timeouts.0,
                first_token: timeouts.1,
                idle: timeouts.2,
                total: timeouts.3,
            },
            stream_rescue,
            breaker: BreakerSettings {
                consecutive_failures: breaker.0,
                error_percent: breaker.1,
                min_requests: breaker.2,
                window: breaker.3,
                open: breaker.4,
                max_open: breaker.5,
            },
        }
    });
    prop_oneof![Just(FailoverSettings::default()), settings]
}

fn chain() -> impl Strategy<Value = Chain> {
    vec(model_name(), 1..4).prop_map(|targets| Chain { targets })
}

fn on_outage() -> impl Strategy<Value = OnOutage> {
    prop_oneof![
        Just(OnOutage::Deny),
        Just(OnOutage::Held),
        Just(OnOutage::Allow)
    ]
}

fn rate_limits() -> impl Strategy<Value = RateLimits> {
    let limit = || option::of(1..9_u32);
    let parts = (limit(), limit(), option::of(1..9_u64), limit(), on_outage());
    parts.prop_map(|(minute, hour, tokens, concurrent, on_outage)| RateLimits {
        requests_per_minute: minute.and_then(RequestLimit::new),
        requests_per_hour: hour.and_then(RequestLimit::new),
        tokens_per_minute: tokens.and_then(TokenLimit::new),
        max_concurrent: concurrent.and_then(RequestLimit::new),
        on_outage,
    })
}

fn budget() -> impl Strategy<Value = Budget> {
    let amount = || option::of(1..1_000_000_000_000_u64);
    let zone = prop_oneof![Just("UTC"), Just("Europe/Berlin")];
    let enforcement = prop_oneof![Just(Enforcement::Hard), Just(Enforcement::Soft)];
    let parts = (
        amount(),
        amount(),
        option::of(1..=100_u64),
        zone,
        enforcement,
        option::of(on_outage()),
    );
    parts.prop_map(
        |(daily, monthly, percent, zone, enforcement, on_outage)| Budget {
            daily: daily.and_then(MoneyLimit::from_nanos),
            monthly: monthly.and_then(MoneyLimit::from_nanos),
            alert_at_percent: percent.and_then(AlertPercent::new),
            timezone: TimeZoneName::new(zone, |_| true).unwrap(),
            enforcement,
            on_outage,
        },
    )
}

fn agent() -> impl Strategy<Value = Agent> {
    let key = any::<[u8; 32]>().prop_map(KeyHash::from_bytes);
    let pattern = "[a-c*]{1,3}".prop_map(|text| ModelPattern::new(&text).unwrap());
    let parts = (vec(key, 0..3), vec(pattern, 0..3), option::of(group_name()));
    parts.prop_map(|(keys, models, group)| Agent {
        keys,
        models,
        group,
    })
}

fn webhook() -> impl Strategy<Value = WebhookDefinition> {
    let parts = (
        secret(),
        option::of(model_name()),
        option::of("[a-z{}. \n]{1,9}"),
        option::of(reference()),
    );
    parts.prop_map(
        |(secret, model, prompt_template, callback_url)| WebhookDefinition {
            secret,
            model,
            prompt_template,
            callback_url,
        },
    )
}
