//! A record as a line of JSON.

use agix_core::id::{AgentName, ProxyId, Revision};
use agix_core::time::Wall;
use agix_core::units::NanoUsd;
use agix_core::usage::{Cost, UsageSource};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::record::Bill;
use crate::trail::{Call, Origin, Told};

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    proxy: &'a str,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What<'a> {
    Request(Box<Finished<'a>>),
    Lost { records: u64 },
}

#[derive(Serialize)]
struct Finished<'a> {
    request_id: &'a str,
    trace_id: String,
    agent: Option<&'a str>,
    from: Option<String>,
    endpoint: Option<String>,
    webhook: Option<&'a str>,
    model_asked: Option<&'a str>,
    model_answered: Option<&'a str>,
    provider: Option<&'a str>,
    stream: bool,
    decision: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    status: Option<u16>,
    attempts: Vec<Attempt<'a>>,
    tokens: Option<Tokens>,
    /// Null if nobody knows.
    cost_usd: Option<Box<RawValue>>,
    cost_nano_usd: Option<u64>,
    duration_ms: u64,
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
}

#[derive(Serialize)]
struct Attempt<'a> {
    model: &'a str,
    provider: &'a str,
    outcome: &'static str,
    reason: Option<&'a str>,
    status: Option<u16>,
    duration_ms: Option<u64>,
}

#[derive(Serialize)]
struct Tokens {
    input: u64,
    cached_input: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    estimated: bool,
}

#[derive(Serialize)]
struct Content<'a> {
    request: std::borrow::Cow<'a, str>,
    answer: std::borrow::Cow<'a, str>,
    /// Whether either is longer than is kept.
    cut: bool,
}

/// The line of a request.
pub(super) fn of(told: &Told, proxy: &ProxyId) -> Vec<u8> {
    let facts = &told.facts;
    let call = facts.call.as_ref();
    let (endpoint, from, webhook) = match &told.head.origin {
        Origin::Caller {
            method,
            route,
            peer,
        } => {
            let endpoint = route.map(|route| format!("{method} {route}"));
            (endpoint, peer.map(|peer| peer.to_string()), None)
        }
        Origin::Webhook { name } => (None, None, Some(name.as_str())),
    };
    let target = call.and_then(|call| call.plan.targets.get(call.answered?));
    let bill = call.and_then(|call| call.bill);
    let cost = match bill.map(|bill| bill.cost) {
        Some(Cost::Known(amount, _)) => Some(amount),
        Some(Cost::Unknown) => None,
        None => Some(NanoUsd::ZERO),
    };
    let asked = Finished {
        request_id: &told.head.request_id,
        trace_id: format!("{:032x}", told.head.trace.id),
        agent: facts.agent.as_ref().map(AgentName::as_str),
        from,
        endpoint,
        webhook,
        model_asked: call.map(|call| call.plan.asked.as_str()),
        model_answered: target.map(|target| target.model.as_str()),
        provider: target.map(|target| target.provider.name.as_str()),
        stream: call.is_some_and(|call| call.stream),
        decision: if told.is_refused() {
            "refused"
        } else {
            "allowed"
        },
        outcome: told.outcome(),
        reason: facts.refused,
        status: facts.status,
        attempts: call.map(attempts).unwrap_or_default(),
        tokens: bill.as_ref().map(tokens),
        cost_usd: cost.and_then(number),
        cost_nano_usd: cost.map(NanoUsd::as_nanos),
        duration_ms: millis(told.ended.since(told.head.began)),
        revision: facts.revision.map(Revision::number),
        content: facts.content.as_ref().map(|content| {
            let (request, is_cut) = content.request();
            let (answer, too) = content.answer();
            Content {
                request: String::from_utf8_lossy(request),
                answer: String::from_utf8_lossy(answer),
                cut: is_cut || too,
            }
        }),
    };
    written(
        "request",
        told.head.began_at,
        proxy,
        What::Request(Box::new(asked)),
    )
}

/// The line that says how many records there are not.
pub(super) fn lost(records: u64, now: Wall, proxy: &ProxyId) -> Vec<u8> {
    written("lost", now, proxy, What::Lost { records })
}

fn written(kind: &'static str, time: Wall, proxy: &ProxyId, what: What<'_>) -> Vec<u8> {
    let time = Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
    let line = Line {
        kind,
        time: format!("{time:.3}"),
        proxy: proxy.as_str(),
        what,
    };
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn attempts(call: &Call) -> Vec<Attempt<'_>> {
    let tried = call.tries.iter().filter_map(|one| {
        let target = call.plan.targets.get(one.place)?;
        Some(Attempt {
            model: target.model.as_str(),
            provider: target.provider.name.as_str(),
            outcome: call.outcome(one),
            reason: one.fault.map(|(reason, _)| reason),
            status: one.fault.and_then(|(_, status)| status),
            duration_ms: Some(millis(
                one.ended
                    .or(call.ended)
                    .unwrap_or(one.began)
                    .since(one.began),
            )),
        })
    });
    let skipped = call.skipped.iter().filter_map(|(place, reason, _)| {
        let target = call.plan.targets.get(*place)?;
        Some(Attempt {
            model: target.model.as_str(),
            provider: target.provider.name.as_str(),
            outcome: "skipped",
            reason: Some(reason),
            status: None,
            duration_ms: None,
        })
    });
    tried.chain(skipped).collect()
}

fn tokens(bill: &Bill) -> Tokens {
    let usage = &bill.usage;
    Tokens {
        input: usage.input.get(),
        cached_input: usage.cached_input.get(),
        cache_write: usage
            .cache_write_5m
            .saturating_add(usage.cache_write_1h)
            .get(),
        output: usage.output.get(),
        reasoning: usage.reasoning.get(),
        estimated: bill.source == UsageSource::Estimated,
    }
}

/// An amount with all its digits.
fn number(amount: NanoUsd) -> Option<Box<RawValue>> {
    RawValue::from_string(amount.to_string()).ok()
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
