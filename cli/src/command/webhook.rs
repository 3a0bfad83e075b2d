//! `webhook`: the definitions, what became of what was received, and doing it again.

mod history;
mod list;
mod replay;
mod send;
mod show;

use agix_core::webhook::execution::{Execution, State};
use agix_proto::v1;
use clap::Subcommand;
use serde::Serialize;

use super::connect;
use crate::args::Global;
use crate::client::{CallError, Client};
use crate::exit::{Exit, Failure};
use crate::output::{Output, exact_usd, rfc3339};

/// Arguments of `webhook`.
#[derive(Debug, clap::Args)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// List the definitions and how many executions each has
    List,
    /// Show the latest executions, the newest last
    History(history::HistoryArgs),
    /// Show one execution: what was received, each try, and the result
    Show(show::ShowArgs),
    /// Sign a payload and post it to a proxy, as its sender would
    Send(send::SendArgs),
    /// Deliver a dead execution again, or run any other that has ended once more
    Replay(replay::ReplayArgs),
}

pub(crate) async fn run(
    args: &WebhookArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    match &args.command {
        WebhookCommand::List => list::run(&client, output).await,
        WebhookCommand::History(args) => history::run(args, &client, output).await,
        WebhookCommand::Show(args) => show::run(args, &client, output).await,
        WebhookCommand::Send(args) => send::run(args, &client, global, output).await,
        WebhookCommand::Replay(args) => replay::run(args, &client, output).await,
    }
}

/// One execution, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ExecutionView {
    id: String,
    webhook: String,
    received_at: Option<String>,
    status: &'static str,
    model: Option<String>,
    latency_ms: Option<u64>,
    cost_usd: Option<String>,
    error: Option<String>,
    attempts: u32,
    callbacks: u32,
    finished_at: Option<String>,
    #[serde(skip)]
    received_ms: i64,
}

impl ExecutionView {
    fn new(execution: &Execution) -> Self {
        let summary = execution.summary.as_ref();
        let latency = summary.map(|summary| summary.latency.as_millis());
        Self {
            id: execution.id.to_string(),
            webhook: execution.webhook.to_string(),
            received_at: rfc3339(execution.received.as_millis()),
            status: word(execution.state),
            model: summary.and_then(|it| it.model.as_ref().map(ToString::to_string)),
            latency_ms: latency.map(|latency| u64::try_from(latency).unwrap_or(u64::MAX)),
            cost_usd: summary.and_then(|it| it.cost).map(exact_usd),
            error: error_of(execution),
            attempts: execution.runs,
            callbacks: execution.callbacks,
            finished_at: execution.finished.and_then(|at| rfc3339(at.as_millis())),
            received_ms: execution.received.as_millis(),
        }
    }
}

/// The word for a state in tables.
const fn word(state: State) -> &'static str {
    match state {
        State::Pending => "PENDING",
        State::Running => "RUNNING",
        State::CallingBack => "CALLING",
        State::Succeeded => "SUCCESS",
        State::Failed => "ERROR",
        State::Dead => "DEAD",
    }
}

/// What went wrong: with the model call, or with delivering what came of it.
fn error_of(execution: &Execution) -> Option<String> {
    let of_call = execution.summary.as_ref().and_then(|it| it.error.clone());
    let last = execution.tries.last();
    let of_callback = last
        .filter(|it| it.is_callback && matches!(execution.state, State::Dead | State::CallingBack))
        .map(|it| format!("callback: {}", it.outcome));
    let of_run = last
        .filter(|it| !it.is_callback && execution.state == State::Pending)
        .map(|it| it.outcome.clone());
    of_callback.or(of_call).or(of_run)
}

/// Reads executions of the wire.
fn executions(wire: Vec<v1::WebhookExecution>) -> Result<Vec<Execution>, CallError> {
    let read = wire.into_iter().map(Execution::try_from);
    read.collect::<Result<_, _>>().map_err(CallError::Nonsense)
}

/// Reads an execution that must be there.
async fn get(client: &Client, id: &str) -> Result<v1::GetExecutionResponse, CallError> {
    let request = v1::GetExecutionRequest { id: id.to_owned() };
    let get = client.webhooks(async |mut queue| queue.get_execution(request.clone()).await);
    let answer = get.await?;
    Ok(answer.into_inner())
}

/// Checks that a text is the id of an execution.
fn execution_id(text: &str) -> Result<String, String> {
    match agix_core::webhook::execution::ExecutionId::parse(text) {
        Some(id) => Ok(id.to_string()),
        None => Err("an execution id is exec_ and 26 letters and digits; \
                     `agixctl webhook history -o wide` shows them"
            .to_owned()),
    }
}
