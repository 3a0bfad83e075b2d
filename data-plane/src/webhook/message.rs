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

/// The headers of a callback: signed in agix's own way by the newest secret, and as Standard Webhooks
/// are by every secret that counts.
pub(super) fn headers(hook: &Hook, id: ExecutionId, now: Wall, body: &[u8]) -> HeaderMap {
    let seconds = now.as_millis().div_euclid(1_000);
    // An empty secret proves nothing: whoever sees the code could have made it.
    let secrets = hook.secrets().filter(|secret| !secret.is_empty());
    signed(secrets, &id.to_string(), seconds, body)
}

fn signed<'a>(
    secrets: impl Iterator<Item = &'a str>,
    id: &str,
    seconds: i64,
    body: &[u8],
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    add(&mut headers, signature::STANDARD_ID, id);
    add(&mut headers, signature::STANDARD_TIME, &seconds.to_string());
    let mut codes = Vec::new();
    for secret in secrets {
        for scheme in [SignatureScheme::Agix, SignatureScheme::Standard] {
            for (name, value) in signature::sign(scheme, secret, id, seconds, body) {
                match name {
                    signature::STANDARD => codes.push(value),
                    _ if headers.contains_key(name) => {}
                    _ => add(&mut headers, name, &value),
                }
            }
        }
    }
    if !codes.is_empty() {
        add(&mut headers, signature::STANDARD, &codes.join(" "));
    }
    headers
}

fn add(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agix_core::webhook::signature::Delivery;

    use super::*;

    const BODY: &[u8] = b"{}";
    const SECONDS: i64 = 1_700_000_000;

    fn is_good(headers: &HeaderMap, scheme: SignatureScheme, secret: &str) -> bool {
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let delivery = Delivery {
            header: &header,
            body: BODY,
            now: Wall::from_millis(SECONDS * 1_000),
        };
        delivery
            .verify(scheme, &[secret], Duration::from_secs(1))
            .is_ok()
    }

    #[test]
    fn a_callback_is_good_for_whoever_knows_a_live_secret() {
        let headers = signed(["new", "old"].into_iter(), "exec_1", SECONDS, BODY);
        assert!(is_good(&headers, SignatureScheme::Agix, "new"));
        assert!(!is_good(&headers, SignatureScheme::Agix, "old"));
        assert!(is_good(&headers, SignatureScheme::Standard, "new"));
        assert!(is_good(&headers, SignatureScheme::Standard, "old"));
        assert!(!is_good(&headers, SignatureScheme::Standard, "another"));
    }

    #[test]
    fn without_a_secret_nothing_pretends_to_be_signed() {
        let headers = signed(std::iter::empty(), "exec_1", SECONDS, BODY);
        assert_eq!(headers["webhook-id"], "exec_1");
        assert!(!headers.contains_key(signature::AGIX));
        assert!(!headers.contains_key(signature::STANDARD));
    }
}
