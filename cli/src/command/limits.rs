//! `limits`: how agents stand to their request limits.

use agix_core::id::AgentName;
use agix_proto::v1::ListAgentsResponse;
use serde::Serialize;

use super::connect;
use super::standing::{LimitsView, NONE, more, standings};
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View, remaining};

/// Arguments of `limits`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl limits                       every agent that has limits
  agixctl limits batch -o json         one agent, for a program

USED is what the window holds, HELD is with proxies for the next requests, and NEXT RELEASE is when
the oldest use leaves the window. The limits themselves are shown by `agixctl get limits`.")]
pub(crate) struct LimitsArgs {
    /// Only these agents
    agent: Vec<AgentName>,
}

#[derive(Debug, Serialize)]
struct Limits {
    agents: Vec<AgentLimits>,
    /// Agents that are not listed because there are very many.
    agents_left_out: u32,
}

#[derive(Debug, Serialize)]
struct AgentLimits {
    agent: String,
    #[serde(flatten)]
    limits: LimitsView,
}

impl From<ListAgentsResponse> for Limits {
    fn from(answer: ListAgentsResponse) -> Self {
        let agents = answer.agents.into_iter().map(|standing| AgentLimits {
            limits: LimitsView::new(&standing),
            agent: standing.agent,
        });
        Self {
            agents: agents
                .filter(|agent| agent.limits.set().next().is_some())
                .collect(),
            agents_left_out: answer.left_out,
        }
    }
}

impl View for Limits {
    fn text(&self, _look: Look) -> String {
        let mut table = Table::new(&[
            "AGENT",
            "LIMIT",
            ">ALLOWS",
            ">USED",
            ">HELD",
            ">FREE",
            ">NEXT RELEASE",
        ]);
        for AgentLimits { agent, limits } in &self.agents {
            for (name, window) in limits.set() {
                let release = window.next_release_ms.map(remaining);
                table.row([
                    agent.clone(),
                    name.to_owned(),
                    window.limit.to_string(),
                    window.used.to_string(),
                    window.held.to_string(),
                    window.free.to_string(),
                    release.unwrap_or_else(|| NONE.to_owned()),
                ]);
            }
        }
        table.text() + &more(self.agents_left_out)
    }
}

pub(crate) async fn run(
    args: &LimitsArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let limits = Limits::from(standings(&client, &args.agent).await?);
    if limits.agents.is_empty() && !output.for_programs() {
        Output::words("no request limits are set\n");
        return Ok(Exit::Ok);
    }
    output.data(&limits)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use agix_proto::v1::{AgentStanding, WindowStanding};

    use super::*;
    use crate::output::plain;

    #[test]
    fn each_limit_that_is_set_has_a_row() {
        let window = |limit, used, held, next_release_ms| {
            Some(WindowStanding {
                limit,
                used,
                held,
                next_release_ms,
            })
        };
        let limits = Limits::from(ListAgentsResponse {
            agents: vec![
                AgentStanding {
                    agent: "batch".to_owned(),
                    requests_per_minute: window(5, 4, 1, Some(12_400)),
                    concurrent: window(4, 0, 2, None),
                    ..AgentStanding::default()
                },
                AgentStanding {
                    agent: "only-a-budget".to_owned(),
                    ..AgentStanding::default()
                },
            ],
            left_out: 3,
            ..ListAgentsResponse::default()
        });
        assert_eq!(
            plain(&limits),
            "\
AGENT  LIMIT                ALLOWS  USED  HELD  FREE  NEXT RELEASE
batch  requests_per_minute       5     4     1     0           13s
batch  max_concurrent            4     0     2     2             -
... and 3 more; name agents to see them
"
        );
    }
}
