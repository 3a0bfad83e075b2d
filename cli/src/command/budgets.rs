//! `budgets`: how agents stand to their budgets, and corrections of what they have spent.

mod adjust;

use agix_core::id::AgentName;
use agix_proto::v1::{AgentStanding, ListAgentsResponse};
use clap::Subcommand;
use serde::Serialize;

use self::adjust::AdjustArgs;
use super::connect;
use super::standing::{BudgetsView, more, standings};
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View, remaining};

/// Arguments of `budgets`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl budgets                      every agent that has a budget
  agixctl budgets batch -o json        one agent, for a program
  agixctl budgets adjust batch --usd -1.50 -m 'failed batch of monday'

SPENT is confirmed. ESCROW is set aside by proxies for calls under way and the next ones; what is
not spent of it comes back. UNSETTLED was set aside by proxies that were lost and may have spent it.
The limits themselves are shown by `agixctl get budgets`.")]
pub(crate) struct BudgetsArgs {
    #[command(subcommand)]
    command: Option<BudgetsCommand>,

    /// Only these agents
    agent: Vec<AgentName>,
}

#[derive(Debug, Subcommand)]
enum BudgetsCommand {
    /// Correct what an agent has spent today
    Adjust(AdjustArgs),
}

#[derive(Debug, Serialize)]
struct Budgets {
    agents: Vec<AgentBudgets>,
    /// Agents that are not listed because there are very many.
    agents_left_out: u32,
}

#[derive(Debug, Serialize)]
struct AgentBudgets {
    agent: String,
    #[serde(flatten)]
    budgets: BudgetsView,
}

impl AgentBudgets {
    fn new(standing: AgentStanding) -> Self {
        Self {
            budgets: BudgetsView::new(&standing),
            agent: standing.agent,
        }
    }
}

impl From<ListAgentsResponse> for Budgets {
    fn from(answer: ListAgentsResponse) -> Self {
        let agents = answer.agents.into_iter().map(AgentBudgets::new);
        Self {
            agents: agents
                .filter(|agent| agent.budgets.set().next().is_some())
                .collect(),
            agents_left_out: answer.left_out,
        }
    }
}

impl View for Budgets {
    fn text(&self, look: Look) -> String {
        table(&self.agents, look) + &more(self.agents_left_out)
    }
}

/// A row for each agent and period.
fn table<'a>(agents: impl IntoIterator<Item = &'a AgentBudgets>, look: Look) -> String {
    let mut columns = vec![
        "AGENT",
        "PERIOD",
        ">LIMIT USD",
        ">SPENT",
        ">ESCROW",
        ">UNSETTLED",
        ">SPENT %",
        ">RESETS IN",
    ];
    if look.wide {
        columns.extend(["TIME ZONE", "ENFORCEMENT"]);
    }
    let mut table = Table::new(&columns);
    for AgentBudgets { agent, budgets } in agents {
        for budget in budgets.set() {
            let mut cells = vec![
                agent.clone(),
                budget.period.clone(),
                budget.limit(),
                budget.spent(),
                budget.escrow(),
                budget.unsettled(),
                budget.percent(),
                remaining(budget.resets_in_ms),
            ];
            if look.wide {
                cells.push(budgets.timezone.clone());
                cells.push(budgets.enforcement.clone());
            }
            table.row(cells);
        }
    }
    table.text()
}

pub(crate) async fn run(
    args: BudgetsArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    if let Some(BudgetsCommand::Adjust(args)) = args.command {
        return adjust::run(args, &client, output).await;
    }
    let budgets = Budgets::from(standings(&client, &args.agent).await?);
    if budgets.agents.is_empty() && !output.for_programs() {
        Output::words("no budgets are set\n");
        return Ok(Exit::Ok);
    }
    output.data(&budgets)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use agix_proto::v1::BudgetStanding;
    use serde_json::json;

    use super::*;
    use crate::output::{plain, wide};

    fn batch() -> AgentStanding {
        let budget = |period: &str, limit: u64, resets_in_ms| BudgetStanding {
            period: period.to_owned(),
            limit_nano_usd: limit * 1_000_000_000,
            spent_nano_usd: 3_254_123_456,
            escrow_nano_usd: 500_000_000,
            unsettled_nano_usd: 0,
            resets_in_ms,
        };
        AgentStanding {
            agent: "batch".to_owned(),
            daily: Some(budget("2026-11-25", 10, 18_720_000)),
            monthly: Some(budget("2026-11", 200, 450_720_000)),
            enforcement: "hard".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            ..AgentStanding::default()
        }
    }

    fn listed() -> Budgets {
        Budgets::from(ListAgentsResponse {
            agents: vec![
                batch(),
                AgentStanding {
                    agent: "only-limits".to_owned(),
                    ..AgentStanding::default()
                },
            ],
            ..ListAgentsResponse::default()
        })
    }

    #[test]
    fn each_period_of_a_budget_has_a_row() {
        assert_eq!(
            plain(&listed()),
            "\
AGENT  PERIOD      LIMIT USD   SPENT  ESCROW  UNSETTLED  SPENT %  RESETS IN
batch  2026-11-25    10.0000  3.2541  0.5000     0.0000    32.5%      5h12m
batch  2026-11      200.0000  3.2541  0.5000     0.0000     1.6%       5d6h
"
        );
        assert!(wide(&listed()).contains("5h12m  Europe/Berlin  hard\n"));
    }

    #[test]
    fn programs_get_exact_amounts() {
        let json = serde_json::to_value(listed()).unwrap();
        assert_eq!(
            json,
            json!({
                "agents": [{
                    "agent": "batch",
                    "daily": {
                        "period": "2026-11-25",
                        "limit_usd": 10,
                        "spent_usd": 3.254_123_456,
                        "escrow_usd": 0.5,
                        "unsettled_usd": 0,
                        "limit_nano_usd": 10_000_000_000_u64,
                        "spent_nano_usd": 3_254_123_456_u64,
                        "escrow_nano_usd": 500_000_000,
                        "unsettled_nano_usd": 0,
                        "spent_percent": 32.5,
                        "resets_in_ms": 18_720_000,
                    },
                    "monthly": {
                        "period": "2026-11",
                        "limit_usd": 200,
                        "spent_usd": 3.254_123_456,
                        "escrow_usd": 0.5,
                        "unsettled_usd": 0,
                        "limit_nano_usd": 200_000_000_000_u64,
                        "spent_nano_usd": 3_254_123_456_u64,
                        "escrow_nano_usd": 500_000_000,
                        "unsettled_nano_usd": 0,
                        "spent_percent": 1.6,
                        "resets_in_ms": 450_720_000,
                    },
                    "enforcement": "hard",
                    "timezone": "Europe/Berlin",
                }],
                "agents_left_out": 0,
            })
        );
    }
}
