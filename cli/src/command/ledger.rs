//! `ledger verify`: the control plane replays its log and proves its books.

use agix_core::units::NanoUsd;
use agix_proto::v1::{VerifyAgent, VerifyFinding, VerifyRequest, VerifyResponse};
use clap::Subcommand;
use serde::Serialize;

use super::connect;
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{
    Decimal, Look, Output, SignedUsd, Table, View, clean, counted, exact_signed_usd, exact_usd,
};

/// Agents of the table; with `-o wide`, JSON and YAML all are listed.
const SHOWN_AGENTS: usize = 20;

/// Arguments of `ledger`.
#[derive(Debug, clap::Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Replay the log of requests and money, and check the books against it
    #[command(after_help = "\
Examples:
  agixctl ledger verify
  agixctl ledger verify -o json | jq .total.spent_nano_usd

Sums are over all days that are still in the books. ESTIMATED is the part of SPENT that is the worst
case of calls whose end nobody saw.
Exit codes: 0 the books are right, 1 something is wrong with them.")]
    Verify,
}

#[derive(Debug, Serialize)]
struct Verified {
    /// Nothing is wrong.
    ok: bool,
    findings: Vec<FindingView>,
    snapshot_batch: u64,
    replayed_batches: u64,
    replayed_entries: u64,
    last_batch: u64,
    agents: u32,
    sessions_open: u32,
    sessions_closed: u32,
    total: SumsView,
    /// Over all rows of usage, which also count agents without a budget.
    usage_cost_usd: Decimal,
    usage_cost_nano_usd: u64,
    /// Each agent with a budget, as many as fit the answer.
    per_agent: Vec<AgentView>,
    /// Agents that did not fit.
    per_agent_left_out: u32,
}

#[derive(Debug, Serialize)]
struct FindingView {
    invariant: String,
    batch: u64,
    what: String,
}

#[derive(Debug, Serialize)]
struct AgentView {
    agent: String,
    #[serde(flatten)]
    sums: SumsView,
}

#[derive(Debug, Serialize)]
struct SumsView {
    spent_usd: Decimal,
    escrow_usd: Decimal,
    unsettled_usd: Decimal,
    estimated_usd: Decimal,
    adjusted_usd: Decimal,
    #[serde(flatten)]
    nanos: Sums,
}

/// In nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the unit belongs to the names that programs see"
)]
struct Sums {
    spent_nano_usd: u64,
    escrow_nano_usd: u64,
    unsettled_nano_usd: u64,
    estimated_nano_usd: u64,
    adjusted_nano_usd: i64,
}

impl From<Sums> for SumsView {
    fn from(nanos: Sums) -> Self {
        let decimal = |nanos| Decimal::new(&NanoUsd::from_nanos(nanos));
        Self {
            spent_usd: decimal(nanos.spent_nano_usd),
            escrow_usd: decimal(nanos.escrow_nano_usd),
            unsettled_usd: decimal(nanos.unsettled_nano_usd),
            estimated_usd: decimal(nanos.estimated_nano_usd),
            adjusted_usd: Decimal::new(&SignedUsd(nanos.adjusted_nano_usd)),
            nanos,
        }
    }
}

impl SumsView {
    fn cells(&self) -> [String; 5] {
        let usd = |nanos| exact_usd(NanoUsd::from_nanos(nanos));
        [
            usd(self.nanos.spent_nano_usd),
            usd(self.nanos.escrow_nano_usd),
            usd(self.nanos.unsettled_nano_usd),
            usd(self.nanos.estimated_nano_usd),
            exact_signed_usd(SignedUsd(self.nanos.adjusted_nano_usd)),
        ]
    }
}

impl From<VerifyAgent> for AgentView {
    fn from(wire: VerifyAgent) -> Self {
        let VerifyAgent {
            agent,
            spent_nano_usd,
            escrow_nano_usd,
            unsettled_nano_usd,
            estimated_nano_usd,
            adjusted_nano_usd,
        } = wire;
        let sums = Sums {
            spent_nano_usd,
            escrow_nano_usd,
            unsettled_nano_usd,
            estimated_nano_usd,
            adjusted_nano_usd,
        };
        Self {
            agent,
            sums: sums.into(),
        }
    }
}

impl From<VerifyFinding> for FindingView {
    fn from(wire: VerifyFinding) -> Self {
        let VerifyFinding {
            invariant,
            what,
            batch,
        } = wire;
        Self {
            invariant,
            batch,
            what,
        }
    }
}

impl From<VerifyResponse> for Verified {
    fn from(wire: VerifyResponse) -> Self {
        let VerifyResponse {
            findings,
            snapshot_batch,
            replayed_batches,
            replayed_entries,
            last_batch,
            agents,
            sessions_open,
            sessions_closed,
            spent_nano_usd,
            escrow_nano_usd,
            unsettled_nano_usd,
            estimated_nano_usd,
            usage_cost_nano_usd,
            adjusted_nano_usd,
            per_agent,
            per_agent_left_out,
        } = wire;
        let total = Sums {
            spent_nano_usd,
            escrow_nano_usd,
            unsettled_nano_usd,
            estimated_nano_usd,
            adjusted_nano_usd,
        };
        Self {
            ok: findings.is_empty(),
            findings: findings.into_iter().map(FindingView::from).collect(),
            snapshot_batch,
            replayed_batches,
            replayed_entries,
            last_batch,
            agents,
            sessions_open,
            sessions_closed,
            total: total.into(),
            usage_cost_usd: Decimal::new(&NanoUsd::from_nanos(usage_cost_nano_usd)),
            usage_cost_nano_usd,
            per_agent: per_agent.into_iter().map(AgentView::from).collect(),
            per_agent_left_out,
        }
    }
}

