//! How an agent stands, on the wire.

use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::ledger::{AgentState, PeriodState};
use agix_proto::v1;

pub(super) fn of(agent: &AgentName, state: &AgentState) -> v1::AgentStanding {
    let AgentState {
        terms,
        minute,
        hour,
        tokens,
        slots,
        next_release: [next_of_minute, next_of_hour, next_of_tokens],
        day,
        month,
        recent,
    } = state;
    let window = |limit: Option<u64>, (used, held): (u64, u64), next: Option<Duration>| {
        limit.map(|limit| v1::WindowStanding {
            limit,
            used,
            held,
            next_release_ms: next.map(millis),
        })
    };
    let enforcement = match (terms.has_budget(), terms.soft) {
        (false, _) => "",
        (true, true) => "soft",
        (true, false) => "hard",
    };
    v1::AgentStanding {
        agent: agent.as_str().to_owned(),
        requests_per_minute: window(terms.requests_per_minute, *minute, *next_of_minute),
        requests_per_hour: window(terms.requests_per_hour, *hour, *next_of_hour),
        tokens_per_minute: window(terms.tokens_per_minute, *tokens, *next_of_tokens),
        concurrent: window(terms.max_concurrent, (0, *slots), None),
        daily: day.as_ref().map(budget),
        monthly: month.as_ref().map(budget),
        enforcement: enforcement.to_owned(),
        timezone: terms.timezone.as_str().to_owned(),
        recent_requests: *recent,
    }
}

fn budget(period: &PeriodState) -> v1::BudgetStanding {
    let PeriodState {
        period,
        limit,
        money,
        resets_in,
    } = period;
    v1::BudgetStanding {
        period: period.clone(),
        limit_nano_usd: limit.as_nanos(),
        spent_nano_usd: money.spent.as_nanos(),
        escrow_nano_usd: money.escrow.as_nanos(),
        unsettled_nano_usd: money.unsettled.as_nanos(),
        resets_in_ms: millis(*resets_in),
    }
}

/// Whole milliseconds, begun ones counted: nothing is promised early.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
