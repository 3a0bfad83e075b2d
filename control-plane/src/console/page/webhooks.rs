//! Executions of webhooks: the latest, one in detail, and doing one again.

use std::sync::Arc;

use agix_core::limits::{CONSOLE_ROWS, CONSOLE_TEXT_BYTES};
use agix_proto::v1::webhook_result::Outcome;
use agix_proto::v1::{
    ExecutionState, GetExecutionRequest, GetExecutionResponse, GetQueueRequest,
    ListExecutionsRequest, ReplayRequest, WebhookExecution,
};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Serialize;

use super::Page;
use crate::console::Console;
use crate::console::error::PageError;
use crate::console::form::Fields;
use crate::console::guard::{Calls, Visitor};
use crate::console::view::{Moment, count, cut, span, usd};

#[derive(Debug, Serialize)]
struct Webhooks {
    queue: Queue,
    webhook: String,
    state: String,
    executions: Vec<Execution>,
    more: bool,
}

/// How full the queue is.
#[derive(Debug, Serialize)]
pub(super) struct Queue {
    open: String,
    waiting: String,
    workers: u32,
    pub(super) dead: u64,
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Execution {
    id: String,
    webhook: String,
    received: Moment,
    state: &'static str,
    /// `ok`, `near`, `full`.
    level: &'static str,
    model: String,
    latency: String,
    cost: String,
    error: Option<String>,
    runs: u32,
    callbacks: u32,
    is_alert: bool,
    replay_of: Option<String>,
    can_be_replayed: bool,
}

#[derive(Debug, Serialize)]
struct Detail {
    execution: Execution,
    payload: Option<String>,
    headers: Vec<(String, String)>,
    output: Option<String>,
    prompt: Option<String>,
    tries: Vec<Try>,
    calls: Vec<(String, String)>,
    proxy: Option<String>,
    due: Option<Moment>,
}

#[derive(Debug, Serialize)]
struct Try {
    at: Moment,
    what: &'static str,
    proxy: String,
    outcome: String,
    latency: String,
}

/// `/webhooks`
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Page {
    let fields = Fields::of_query(&uri);
    let webhook = fields.get("webhook").unwrap_or_default().to_owned();
    let state = fields.get("state").unwrap_or_default().to_owned();
    let request = ListExecutionsRequest {
        webhook: webhook.clone(),
        states: states(&state),
        since_ms: 0,
        most: CONSOLE_ROWS,
    };
    let answer = visitor.calls.webhooks().list_executions(request).await?;
    let answer = answer.into_inner();
    let executions = answer.executions.iter();
    let page = Webhooks {
        queue: queue(&visitor.calls).await?,
        executions: executions.map(|it| execution(&console, it)).collect(),
        webhook,
        state,
        more: answer.more,
    };
    console
        .page(&visitor, ("webhooks.html", "webhooks", "Webhooks"), &page)
        .await
}

/// `/webhooks/{id}`
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Page {
    detail(&console, &visitor, id, "webhook.html").await
}

/// `/webhooks/{id}/replay`
pub(super) async fn ask_replay(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Page {
    detail(&console, &visitor, id, "replay.html").await
}

/// The same, confirmed.
pub(super) async fn replay(
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let answer = visitor
        .calls
        .webhooks()
        .replay(ReplayRequest { id })
        .await?;
    let id = answer.into_inner().execution_id;
    Ok(Redirect::to(&format!("/webhooks/{id}")).into_response())
}

/// How full the queue is.
pub(super) async fn queue(calls: &Calls) -> Result<Queue, PageError> {
    let answer = calls.webhooks().get_queue(GetQueueRequest {}).await?;
    let answer = answer.into_inner();
    Ok(Queue {
        open: count(answer.open.into()),
        waiting: count(answer.waiting.into()),
        workers: answer.workers,
        dead: answer.webhooks.iter().map(|it| u64::from(it.dead)).sum(),
        names: answer.webhooks.into_iter().map(|it| it.webhook).collect(),
    })
}

async fn detail(console: &Console, visitor: &Visitor, id: String, template: &str) -> Page {
    let request = GetExecutionRequest { id };
    let answer = visitor.calls.webhooks().get_execution(request).await?;
    let page = Detail::new(console, answer.into_inner())?;
    let title = format!("Webhook {}", page.execution.id);
    console
        .page(visitor, (template, "webhooks", &title), &page)
        .await
}

impl Detail {
    fn new(console: &Console, answer: GetExecutionResponse) -> Result<Self, PageError> {
        let found = answer.execution;
        let found = found.ok_or(PageError::Missing("execution of this id"))?;
        let result = answer.result.unwrap_or_default();
        let (payload, headers) = answer.payload.map_or_else(Default::default, |payload| {
            let text = String::from_utf8_lossy(&payload.body);
            let text = cut(&text, CONSOLE_TEXT_BYTES).to_owned();
            let headers = payload.headers.into_iter();
            let headers = headers.map(|it| (it.name, it.value)).collect();
            (Some(text).filter(|text| !text.is_empty()), headers)
        });
        let output = match result.outcome {
            Some(Outcome::Answer(answer)) => {
                Some(cut(&answer.output, CONSOLE_TEXT_BYTES).to_owned())
            }
            Some(Outcome::Failure(_)) | None => None,
        };
        let calls = result.calls.into_iter();
        let tries = found.tries.iter().map(|it| Try {
            at: console.moment(i64::try_from(it.at_ms).unwrap_or(i64::MAX)),
            what: if it.is_callback { "callback" } else { "model" },
            proxy: it.proxy_id.clone(),
            outcome: it.outcome.clone(),
            latency: span(it.latency_ms),
        });
        let due = found
            .due_ms
            .map(|it| console.moment(i64::try_from(it).unwrap_or(i64::MAX)));
        Ok(Self {
            tries: tries.collect(),
            calls: calls
                .map(|it| (format!("{} at {}", it.model, it.provider), it.outcome))
                .collect(),
            prompt: result.prompt,
            proxy: found.proxy_id.clone(),
            due,
            execution: execution(console, &found),
            payload,
            headers,
            output,
        })
    }
}

fn execution(console: &Console, found: &WebhookExecution) -> Execution {
    let (state, level) = match found.state() {
        ExecutionState::Pending => ("pending", "near"),
        ExecutionState::Running => ("running", "near"),
        ExecutionState::CallingBack => ("calling back", "near"),
        ExecutionState::Succeeded => ("succeeded", "ok"),
        ExecutionState::Failed => ("failed", "full"),
        ExecutionState::Dead => ("dead", "full"),
        ExecutionState::Unspecified => ("unknown", "full"),
    };
    let summary = found.summary.clone().unwrap_or_default();
    let has_summary = found.summary.is_some();
    Execution {
        id: found.id.clone(),
        webhook: found.webhook.clone(),
        received: console.moment(i64::try_from(found.received_ms).unwrap_or(i64::MAX)),
        state,
        level,
        model: summary.model.unwrap_or_default(),
        latency: if has_summary {
            span(summary.latency_ms)
        } else {
            String::new()
        },
        cost: summary.cost_nano_usd.map(usd).unwrap_or_default(),
        error: summary.error,
        runs: found.runs,
        callbacks: found.callbacks,
        is_alert: found.is_alert,
        replay_of: found.replay_of.clone(),
        can_be_replayed: found.finished_ms.is_some(),
    }
}

/// The states that a word in the address asks for; none: all.
fn states(word: &str) -> Vec<i32> {
    let states: &[ExecutionState] = match word {
        "open" => &[
            ExecutionState::Pending,
            ExecutionState::Running,
            ExecutionState::CallingBack,
        ],
        "succeeded" => &[ExecutionState::Succeeded],
        "failed" => &[ExecutionState::Failed, ExecutionState::Dead],
        _ => &[],
    };
    states.iter().map(|state| i32::from(*state)).collect()
}