impl Verified {
    /// The agents that spent most, and the sums over all.
    fn table(&self, look: Look) -> String {
        let mut table = Table::new(&[
            "AGENT",
            ">SPENT USD",
            ">ESCROW",
            ">UNSETTLED",
            ">ESTIMATED",
            ">ADJUSTED",
        ]);
        let mut agents: Vec<&AgentView> = self.per_agent.iter().collect();
        agents.sort_by(|one, other| {
            let spent = |agent: &AgentView| agent.sums.nanos.spent_nano_usd;
            let by_spend = spent(other).cmp(&spent(one));
            by_spend.then_with(|| one.agent.cmp(&other.agent))
        });
        let shown = if look.wide {
            agents.len()
        } else {
            SHOWN_AGENTS
        };
        for agent in agents.iter().take(shown) {
            table.row([agent.agent.clone()].into_iter().chain(agent.sums.cells()));
        }
        let left_out = usize::try_from(self.per_agent_left_out).unwrap_or(usize::MAX);
        let hidden = agents.len().saturating_sub(shown);
        if let more @ 1.. = hidden.saturating_add(left_out) {
            table.row([format!("... {more} more")]);
        }
        table.row(["total".to_owned()].into_iter().chain(self.total.cells()));
        table.text()
    }

    fn findings(&self) -> String {
        if self.ok {
            return "the books are right\n".to_owned();
        }
        let count = u64::try_from(self.findings.len()).unwrap_or(u64::MAX);
        let count = counted(count, "finding", "findings");
        let lines = self.findings.iter().map(|finding| {
            let FindingView {
                invariant,
                batch,
                what,
            } = finding;
            format!("  {} at batch {batch}: {}\n", clean(invariant), clean(what))
        });
        format!(
            "the books are wrong, {count}:\n{}",
            lines.collect::<String>()
        )
    }
}

impl View for Verified {
    fn text(&self, look: Look) -> String {
        format!(
            "{}\n\
             usage     {} USD over all rows\n\
             log       up to batch {}; replayed after the snapshot of batch {}: {}, {}\n\
             agents    {}\n\
             sessions  {} open, {} closed\n\n{}",
            self.table(look),
            exact_usd(NanoUsd::from_nanos(self.usage_cost_nano_usd)),
            self.last_batch,
            self.snapshot_batch,
            counted(self.replayed_batches, "batch", "batches"),
            counted(self.replayed_entries, "entry", "entries"),
            self.agents,
            self.sessions_open,
            self.sessions_closed,
            self.findings(),
        )
    }
}

pub(crate) async fn run(
    args: &LedgerArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let LedgerCommand::Verify = args.command;
    let client = connect(global).await?;
    let verify = client.ledger(async |mut ledger| ledger.verify(VerifyRequest {}).await);
    let answer = verify.await?;
    let verified = Verified::from(answer.into_inner());
    let exit = if verified.ok { Exit::Ok } else { Exit::Failed };
    output.data(&verified)?;
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{plain, wide};

    fn answer(agents: u64) -> VerifyResponse {
        let per_agent = (0..agents).map(|number| VerifyAgent {
            agent: format!("agent-{number:02}"),
            spent_nano_usd: 1_000_000_001 * number,
            adjusted_nano_usd: -5,
            ..VerifyAgent::default()
        });
        VerifyResponse {
            snapshot_batch: 120,
            replayed_batches: 35,
            replayed_entries: 410,
            last_batch: 155,
            agents: 4,
            sessions_open: 3,
            sessions_closed: 1,
            spent_nano_usd: 3_000_000_003,
            adjusted_nano_usd: -15,
            usage_cost_nano_usd: 3_000_000_018,
            per_agent: per_agent.collect(),
            ..VerifyResponse::default()
        }
    }

    #[test]
    fn the_sums_of_right_books_are_shown_exactly() {
        assert_eq!(
            plain(&Verified::from(answer(3))),
            "\
AGENT       SPENT USD       ESCROW    UNSETTLED    ESTIMATED      ADJUSTED
agent-02  2.000000002  0.000000000  0.000000000  0.000000000  -0.000000005
agent-01  1.000000001  0.000000000  0.000000000  0.000000000  -0.000000005
agent-00  0.000000000  0.000000000  0.000000000  0.000000000  -0.000000005
total     3.000000003  0.000000000  0.000000000  0.000000000  -0.000000015

usage     3.000000018 USD over all rows
log       up to batch 155; replayed after the snapshot of batch 120: 35 batches, 410 entries
agents    4
sessions  3 open, 1 closed

the books are right
"
        );
    }

    #[test]
    fn findings_are_listed() {
        let verified = Verified::from(VerifyResponse {
            findings: vec![VerifyFinding {
                invariant: "I2".to_owned(),
                what: "batch: more permits than its limit".to_owned(),
                batch: 130,
            }],
            ..answer(0)
        });
        assert!(!verified.ok);
        assert!(plain(&verified).ends_with(
            "the books are wrong, 1 finding:\n  I2 at batch 130: batch: more permits than its \
             limit\n"
        ));
    }

    #[test]
    fn very_many_agents_do_not_fill_the_screen() {
        let verified = Verified::from(answer(25));
        assert!(plain(&verified).contains("\n... 5 more\ntotal"));
        assert!(!wide(&verified).contains("more"));
        let most = VerifyResponse {
            per_agent_left_out: 7,
            ..answer(25)
        };
        assert!(wide(&Verified::from(most)).contains("\n... 7 more\ntotal"));
        let json = serde_json::to_value(&verified).unwrap();
        assert_eq!(json["per_agent"].as_array().unwrap().len(), 25);
        assert_eq!(json["per_agent"][1]["spent_nano_usd"], 1_000_000_001);
        assert_eq!(json["total"]["adjusted_nano_usd"], -15);
    }
}
