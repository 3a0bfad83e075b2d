//! `top`: the most active agents, again and again.

use std::time::Duration;

use agix_proto::v1::{AgentStanding, ListAgentsResponse};
use clap::value_parser;
use jiff::Timestamp;
use serde::Serialize;

use super::connect;
use super::standing::{BudgetView, BudgetsView, LimitsView, NONE, WindowView, most_active};
use crate::args::{Global, span};
use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Color, Look, Output, Table, View, counted, local_time, rfc3339};

/// Lines of a screen that are not rows of the table: what stands above it, its head, the cursor.
const OTHER_LINES: usize = 4;

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl top                          live, until Ctrl-C
  agixctl top -n 1                     once
  agixctl top -n 1 -o json             once, for a program

REQUESTS are those of about the last minute. The other columns show what is used, of its limit.")]
pub(crate) struct TopArgs {
    /// How often the table is shown
    #[arg(
        short = 'n',
        long,
        help = "How often the table is shown [default: on a terminal until Ctrl-C, else once]",
        value_name = "COUNT",
        value_parser = value_parser!(u32).range(1..)
    )]
    iterations: Option<u32>,

    /// Pause between two of them
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = span)]
    interval: Duration,

    /// Most agents to show
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = value_parser!(u32).range(1..=1_000))]
    rows: u32,
}

#[derive(Debug, Serialize)]
struct Top {
    time: Option<String>,
    /// Sessions of proxies that hold rights or may ask for them.
    sessions: u32,
    /// Batches of the ledger's log so far.
    log_batches: u64,
    /// The most active first.
    agents: Vec<AgentView>,
    #[serde(skip)]
    time_unix_ms: i64,
}

#[derive(Debug, Serialize)]
struct AgentView {
    agent: String,
    /// Requests of about the last minute.
    recent_requests: u64,
    #[serde(flatten)]
    limits: LimitsView,
    #[serde(flatten)]
    budgets: BudgetsView,
}

impl From<AgentStanding> for AgentView {
    fn from(standing: AgentStanding) -> Self {
        Self {
            limits: LimitsView::new(&standing),
            budgets: BudgetsView::new(&standing),
            recent_requests: standing.recent_requests,
            agent: standing.agent,
        }
    }
}

