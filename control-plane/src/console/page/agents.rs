//! Agents: how they stand with their limits and budgets, and what they spent.

use std::collections::BTreeMap;
use std::sync::Arc;

use agix_core::limits::CONSOLE_ROWS;
use agix_proto::v1::{
    AgentStanding, BudgetStanding, ListAgentsRequest, ListUsageRequest, UsageRow, UsageTotals,
    WindowStanding,
};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde::Serialize;

use super::Page;
use crate::console::Console;
use crate::console::error::PageError;
use crate::console::form::Fields;
use crate::console::guard::{Calls, Visitor};
use crate::console::view::{Bar, count, span, usd};

/// Days of usage that a page adds up.
const DAYS: i64 = 30;

#[derive(Debug, Serialize)]
struct Agents {
    /// Part of a name that was looked for.
    search: String,
    list: Vec<Agent>,
    left_out: u32,
}

/// An agent with what limits it.
#[derive(Debug, Serialize)]
pub(super) struct Agent {
    name: String,
    /// Requests of about the last minute; absent where nothing counts them.
    recent: Option<String>,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Detail {
    agent: Option<Agent>,
    name: String,
    enforcement: String,
    timezone: String,
    days: i64,
    models: Vec<Spend>,
    by_day: Vec<Spend>,
}

/// What was spent for one thing.
#[derive(Debug, Serialize)]
struct Spend {
    what: String,
    requests: String,
    input: String,
    output: String,
    cost: String,
    /// Calls without a known price.
    unpriced: u64,
}

/// `/agents`
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Page {
    let fields = Fields::of_query(&uri);
    let search = fields.get("search").unwrap_or_default().to_lowercase();
    let most_active = if search.is_empty() { CONSOLE_ROWS } else { 0 };
    let (agents, left_out) = standings(&visitor.calls, most_active).await?;
    let found = agents.iter().filter(|it| it.agent.contains(&search));
    let rows = usize::try_from(CONSOLE_ROWS).unwrap_or(usize::MAX);
    let page = Agents {
        list: found.take(rows).map(Agent::new).collect(),
        search,
        left_out,
    };
    console
        .page(&visitor, ("agents.html", "agents", "Agents"), &page)
        .await
}

/// `/agents/{name}`
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
) -> Page {
    let request = ListAgentsRequest {
        agents: vec![name.clone()],
        most_active: 0,
    };
    let answer = visitor.calls.ledger().list_agents(request).await?;
    let standing = answer.into_inner().agents.into_iter().next();
    let usage = usage(&console, &visitor.calls, &name).await?;
    if standing.is_none() && usage.is_empty() {
        return Err(PageError::Missing(
            "agent of this name with limits or usage",
        ));
    }
    let (enforcement, timezone) = standing.as_ref().map_or_else(Default::default, |it| {
        (it.enforcement.clone(), it.timezone.clone())
    });
    let page = Detail {
        agent: standing.as_ref().map(Agent::new),
        enforcement,
        timezone,
        days: DAYS,
        models: sums(&usage, |row| row.model.clone()),
        by_day: sums(&usage, |row| day(row.day)),
        name: name.clone(),
    };
    console
        .page(&visitor, ("agent.html", "agents", &name), &page)
        .await
}

/// How agents stand, the most active first, and how many are left out.
pub(super) async fn standings(
    calls: &Calls,
    most_active: u32,
) -> Result<(Vec<AgentStanding>, u32), PageError> {
    let request = ListAgentsRequest {
        agents: Vec::new(),
        most_active,
    };
    let answer = calls.ledger().list_agents(request).await?.into_inner();
    Ok((answer.agents, answer.left_out))
}

async fn usage(console: &Console, calls: &Calls, agent: &str) -> Result<Vec<UsageRow>, PageError> {
    let request = ListUsageRequest {
        since_day: console.day(DAYS),
        until_day: 0,
    };
    let mut stream = calls.ledger().list_usage(request).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(part) = stream.message().await? {
        rows.extend(part.rows.into_iter().filter(|row| row.agent == agent));
    }
    Ok(rows)
}

/// Adds rows up by what `key` says of them, the dearest first.
fn sums(rows: &[UsageRow], key: impl Fn(&UsageRow) -> String) -> Vec<Spend> {
    let mut sums: BTreeMap<String, UsageTotals> = BTreeMap::new();
    for row in rows {
        let Some(totals) = &row.totals else { continue };
        let sum = sums.entry(key(row)).or_default();
        sum.requests = sum.requests.saturating_add(totals.requests);
        sum.unpriced = sum.unpriced.saturating_add(totals.unpriced);
        sum.input = sum.input.saturating_add(input(totals));
        sum.output = sum.output.saturating_add(output(totals));
        sum.cost_nano_usd = sum.cost_nano_usd.saturating_add(totals.cost_nano_usd);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.cost_nano_usd));
    sums.into_iter()
        .map(|(what, sum)| Spend {
            what,
            requests: count(sum.requests),
            input: count(sum.input),
            output: count(sum.output),
            cost: usd(sum.cost_nano_usd),
            unpriced: sum.unpriced,
        })
        .collect()
}

