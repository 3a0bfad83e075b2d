//! `webhook show`: everything that is kept of one execution.

use agix_core::webhook::execution::{Execution, Origin};
use agix_core::webhook::outcome::{BudgetAlert, Payload, RunResult};
use serde::Serialize;

use super::{ExecutionView, execution_id, get};
use crate::client::{CallError, Client};
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View, clean, exact_usd, local, rfc3339};

/// Arguments of `webhook show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The execution; `agixctl webhook history -o wide` shows the ids
    #[arg(value_parser = execution_id)]
    id: String,

    /// Show what was received, too
    #[arg(long)]
    payload: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    execution: ExecutionView,
    origin: String,
    payload_sha256: String,
    payload_bytes: u64,
    headers: Vec<(String, String)>,
    payload: Option<String>,
    alert: Option<AlertView>,
    tries: Vec<TryView>,
    calls: Vec<CallView>,
    prompt: Option<String>,
    output: Option<String>,
    next_step_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct AlertView {
    agent: String,
    percent: u8,
    limit_usd: String,
    spent_usd: String,
}

#[derive(Debug, Serialize)]
struct TryView {
    at: Option<String>,
    step: &'static str,
    proxy: String,
    latency_ms: u64,
    outcome: String,
    #[serde(skip)]
    at_ms: i64,
}

#[derive(Debug, Serialize)]
struct CallView {
    model: String,
    provider: String,
    outcome: String,
}

impl View for Shown {
    fn text(&self, _look: Look) -> String {
        let lines = self
            .lines()
            .into_iter()
            .filter(|(_, value)| !value.is_empty());
        let lines = lines.map(|(name, value)| format!("{name:<10}{}\n", clean(&value)));
        let long = [
            ("payload", &self.payload),
            ("prompt", &self.prompt),
            ("output", &self.output),
        ];
        let long = long.into_iter().filter_map(|(name, text)| {
            let lines = text.as_ref()?.lines();
            let lines: Vec<_> = lines.map(|line| format!("  {}\n", clean(line))).collect();
            Some(format!("\n{name}:\n{}", lines.concat()))
        });
        lines.chain(long).collect()
    }
}

impl Shown {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let execution = &self.execution;
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let payload = (self.payload_bytes > 0).then(|| {
            let (bytes, hash) = (self.payload_bytes, &self.payload_sha256);
            format!("{bytes} bytes, sha256 {hash}")
        });
        let cost = execution
            .cost_usd
            .as_ref()
            .map(|cost| format!("{cost} USD"));
        let alert = self.alert.as_ref().map(|alert| {
            let AlertView {
                agent,
                percent,
                limit_usd,
                spent_usd,
            } = alert;
            format!("{agent}: {percent} %, {spent_usd} of {limit_usd} USD")
        });
        let mut lines = vec![
            ("id", execution.id.clone()),
            ("webhook", execution.webhook.clone()),
            ("status", execution.status.to_owned()),
            ("received", local(execution.received_ms)),
            ("from", self.origin.clone()),
            ("payload", payload.unwrap_or_default()),
            ("alert", alert.unwrap_or_default()),
            ("model", or_empty(&execution.model)),
            ("cost", cost.unwrap_or_default()),
            ("error", or_empty(&execution.error)),
            ("next step", or_empty(&self.next_step_at)),
        ];
        let headers = self.headers.iter();
        lines.extend(headers.map(|(name, value)| ("header", format!("{name}: {value}"))));
        lines.extend(self.tries.iter().map(|one| {
            let TryView {
                step,
                proxy,
                latency_ms,
                outcome,
                ..
            } = one;
            let at = local(one.at_ms);
            (*step, format!("{at}  {proxy}  {latency_ms}ms  {outcome}"))
        }));
        lines.extend(self.calls.iter().map(|call| {
            let CallView {
                model,
                provider,
                outcome,
            } = call;
            ("call", format!("{model} ({provider}): {outcome}"))
        }));
        lines
    }
}

pub(super) async fn run(args: &ShowArgs, client: &Client, output: Output) -> Result<Exit, Failure> {
    let answer = get(client, &args.id).await?;
    let missing = CallError::Incomplete {
        missing: "the execution",
    };
    let execution = answer.execution.ok_or(missing)?;
    let execution = Execution::try_from(execution).map_err(CallError::Nonsense)?;
    let payload = answer.payload.map(Payload::try_from).transpose();
    let payload = payload.map_err(CallError::Nonsense)?;
    let result = answer.result.map(RunResult::try_from).transpose();
    let result = result.map_err(CallError::Nonsense)?;
    output.data(&shown(&execution, payload, result, args.payload))?;
    Ok(Exit::Ok)
}

fn shown(
    execution: &Execution,
    payload: Option<Payload>,
    result: Option<RunResult>,
    whole: bool,
) -> Shown {
    let payload = payload.unwrap_or_default();
    let hash = execution
        .payload_hash
        .iter()
        .map(|byte| format!("{byte:02x}"));
    let tries = execution.tries.iter().map(|one| TryView {
        at: rfc3339(one.at.as_millis()),
        step: if one.is_callback {
            "callback"
        } else {
            "attempt"
        },
        proxy: one.proxy.to_string(),
        latency_ms: u64::try_from(one.latency.as_millis()).unwrap_or(u64::MAX),
        outcome: one.outcome.clone(),
        at_ms: one.at.as_millis(),
    });
    let calls = result.iter().flat_map(|result| &result.calls);
    let calls = calls.map(|call| CallView {
        model: call.model.to_string(),
        provider: call.provider.to_string(),
        outcome: call.outcome.clone(),
    });
    Shown {
        execution: ExecutionView::new(execution),
        origin: match &execution.origin {
            Origin::Received(proxy) => format!("received by the proxy {proxy}"),
            Origin::Replay(of) => format!("replay of {of}"),
            Origin::Alert => "a budget alert".to_owned(),
        },
        payload_sha256: hash.collect(),
        payload_bytes: execution.payload_bytes,
        payload: whole.then(|| String::from_utf8_lossy(&payload.body).into_owned()),
        headers: payload.headers,
        alert: payload.alert.as_ref().map(alert_view),
        tries: tries.collect(),
        calls: calls.collect(),
        prompt: result.as_ref().and_then(|result| result.prompt.clone()),
        output: result
            .and_then(|result| result.outcome.ok())
            .map(|answer| answer.output),
        next_step_at: execution.due.and_then(|due| rfc3339(due.as_millis())),
    }
}

fn alert_view(alert: &BudgetAlert) -> AlertView {
    AlertView {
        agent: alert.agent.to_string(),
        percent: alert.percent.get(),
        limit_usd: exact_usd(alert.limit),
        spent_usd: exact_usd(alert.spent),
    }
}