impl Top {
    fn new(answer: ListAgentsResponse, now: Timestamp) -> Self {
        let time_unix_ms = now.as_millisecond();
        Self {
            time: rfc3339(time_unix_ms),
            sessions: answer.sessions,
            log_batches: answer.log_batches,
            agents: answer.agents.into_iter().map(AgentView::from).collect(),
            time_unix_ms,
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new(&[
            "AGENT",
            ">REQUESTS",
            ">MINUTE",
            ">HOUR",
            ">TOKENS",
            ">AT ONCE",
            ">DAY USD",
            ">DAY",
            ">MONTH USD",
            ">MONTH",
        ]);
        for agent in &self.agents {
            let LimitsView {
                requests_per_minute,
                requests_per_hour,
                tokens_per_minute,
                max_concurrent,
            } = &agent.limits;
            let places = max_concurrent.map(|it| WindowView {
                used: it.used.saturating_add(it.held),
                ..it
            });
            let [day, month] = [&agent.budgets.daily, &agent.budgets.monthly];
            table.row([
                agent.agent.clone(),
                agent.recent_requests.to_string(),
                used(*requests_per_minute),
                used(*requests_per_hour),
                used(*tokens_per_minute),
                used(places),
                spent(day.as_ref()),
                percent(day.as_ref()),
                spent(month.as_ref()),
                percent(month.as_ref()),
            ]);
        }
        table.text()
    }
}

impl View for Top {
    fn text(&self, _look: Look) -> String {
        format!(
            "{}  {}, {} in the log\n\n{}",
            local_time(self.time_unix_ms),
            counted(self.sessions.into(), "session", "sessions"),
            counted(self.log_batches, "batch", "batches"),
            self.table()
        )
    }
}

fn used(window: Option<WindowView>) -> String {
    window.map_or_else(
        || NONE.to_owned(),
        |window| format!("{}/{}", window.used, window.limit),
    )
}

fn spent(budget: Option<&BudgetView>) -> String {
    budget.map_or_else(
        || NONE.to_owned(),
        |budget| format!("{}/{}", budget.spent(), budget.limit()),
    )
}

fn percent(budget: Option<&BudgetView>) -> String {
    budget.map_or_else(|| NONE.to_owned(), BudgetView::percent)
}

pub(crate) async fn run(args: &TopArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let live = output.is_live() && args.iterations != Some(1);
    if !live {
        return repeat(args, &client, output).await;
    }
    tokio::select! {
        ended = watch(args, &client, output) => ended,
        // However the signal came or could not be waited for: there is nothing to be undone.
        _told = tokio::signal::ctrl_c() => Ok(Exit::Ok),
    }
}

/// Prints one table after the other.
async fn repeat(args: &TopArgs, client: &Client, output: Output) -> Result<Exit, Failure> {
    let mut left = args.iterations.unwrap_or(1);
    loop {
        let answer = most_active(client, args.rows).await?;
        output.data(&Top::new(answer, clock::wall()))?;
        left -= 1;
        if left == 0 {
            return Ok(Exit::Ok);
        }
        if !output.for_programs() {
            Output::raw("\n")?;
        }
        tokio::time::sleep(args.interval).await;
    }
}

/// Prints each table over the one before. A control plane that is away for a while is waited for.
async fn watch(args: &TopArgs, client: &Client, output: Output) -> Result<Exit, Failure> {
    let mut left = args.iterations;
    let mut shown = String::new();
    Output::clear()?;
    loop {
        let rows = Output::lines().map(|lines| lines.saturating_sub(OTHER_LINES).max(1));
        let rows = rows.and_then(|rows| u32::try_from(rows).ok());
        let rows = args.rows.min(rows.unwrap_or(u32::MAX));
        match most_active(client, rows).await {
            Ok(answer) => {
                shown = Top::new(answer, clock::wall()).text(output.look());
                Output::over(&shown)?;
            }
            Err(error) if error.exit() == Exit::Unreachable => {
                let label = output.label("error:", Color::Bad);
                Output::over(&format!("{shown}\n{label} {error}; trying again\n"))?;
            }
            Err(error) => return Err(error.into()),
        }
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(args.interval).await;
    }
}

#[cfg(test)]
mod tests {
    use agix_proto::v1::{BudgetStanding, WindowStanding};

    use super::*;

    #[test]
    fn an_agent_has_one_row_with_all_its_limits() {
        let window = |limit, used, held| {
            Some(WindowStanding {
                limit,
                used,
                held,
                next_release_ms: None,
            })
        };
        let standing = AgentStanding {
            agent: "batch".to_owned(),
            recent_requests: 4,
            requests_per_minute: window(5, 4, 1),
            concurrent: window(4, 0, 2),
            daily: Some(BudgetStanding {
                limit_nano_usd: 10_000_000_000,
                spent_nano_usd: 2_500_000_000,
                ..BudgetStanding::default()
            }),
            ..AgentStanding::default()
        };
        let answer = ListAgentsResponse {
            agents: vec![standing],
            sessions: 1,
            log_batches: 12,
            ..ListAgentsResponse::default()
        };
        let top = Top::new(answer, Timestamp::UNIX_EPOCH);
        assert_eq!(
            top.table(),
            "\
AGENT  REQUESTS  MINUTE  HOUR  TOKENS  AT ONCE         DAY USD    DAY  MONTH USD  MONTH
batch         4     4/5     -       -      2/4  2.5000/10.0000  25.0%          -      -
"
        );
        let json = serde_json::to_value(&top).unwrap();
        assert_eq!(json["agents"][0]["requests_per_minute"]["held"], 1);
        assert_eq!(json["agents"][0]["daily"]["spent_usd"], 2.5);
        assert_eq!(json["agents"][0]["monthly"], serde_json::Value::Null);
    }
}
