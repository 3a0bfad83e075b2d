//! What a verification came to, on the wire.

use agix_core::id::AgentName;
use agix_core::ledger::Finding;
use agix_proto::v1;

use crate::grpc::change::within;
use crate::ledger::{MoneySums, Verification};

pub(super) fn on_wire(verification: &Verification) -> v1::VerifyResponse {
    let Verification {
        findings,
        snapshot_batch,
        batches,
        entries,
        last_batch,
        agents,
        open,
        closed,
        sums,
        usage_cost,
        per_agent,
    } = verification;
    let shown = within(per_agent.iter().map(of_agent));
    v1::VerifyResponse {
        findings: findings.iter().map(finding).collect(),
        snapshot_batch: *snapshot_batch,
        replayed_batches: *batches,
        replayed_entries: *entries,
        last_batch: *last_batch,
        agents: count(*agents),
        sessions_open: count(*open),
        sessions_closed: count(*closed),
        spent_nano_usd: sums.money.spent.as_nanos(),
        escrow_nano_usd: sums.money.escrow.as_nanos(),
        unsettled_nano_usd: sums.money.unsettled.as_nanos(),
        estimated_nano_usd: sums.estimated.as_nanos(),
        usage_cost_nano_usd: usage_cost.as_nanos(),
        adjusted_nano_usd: sums.adjusted,
        per_agent_left_out: count(per_agent.len().saturating_sub(shown.len())),
        per_agent: shown,
    }
}

fn finding((batch, finding): &(u64, Finding)) -> v1::VerifyFinding {
    let Finding { invariant, what } = finding;
    v1::VerifyFinding {
        invariant: (*invariant).to_owned(),
        what: what.clone(),
        batch: *batch,
    }
}

fn of_agent((agent, sums): &(AgentName, MoneySums)) -> v1::VerifyAgent {
    let MoneySums {
        money,
        estimated,
        adjusted,
    } = sums;
    v1::VerifyAgent {
        agent: agent.as_str().to_owned(),
        spent_nano_usd: money.spent.as_nanos(),
        escrow_nano_usd: money.escrow.as_nanos(),
        unsettled_nano_usd: money.unsettled.as_nanos(),
        estimated_nano_usd: estimated.as_nanos(),
        adjusted_nano_usd: *adjusted,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