const fn input(totals: &UsageTotals) -> u64 {
    totals
        .input
        .saturating_add(totals.cached_input)
        .saturating_add(totals.cache_write)
}

const fn output(totals: &UsageTotals) -> u64 {
    totals.output.saturating_add(totals.reasoning)
}

/// `2026-11-25` of `20261125`.
fn day(day: u32) -> String {
    format!("{}-{:02}-{:02}", day / 10_000, day / 100 % 100, day % 100)
}

impl Console {
    /// The day so many days ago, as usage has it: 20261125.
    fn day(&self, ago: i64) -> u32 {
        let back = ago.saturating_mul(86_400_000);
        let then = self.clock.wall().as_millis().saturating_sub(back);
        let then = jiff::Timestamp::from_millisecond(then).unwrap_or_default();
        then.strftime("%Y%m%d").to_string().parse().unwrap_or(0)
    }
}

impl Agent {
    pub(super) fn new(standing: &AgentStanding) -> Self {
        let counted =
            standing.requests_per_minute.is_some() || standing.requests_per_hour.is_some();
        let windows = [
            ("Requests a minute", standing.requests_per_minute),
            ("Requests an hour", standing.requests_per_hour),
            ("Tokens a minute", standing.tokens_per_minute),
            ("At once", standing.concurrent),
        ];
        let windows = windows
            .into_iter()
            .filter_map(|(label, window)| Some(window_bar(label, window?)));
        let budgets = [("Day", &standing.daily), ("Month", &standing.monthly)];
        let budgets = budgets
            .into_iter()
            .filter_map(|(label, budget)| Some(budget_bar(label, budget.as_ref()?)));
        Self {
            name: standing.agent.clone(),
            recent: counted.then(|| count(standing.recent_requests)),
            bars: windows.chain(budgets).collect(),
        }
    }

    /// Whether something of it is nearly used up.
    pub(super) fn is_near(&self) -> bool {
        self.bars.iter().any(|bar| bar.used >= 80)
    }
}

fn window_bar(label: &str, window: WindowStanding) -> Bar {
    let text = format!("{} of {}", count(window.used), count(window.limit));
    let release = window
        .next_release_ms
        .map(|millis| format!("next free in {}", span(millis)));
    let held = (window.held > 0).then(|| format!("{} held ready", count(window.held)));
    let note: Vec<String> = held.into_iter().chain(release).collect();
    let amounts = (window.used, window.held, window.limit);
    Bar::new(label, amounts, text, note.join(", "))
}

fn budget_bar(label: &str, budget: &BudgetStanding) -> Bar {
    let aside = budget
        .escrow_nano_usd
        .saturating_add(budget.unsettled_nano_usd);
    let amounts = (budget.spent_nano_usd, aside, budget.limit_nano_usd);
    let text = format!(
        "{} of {}",
        usd(budget.spent_nano_usd),
        usd(budget.limit_nano_usd)
    );
    let mut note = format!("{}, resets in {}", budget.period, span(budget.resets_in_ms));
    if budget.escrow_nano_usd > 0 {
        note = format!("{} set aside, {note}", usd(budget.escrow_nano_usd));
    }
    if budget.unsettled_nano_usd > 0 {
        note = format!("{} unsettled, {note}", usd(budget.unsettled_nano_usd));
    }
    Bar::new(label, amounts, text, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: u32, model: &str, cost: u64) -> UsageRow {
        UsageRow {
            day,
            agent: "a".to_owned(),
            model: model.to_owned(),
            totals: Some(UsageTotals {
                requests: 2,
                input: 3,
                cached_input: 4,
                output: 5,
                reasoning: 6,
                cost_nano_usd: cost,
                ..UsageTotals::default()
            }),
        }
    }

    #[test]
    fn usage_is_added_up_with_the_dearest_first() {
        let rows = [
            row(20_261_124, "x", 1),
            row(20_261_125, "x", 1),
            row(20_261_125, "y", 5_000_000),
        ];
        let models = sums(&rows, |row| row.model.clone());
        assert_eq!(models.len(), 2);
        assert_eq!(
            (models[0].what.as_str(), models[0].cost.as_str()),
            ("y", "$0.0050")
        );
        assert_eq!(
            (models[1].requests.as_str(), models[1].input.as_str()),
            ("4", "14")
        );
        assert_eq!(day(20_261_125), "2026-11-25");
    }

    #[test]
    fn an_agent_has_a_bar_for_each_of_its_limits_and_no_other() {
        let standing = AgentStanding {
            agent: "a".to_owned(),
            requests_per_hour: Some(WindowStanding {
                limit: 10,
                used: 9,
                held: 1,
                next_release_ms: Some(61_000),
            }),
            ..AgentStanding::default()
        };
        let agent = Agent::new(&standing);
        assert_eq!(agent.bars.len(), 1);
        assert!(agent.is_near());
    }
}
