//! `webhook history`: the latest executions, the newest last.

use std::collections::BTreeMap;
use std::time::Duration;

use agix_core::id::WebhookName;
use agix_core::limits::WEBHOOK_PAGE;
use agix_core::webhook::execution::{Execution, State};
use agix_proto::v1;
use clap::{ValueEnum, value_parser};
use serde::Serialize;

use super::{ExecutionView, executions};
use crate::args::span;
use crate::client::{CallError, Client};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View, clean, local_minute};

/// Pause between two looks of `--watch`.
const WATCH: Duration = Duration::from_secs(1);

/// Arguments of `webhook history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl webhook history --status error --since 2h
  agixctl webhook history --name summarize-report -w
  agixctl webhook history -o wide      with the ids that `show` and `replay` take")]
pub(super) struct HistoryArgs {
    /// Only executions of this definition
    #[arg(long, value_name = "WEBHOOK")]
    name: Option<WebhookName>,

    /// Only executions that are so; may be given several times
    #[arg(long, value_name = "STATUS")]
    status: Vec<Status>,

    /// Only executions received within this time
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<Duration>,

    /// Most executions to show
    #[arg(short = 'n', long, value_name = "COUNT", default_value = "20",
          value_parser = value_parser!(u32).range(1..=WEBHOOK_PAGE as i64))]
    limit: u32,

    /// Go on showing what happens
    #[arg(short, long)]
    watch: bool,
}

/// A status as it is asked for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// It waits for a proxy
    Pending,
    /// A proxy works on it
    Running,
    /// Its result is being delivered
    Calling,
    /// The answer was delivered
    Success,
    /// There is no answer
    Error,
    /// What came of it could not be delivered
    Dead,
}

impl From<Status> for State {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Running => Self::Running,
            Status::Calling => Self::CallingBack,
            Status::Success => Self::Succeeded,
            Status::Error => Self::Failed,
            Status::Dead => Self::Dead,
        }
    }
}

#[derive(Debug, Serialize)]
struct History {
    executions: Vec<ExecutionView>,
    #[serde(skip)]
    headless: bool,
}

/// Widths of the columns, which grow with what is in them.
const COLUMNS: [(&str, usize); 5] = [
    ("Timestamp", 19),
    ("Webhook", 19),
    ("Status", 8),
    ("LLM Model", 15),
    ("Latency", 12),
];

impl ExecutionView {
    fn cells(&self) -> [String; 5] {
        let latency = self.latency_ms.map(|latency| format!("{latency}ms"));
        let error = self
            .error
            .as_ref()
            .map(|error| format!("({})", clean(error)));
        [
            local_minute(self.received_ms),
            self.webhook.clone(),
            self.status.to_owned(),
            self.model.clone().unwrap_or_else(|| "-".to_owned()),
            error.or(latency).unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

impl View for History {
    fn text(&self, look: Look) -> String {
        let rows: Vec<_> = self
            .executions
            .iter()
            .map(|it| (it.cells(), &it.id))
            .collect();
        let mut widths = COLUMNS.map(|(_, width)| width);
        for (cells, _) in &rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count().saturating_add(1));
            }
        }
        let line = |cells: &[String; 5], id: &str| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                line.push_str(cell);
                let pad = width.saturating_sub(cell.chars().count());
                line.extend(std::iter::repeat_n(' ', pad));
            }
            if look.wide {
                line.push_str(id);
            }
            line.trim_end().to_owned() + "\n"
        };
        let head = COLUMNS.map(|(name, _)| name.to_owned());
        let head = (!self.headless).then(|| line(&head, "Id"));
        let rows = rows.iter().map(|(cells, id)| line(cells, id));
        head.into_iter().chain(rows).collect()
    }
}

pub(super) async fn run(
    args: &HistoryArgs,
    client: &Client,
    output: Output,
) -> Result<Exit, Failure> {
    let (found, more) = list(args, client).await?;
    let people = !output.for_programs();
    if found.is_empty() && people && !args.watch {
        Output::words("no executions\n");
        return Ok(Exit::Ok);
    }
    let mut seen = BTreeMap::new();
    show(&found, &mut seen, output, false)?;
    if more && people {
        Output::words("there are older ones; -n shows more\n");
    }
    if !args.watch {
        return Ok(Exit::Ok);
    }
    loop {
        tokio::time::sleep(WATCH).await;
        let (found, _) = list(args, client).await?;
        show(&found, &mut seen, output, true)?;
    }
}

/// Shows what was not shown as it is now.
fn show(
    found: &[Execution],
    seen: &mut BTreeMap<String, ExecutionView>,
    output: Output,
    headless: bool,
) -> Result<(), Failure> {
    let views: Vec<_> = found.iter().map(ExecutionView::new).collect();
    let news = views.iter().filter(|view| seen.get(&view.id) != Some(view));
    let executions: Vec<_> = news.cloned().collect();
    *seen = views
        .into_iter()
        .map(|view| (view.id.clone(), view))
        .collect();
    if !executions.is_empty() || !headless {
        output.data(&History {
            executions,
            headless,
        })?;
    }
    Ok(())
}

/// The latest executions, oldest first, and whether there are more.
async fn list(args: &HistoryArgs, client: &Client) -> Result<(Vec<Execution>, bool), CallError> {
    let now = clock::wall().as_millisecond();
    let since = args.since.map_or(0, |since| {
        let since = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        u64::try_from(now.saturating_sub(since)).unwrap_or_default()
    });
    let states = args.status.iter().map(|status| {
        let state = State::from(*status);
        v1::ExecutionState::from(state).into()
    });
    let request = v1::ListExecutionsRequest {
        webhook: args
            .name
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        states: states.collect(),
        since_ms: since,
        most: args.limit,
    };
    let list = client.webhooks(async |mut queue| queue.list_executions(request.clone()).await);
    let answer = list.await?;
    let answer = answer.into_inner();
    let mut found = executions(answer.executions)?;
    found.reverse();
    Ok((found, answer.more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::plain;

    fn view(webhook: &str, status: &'static str, model: &str) -> ExecutionView {
        ExecutionView {
            id: "exec_1".to_owned(),
            webhook: webhook.to_owned(),
            received_at: None,
            status,
            model: Some(model.to_owned()),
            latency_ms: Some(450),
            cost_usd: None,
            error: None,
            attempts: 1,
            callbacks: 1,
            finished_at: None,
            received_ms: 0,
        }
    }

    #[test]
    fn the_table_has_the_columns_and_widths_that_users_know() {
        let failed = ExecutionView {
            error: Some("connection timeout".to_owned()),
            ..view("translate-content", "ERROR", "gpt-4o")
        };
        let history = History {
            executions: vec![view("summarize-report", "SUCCESS", "gpt-4o-mini"), failed],
            headless: false,
        };
        assert_eq!(
            plain(&history),
            "\
Timestamp          Webhook            Status  LLM Model      Latency
-                  summarize-report   SUCCESS gpt-4o-mini    450ms
-                  translate-content  ERROR   gpt-4o         (connection timeout)
"
        );
    }

    #[test]
    fn long_names_make_their_column_wider() {
        let long = "a-webhook-with-quite-a-long-name";
        let history = History {
            executions: vec![view(long, "SUCCESS", "claude-sonnet-4-5-20250929")],
            headless: false,
        };
        let text = plain(&history);
        let line = text.lines().last().unwrap();
        assert!(line.ends_with(&format!("{long} SUCCESS claude-sonnet-4-5-20250929 450ms")));
    }
}
