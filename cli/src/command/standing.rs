//! How agents stand: what `budgets`, `limits` and `top` ask for and show.

use agix_core::id::AgentName;
use agix_core::units::NanoUsd;
use agix_proto::v1::{
    AgentStanding, BudgetStanding, ListAgentsRequest, ListAgentsResponse, WindowStanding,
};
use serde::Serialize;

use crate::client::{CallError, Client};
use crate::exit::{Exit, Failure};
use crate::output::{Decimal, usd};

/// What stands in a cell without a value.
pub(super) const NONE: &str = "-";

/// The request limits of an agent; an absent one does not limit.
#[derive(Debug, Serialize)]
pub(super) struct LimitsView {
    pub(super) requests_per_minute: Option<WindowView>,
    pub(super) requests_per_hour: Option<WindowView>,
    pub(super) tokens_per_minute: Option<WindowView>,
    pub(super) max_concurrent: Option<WindowView>,
}

/// One of them.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct WindowView {
    pub(super) limit: u64,
    /// Used within the window.
    pub(super) used: u64,
    /// Held by proxies for what comes next; of places, also those taken.
    pub(super) held: u64,
    /// Neither used nor held.
    pub(super) free: u64,
    /// When the next one used becomes free; none if none is used.
    pub(super) next_release_ms: Option<u64>,
}

/// The budget of an agent; an absent period does not limit.
#[derive(Debug, Serialize)]
pub(super) struct BudgetsView {
    pub(super) daily: Option<BudgetView>,
    pub(super) monthly: Option<BudgetView>,
    /// `hard` or `soft`.
    pub(super) enforcement: String,
    pub(super) timezone: String,
}

/// One period of it.
#[derive(Debug, Serialize)]
pub(super) struct BudgetView {
    /// `2026-11-25` or `2026-11`.
    pub(super) period: String,
    limit_usd: Decimal,
    spent_usd: Decimal,
    escrow_usd: Decimal,
    unsettled_usd: Decimal,
    limit_nano_usd: u64,
    spent_nano_usd: u64,
    /// Set aside by proxies for calls under way and the next ones.
    escrow_nano_usd: u64,
    /// Set aside by proxies that were lost and may have spent it.
    unsettled_nano_usd: u64,
    /// Spent, of the limit.
    spent_percent: Decimal,
    pub(super) resets_in_ms: u64,
}

impl LimitsView {
    /// The limits of an agent.
    pub(super) fn new(standing: &AgentStanding) -> Self {
        let view = |window: Option<WindowStanding>| window.map(WindowView::from);
        Self {
            requests_per_minute: view(standing.requests_per_minute),
            requests_per_hour: view(standing.requests_per_hour),
            tokens_per_minute: view(standing.tokens_per_minute),
            max_concurrent: view(standing.concurrent),
        }
    }

    /// Those that are set, by the names they have in a policy.
    pub(super) fn set(&self) -> impl Iterator<Item = (&'static str, WindowView)> {
        let all = [
            ("requests_per_minute", self.requests_per_minute),
            ("requests_per_hour", self.requests_per_hour),
            ("tokens_per_minute", self.tokens_per_minute),
            ("max_concurrent", self.max_concurrent),
        ];
        all.into_iter()
            .filter_map(|(name, window)| Some((name, window?)))
    }
}

impl From<WindowStanding> for WindowView {
    fn from(wire: WindowStanding) -> Self {
        let WindowStanding {
            limit,
            used,
            held,
            next_release_ms,
        } = wire;
        Self {
            limit,
            used,
            held,
            free: limit.saturating_sub(used).saturating_sub(held),
            next_release_ms,
        }
    }
}

impl BudgetsView {
    /// The budget of an agent.
    pub(super) fn new(standing: &AgentStanding) -> Self {
        Self {
            daily: standing.daily.as_ref().map(BudgetView::from),
            monthly: standing.monthly.as_ref().map(BudgetView::from),
            enforcement: standing.enforcement.clone(),
            timezone: standing.timezone.clone(),
        }
    }

    /// The periods that are limited, the shorter one first.
    pub(super) fn set(&self) -> impl Iterator<Item = &BudgetView> {
        [&self.daily, &self.monthly].into_iter().flatten()
    }
}

