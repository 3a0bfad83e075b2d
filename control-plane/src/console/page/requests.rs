//! The latest requests: who asked for what, who answered, and why it was somebody else. Nothing of
//! what was asked and answered.

use std::sync::Arc;

use agix_core::limits::CONSOLE_ROWS;
use agix_proto::v1::{ListRequestsRequest, RequestStep, RequestSummary};
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;

use super::Page;
use crate::console::Console;
use crate::console::form::Fields;
use crate::console::guard::Visitor;
use crate::console::view::{Moment, count, span, usd};

#[derive(Debug, Serialize)]
struct Requests {
    agent: String,
    model: String,
    outcome: String,
    list: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    trace: String,
    began: Moment,
    proxy: String,
    agent: String,
    webhook: String,
    asked: String,
    answered: String,
    provider: String,
    outcome: &'static str,
    /// `ok`, `near`, `full`.
    level: &'static str,
    reason: String,
    status: u32,
    steps: Vec<String>,
    duration: String,
    tokens: String,
    cost: String,
}

/// `/requests`
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Page {
    let fields = Fields::of_query(&uri);
    let field = |name| fields.get(name).unwrap_or_default().to_owned();
    let (agent, model, outcome) = (field("agent"), field("model"), field("outcome"));
    let request = ListRequestsRequest {
        agent: agent.clone(),
        model: model.clone(),
        outcome: outcome.clone(),
        most: CONSOLE_ROWS,
    };
    let answer = visitor.calls.traffic().list_requests(request).await?;
    let found = answer.into_inner().requests.into_iter();
    let page = Requests {
        list: found.map(|it| row(&console, it)).collect(),
        agent,
        model,
        outcome,
    };
    console
        .page(&visitor, ("requests.html", "requests", "Requests"), &page)
        .await
}

fn row(console: &Console, request: RequestSummary) -> Row {
    let fell_over =
        !request.model_answered.is_empty() && request.model_answered != request.model_asked;
    let (outcome, level) = match request.outcome.as_str() {
        "answered" if fell_over => ("failed over", "near"),
        "answered" => ("answered", "ok"),
        "refused" => ("refused", "near"),
        "caller_left" => ("caller left", "near"),
        _ => ("failed", "full"),
    };
    Row {
        outcome,
        level,
        steps: request.steps.iter().filter_map(why).collect(),
        began: console.moment(request.began_unix_ms),
        duration: span(request.duration_ms),
        tokens: format!(
            "{} in, {} out",
            count(request.input_tokens),
            count(request.output_tokens)
        ),
        cost: request
            .cost_nano_usd
            .map_or_else(|| "unknown".to_owned(), usd),
        id: request.request_id,
        trace: request.trace_id,
        proxy: request.proxy_id,
        agent: request.agent,
        webhook: request.webhook,
        asked: request.model_asked,
        answered: request.model_answered,
        provider: request.provider,
        reason: request.reason,
        status: request.status,
    }
}

/// Why a target did not answer: `gpt-4o at openai: unavailable (503), 120 ms`.
fn why(step: &RequestStep) -> Option<String> {
    let RequestStep {
        model,
        provider,
        outcome,
        reason,
        status,
        duration_ms,
    } = step;
    let target = format!("{model} at {provider}");
    match outcome.as_str() {
        "answered" => None,
        "skipped" => Some(format!("{target} passed over: {reason}")),
        _ => {
            let status = match status {
                0 => String::new(),
                status => format!(" ({status})"),
            };
            let reason = if reason.is_empty() { outcome } else { reason };
            Some(format!(
                "{target}: {reason}{status}, {}",
                span(*duration_ms)
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_why_its_target_did_not_answer() {
        let step = |outcome: &str, reason: &str, status| RequestStep {
            model: "gpt-4o".to_owned(),
            provider: "openai".to_owned(),
            outcome: outcome.to_owned(),
            reason: reason.to_owned(),
            status,
            duration_ms: 120,
        };
        let why = |outcome, reason, status| why(&step(outcome, reason, status));
        assert_eq!(why("answered", "", 0), None);
        assert_eq!(
            why("failed", "unavailable", 503).as_deref(),
            Some("gpt-4o at openai: unavailable (503), 120 ms")
        );
        assert_eq!(
            why("skipped", "over budget", 0).as_deref(),
            Some("gpt-4o at openai passed over: over budget")
        );
    }
}
