//! What is told of an execution: the body of a callback, and of the answer to whoever waits.

use agix_core::ledger::AlertPeriod;
use agix_core::policy::SignatureScheme;
use agix_core::time::Wall;
use agix_core::units::NanoUsd;
use agix_core::webhook::execution::ExecutionId;
use agix_core::webhook::outcome::{BudgetAlert, RunResult};
use agix_core::webhook::{signature, template};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::snapshot::Hook;

#[derive(Serialize)]
struct Report<'a> {
    execution_id: String,
    webhook: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsagePart>,
    /// Absent: nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<Box<RawValue>>,
    latency_ms: u64,
    attempts: Vec<Attempt<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<AlertPart<'a>>,
}

#[derive(Serialize)]
struct UsagePart {
    input_tokens: u64,
    output_tokens: u64,
}

#[derive(Serialize)]
struct Attempt<'a> {
    model: &'a str,
    provider: &'a str,
    outcome: &'a str,
}

#[derive(Serialize)]
struct ErrorPart<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Alert<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    execution_id: String,
    webhook: &'a str,
    timestamp: String,
    #[serde(flatten)]
    crossed: AlertPart<'a>,
}

#[derive(Serialize)]
struct AlertPart<'a> {
    agent: &'a str,
    period: String,
    threshold_percent: u8,
    spent_percent: u64,
    spent_usd: Box<RawValue>,
    limit_usd: Box<RawValue>,
    remaining_usd: Box<RawValue>,
}

/// What became of an execution, as JSON.
pub(super) fn report(
    id: ExecutionId,
    webhook: &str,
    result: &RunResult,
    alert: Option<&BudgetAlert>,
) -> Bytes {
    let answer = result.outcome.as_ref().ok();
    let failure = result.outcome.as_ref().err();
    let calls = result.calls.iter().map(|call| Attempt {
        model: call.model.as_str(),
        provider: call.provider.as_str(),
        outcome: &call.outcome,
    });
    encode(&Report {
        execution_id: id.to_string(),
        webhook,
        status: if answer.is_some() {
            "succeeded"
        } else {
            "failed"
        },
        model: answer.map(|answer| answer.model.as_str()),
        output: answer.map(|answer| answer.output.as_str()),
        usage: answer.map(|answer| UsagePart {
            input_tokens: answer.input.get(),
            output_tokens: answer.output_tokens.get(),
        }),
        cost_usd: answer.and_then(|answer| answer.cost).map(dollars),
        latency_ms: u64::try_from(result.latency.as_millis()).unwrap_or(u64::MAX),
        attempts: calls.collect(),
        error: failure.map(|failure| ErrorPart {
            kind: &failure.kind,
            message: &failure.message,
        }),
        alert: alert.map(part),
    })
}

/// An alert by itself, as JSON.
pub(super) fn alert(id: ExecutionId, webhook: &str, at: Wall, alert: &BudgetAlert) -> Bytes {
    encode(&Alert {
        kind: "budget_alert",
        execution_id: id.to_string(),
        webhook,
        timestamp: template::timestamp(at),
        crossed: part(alert),
    })
}

fn part(alert: &BudgetAlert) -> AlertPart<'_> {
    AlertPart {
        agent: alert.agent.as_str(),
        period: match alert.period {
            AlertPeriod::Day(day) => day.to_string(),
            AlertPeriod::Month(month) => month.to_string(),
        },
        threshold_percent: alert.percent.get(),
        spent_percent: template::spent_percent(alert),
        spent_usd: dollars(alert.spent),
        limit_usd: dollars(alert.limit),
        remaining_usd: dollars(alert.limit.saturating_sub(alert.spent)),
    }
}

/// An amount as a JSON number, exact.
fn dollars(amount: NanoUsd) -> Box<RawValue> {
    RawValue::from_string(amount.to_string()).unwrap_or_default()
}

fn encode(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).map_or_else(|_never| Bytes::new(), Bytes::from)
}

/// The headers of a callback: signed in agix's own way and as Standard Webhooks are, by every secret
/// that counts where there may be several.
pub(super) fn headers(hook: &Hook, id: ExecutionId, now: Wall, body: &[u8]) -> HeaderMap {
    let id = id.to_string();
    let seconds = now.as_millis().div_euclid(1_000);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut codes = Vec::new();
    for (place, secret) in hook.secrets().enumerate() {
        if place == 0 {
            add(
                &mut headers,
                signature::sign(SignatureScheme::Agix, secret, &id, seconds, body),
            );
        }
        let signed = signature::sign(SignatureScheme::Standard, secret, &id, seconds, body);
        let code = signed.iter().find(|(name, _)| *name == signature::STANDARD);
        codes.extend(code.map(|(_, code)| code.clone()));
        add(&mut headers, signed);
    }
    add(&mut headers, vec![(signature::STANDARD, codes.join(" "))]);
    headers
}

fn add(headers: &mut HeaderMap, signed: Vec<(&'static str, String)>) {
    for (name, value) in signed {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