impl From<&BudgetStanding> for BudgetView {
    fn from(wire: &BudgetStanding) -> Self {
        let BudgetStanding {
            period,
            limit_nano_usd,
            spent_nano_usd,
            escrow_nano_usd,
            unsettled_nano_usd,
            resets_in_ms,
        } = wire;
        let decimal = |nanos: &u64| Decimal::new(&NanoUsd::from_nanos(*nanos));
        let share = percent(*spent_nano_usd, *limit_nano_usd);
        Self {
            period: period.clone(),
            limit_usd: decimal(limit_nano_usd),
            spent_usd: decimal(spent_nano_usd),
            escrow_usd: decimal(escrow_nano_usd),
            unsettled_usd: decimal(unsettled_nano_usd),
            limit_nano_usd: *limit_nano_usd,
            spent_nano_usd: *spent_nano_usd,
            escrow_nano_usd: *escrow_nano_usd,
            unsettled_nano_usd: *unsettled_nano_usd,
            spent_percent: Decimal::new(&share.strip_suffix(".0").unwrap_or(&share)),
            resets_in_ms: *resets_in_ms,
        }
    }
}

impl BudgetView {
    pub(super) fn limit(&self) -> String {
        usd(NanoUsd::from_nanos(self.limit_nano_usd))
    }

    pub(super) fn spent(&self) -> String {
        usd(NanoUsd::from_nanos(self.spent_nano_usd))
    }

    pub(super) fn escrow(&self) -> String {
        usd(NanoUsd::from_nanos(self.escrow_nano_usd))
    }

    pub(super) fn unsettled(&self) -> String {
        usd(NanoUsd::from_nanos(self.unsettled_nano_usd))
    }

    /// Spent, of the limit.
    pub(super) fn percent(&self) -> String {
        percent(self.spent_nano_usd, self.limit_nano_usd) + "%"
    }
}

/// A share in percent with one place, cut off, so that 100 means all.
fn percent(part: u64, whole: u64) -> String {
    let thousandths = u128::from(part) * 1_000;
    let thousandths = thousandths.checked_div(whole.into()).unwrap_or_default();
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

/// An agent that was asked for has no limits.
#[derive(Debug, thiserror::Error)]
#[error("the policy limits no agent of the name {0}")]
struct NotLimited(AgentName);

/// How these agents stand; all that have limits if none is named.
pub(super) async fn standings(
    client: &Client,
    agents: &[AgentName],
) -> Result<ListAgentsResponse, Failure> {
    let request = ListAgentsRequest {
        agents: agents.iter().map(ToString::to_string).collect(),
        most_active: 0,
    };
    let answer = list(client, request).await?;
    let missing = |agent: &&AgentName| {
        let mut found = answer.agents.iter().map(|one| one.agent.as_str());
        answer.left_out == 0 && !found.any(|name| name == agent.as_str())
    };
    match agents.iter().find(missing) {
        Some(agent) => Err(Failure::new(Exit::Failed, NotLimited(agent.clone()))
            .help("`agixctl get limits` and `agixctl get budgets` list those that are limited")),
        None => Ok(answer),
    }
}

/// The `count` most active agents and how they stand.
pub(super) async fn most_active(
    client: &Client,
    count: u32,
) -> Result<ListAgentsResponse, CallError> {
    let request = ListAgentsRequest {
        agents: Vec::new(),
        most_active: count,
    };
    list(client, request).await
}

async fn list(
    client: &Client,
    request: ListAgentsRequest,
) -> Result<ListAgentsResponse, CallError> {
    let list = client.ledger(async |mut ledger| ledger.list_agents(request.clone()).await);
    let answer = list.await?;
    Ok(answer.into_inner())
}

/// What is said of agents that did not fit the answer.
pub(super) fn more(left_out: u32) -> String {
    match left_out {
        0 => String::new(),
        left_out => format!("... and {left_out} more; name agents to see them\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_cut_off_and_survives_a_limit_of_nothing() {
        assert_eq!(percent(3_255_999, 10_000_000), "32.5");
        assert_eq!(percent(9_999_999, 10_000_000), "99.9");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0");
        assert_eq!(percent(5, 0), "0.0");
    }

    #[test]
    fn what_is_neither_used_nor_held_is_free() {
        let window = |limit, used, held| {
            WindowView::from(WindowStanding {
                limit,
                used,
                held,
                next_release_ms: None,
            })
        };
        assert_eq!(window(10, 3, 2).free, 5);
        // A limit that was lowered.
        assert_eq!(window(5, 9, 1).free, 0);
    }
}
