//! The values of single resources.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::id::ModelName;
use crate::policy::{
    Agent, Api, Audit, BreakerSettings, Budget, Chain, Enforcement, FailoverSettings, Identity,
    KeyHash, MinThroughput, Model, ModelPattern, OnOutage, Price, Pricing, Provider, RateLimits,
    Reference, ReferencePart, RetryBudgetSettings, Secret, SignatureScheme, SimulatedOutcome,
    Simulation, StreamRescue, TimeZoneName, Timeouts, Tracing, UnknownModel, WebhookDefinition,
    WebhookSettings,
};
use crate::units::{
    AlertPercent, CostRatio, MoneyLimit, PicoUsdPerToken, RequestLimit, SampleRate, TokenLimit,
    Tokens,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

pub(super) fn text_name() -> impl Strategy<Value = String> {
    "[ab][a-c0-9._-]{0,2}"
}

pub(super) fn name<T: FromStr + std::fmt::Debug>() -> impl Strategy<Value = T> {
    text_name().prop_map(|text| text.parse().ok().expect("the name is legal"))
}

fn variable() -> impl Strategy<Value = ReferencePart> {
    ("[A-Z_][A-Z0-9_]{0,5}", of("[^}]{0,6}")).prop_map(|(name, default)| {
        ReferencePart::variable(&name, default.as_deref()).expect("the name is legal")
    })
}

pub(super) fn reference() -> impl Strategy<Value = Reference> {
    let part = prop_oneof![
        ".{0,8}".prop_map(|text| ReferencePart::Literal(Arc::from(text))),
        variable(),
    ];
    prop_oneof![
        "/[a-z/]{0,12}".prop_map(|path| Reference::File(Arc::from(path))),
        vec(part, 0..4).prop_map(Reference::Text),
    ]
}

pub(super) fn secret() -> impl Strategy<Value = Secret> {
    reference().prop_map(Secret::new)
}

fn millis(least: u64) -> impl Strategy<Value = Duration> {
    (least..100_000_000).prop_map(Duration::from_millis)
}

pub(super) fn provider() -> impl Strategy<Value = Provider> {
    (
        select(
            &[
                Api::OpenAi,
                Api::Anthropic,
                Api::Gemini,
                Api::Azure,
                Api::Simulated,
            ][..],
        ),
        of(reference()),
        of(secret()),
        btree_map("[a-z][a-z-]{0,6}", secret(), 0..4),
        of(simulation()),
    )
        .prop_map(|(api, base_url, api_key, headers, simulate)| Provider {
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
        (400_u16..600).prop_map(SimulatedOutcome::Status),
        Just(SimulatedOutcome::Reset),
        Just(SimulatedOutcome::Stall),
        Just(SimulatedOutcome::Truncate),
    ];
    (millis(0), millis(0), any::<u32>(), vec(outcome, 1..5)).prop_map(
        |(first_token, per_token, output_tokens, outcomes)| Simulation {
            first_token,
            per_token,
            output_tokens,
            outcomes,
        },
    )
}

pub(super) fn model() -> impl Strategy<Value = Model> {
    let tokens = || of(any::<u64>().prop_map(Tokens::new));
    (
        name(),
        of(".{1,8}"),
        of(price()),
        tokens(),
        tokens(),
        of(simulation()),
    )
        .prop_map(
            |(provider, upstream_model, price, context_window, max_output_tokens, simulate)| {
                Model {
                    provider,
                    upstream_model,
                    price,
                    context_window,
                    max_output_tokens,
                    simulate,
                }
            },
        )
}

fn price() -> impl Strategy<Value = Price> {
    let part = || any::<u64>().prop_map(PicoUsdPerToken::from_picos);
    (
        part(),
        of(part()),
        of(part()),
        of(part()),
        part(),
        of(part()),
    )
        .prop_map(
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

pub(super) fn pricing() -> impl Strategy<Value = Pricing> {
    prop_oneof![
        Just(UnknownModel::DenyIfBudgeted),
        Just(UnknownModel::Deny),
        price().prop_map(UnknownModel::Price),
    ]
    .prop_map(|unknown_model| Pricing { unknown_model })
}

fn rescue() -> impl Strategy<Value = StreamRescue> {
    let all = [
        StreamRescue::Off,
        StreamRescue::Buffer,
        StreamRescue::Continue,
    ];
    select(all.to_vec())
}

pub(super) fn failover() -> impl Strategy<Value = FailoverSettings> {
    let ratio = (1..u64::MAX).prop_map(|it| CostRatio::from_thousandths(it).expect("not zero"));
    (
        of(any::<u32>()),
        any::<u32>(),
        of(ratio),
        timeouts(),
        rescue(),
        of((1..u32::MAX, millis(1))),
        breaker(),
        (any::<u32>(), any::<u32>()),
        any::<bool>(),
    )
        .prop_map(
            |(
                max_retries,
                same_model_retries,
                max_cost_ratio,
                timeouts,
                stream_rescue,
                throughput,
                breaker,
                (percent, at_least),
                drop_unsupported,
            )| {
                FailoverSettings {
                    max_retries,
                    same_model_retries,
                    max_cost_ratio,
                    timeouts,
                    stream_rescue,
                    min_throughput: throughput.map(|(tokens_per_second, window)| MinThroughput {
                        tokens_per_second,
                        window,
                    }),
                    breaker,
                    retry_budget: RetryBudgetSettings { percent, at_least },
                    drop_unsupported,
                }
            },
        )
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    (millis(1), millis(1), millis(1), millis(1)).prop_map(|(connect, first_token, idle, total)| {
        Timeouts {
            connect,
            first_token,
            idle,
            total,
        }
    })
}

fn breaker() -> impl Strategy<Value = BreakerSettings> {
    (
        1..u32::MAX,
        1_u8..=100,
        1..u32::MAX,
        millis(1),
        millis(1),
        millis(1),
    )
        .prop_map(
            |(consecutive_failures, error_percent, min_requests, window, open, max_open)| {
                BreakerSettings {
                    consecutive_failures,
                    error_percent,
                    min_requests,
                    window,
                    open,
                    max_open,
                }
            },
        )
}

pub(super) fn chain() -> impl Strategy<Value = (ModelName, Chain)> {
    (btree_set(name::<ModelName>(), 2..6), of(rescue())).prop_map(|(names, stream_rescue)| {
        let mut names = names.into_iter();
        let head = names.next().expect("two names at least");
        (
            head,
            Chain {
                targets: names.rev().collect(),
                stream_rescue,
            },
        )
    })
}

fn on_outage() -> impl Strategy<Value = OnOutage> {
    select(&[OnOutage::Deny, OnOutage::Held, OnOutage::Allow][..])
}

pub(super) fn rate_limits() -> impl Strategy<Value = RateLimits> {
    let requests = || of((1..u32::MAX).prop_map(|it| RequestLimit::new(it).expect("not zero")));
    let tokens = of((1..u64::MAX).prop_map(|it| TokenLimit::new(it).expect("not zero")));
    (requests(), requests(), tokens, requests(), on_outage()).prop_map(
        |(requests_per_minute, requests_per_hour, tokens_per_minute, max_concurrent, on_outage)| {
            RateLimits {
                requests_per_minute,
                requests_per_hour,
                tokens_per_minute,
                max_concurrent,
                on_outage,
            }
        },
    )
}

pub(super) fn budget() -> impl Strategy<Value = Budget> {
    let money = || (1..u64::MAX).prop_map(|it| MoneyLimit::from_nanos(it).expect("not zero"));
    let amounts = prop_oneof![
        (money().prop_map(Some), of(money())),
        (Just(None), money().prop_map(Some)),
    ];
    let percent = (1_u64..=100).prop_map(|it| AlertPercent::new(it).expect("in range"));
    let alerts = (btree_set(percent, 0..4), name());
    let zone = select(&["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"][..])
        .prop_map(|text| TimeZoneName::new(text, |_| true).expect("the name is legal"));
    let enforcement = select(&[Enforcement::Hard, Enforcement::Soft][..]);
    (amounts, alerts, zone, enforcement, of(on_outage())).prop_map(
        |(
            (daily, monthly),
            (alert_at_percent, alert_webhook),
            timezone,
            enforcement,
            on_outage,
        )| Budget {
            daily,
            monthly,
            alert_at_percent,
            alert_webhook,
            timezone,
            enforcement,
            on_outage,
        },
    )
}

pub(super) fn agent() -> impl Strategy<Value = Agent> {
    let pattern = "[a-z*][a-z0-9*./-]{0,8}"
        .prop_map(|text| ModelPattern::new(&text).expect("the pattern is legal"));
    (
        vec(any::<[u8; 32]>().prop_map(KeyHash::from_bytes), 0..3),
        vec(pattern, 0..3),
        of(name()),
    )
        .prop_map(|(keys, models, group)| Agent {
            keys,
            models,
            group,
        })
}

pub(super) fn identity() -> impl Strategy<Value = Identity> {
    (any::<bool>(), name()).prop_map(|(require_key, default_agent)| Identity {
        require_key,
        default_agent,
    })
}

pub(super) fn webhook_settings() -> impl Strategy<Value = WebhookSettings> {
    any::<bool>().prop_map(|enabled| WebhookSettings { enabled })
}

pub(super) fn webhook() -> impl Strategy<Value = WebhookDefinition> {
    let scheme = select(&SignatureScheme::NAMED[..]).prop_map(|(_, scheme)| scheme);
    let received = (secret(), of(secret()), scheme, millis(1), 1..=u32::MAX);
    let run = (
        of((name(), ".{0,40}")),
        of(name()),
        1..=u32::MAX,
        of(millis(1)),
    );
    let called = (of(reference()), vec(millis(1), 0..4));
    (received, run, called, any::<[bool; 4]>()).prop_map(
        |(
            (secret, previous_secret, scheme, tolerance, max_payload_bytes),
            (prompt, agent, max_attempts, timeout),
            (callback_url, callback_retries),
            [enabled, keep_prompt, allow_insecure, allow_private],
        )| {
            let (model, prompt_template) = prompt.unzip();
            WebhookDefinition {
                enabled,
                secret,
                previous_secret,
                scheme,
                tolerance,
                max_payload_bytes,
                model,
                prompt_template,
                agent,
                max_attempts,
                timeout,
                keep_prompt,
                callback_url,
                callback_retries,
                allow_insecure,
                allow_private,
            }
        },
    )
}

pub(super) fn audit() -> impl Strategy<Value = Audit> {
    any::<(bool, bool)>().prop_map(|(enabled, content_log)| Audit {
        enabled,
        content_log,
    })
}

pub(super) fn tracing() -> impl Strategy<Value = Tracing> {
    let parts = (any::<bool>(), 0_u32..=1_000_000, any::<bool>());
    parts.prop_map(|(enabled, millionths, propagate)| Tracing {
        enabled,
        propagate,
        sample_rate: SampleRate::from_millionths(millionths).expect("in range"),
    })
}
