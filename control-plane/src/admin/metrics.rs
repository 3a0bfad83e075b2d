//! The text of `/metrics`: put together when it is asked for, from what the parts know anyway.
//!
//! What one control plane of several owns (the ledger, the queue of webhooks) only its owner tells
//! of; the others say that they are not it.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};

use agix_core::id::{AgentName, Revision};
use agix_core::ledger::{AgentState, PeriodState};
use agix_core::limits::{METRIC_AGENTS, METRIC_WEBHOOKS};
use agix_core::units::NanoUsd;
use agix_core::webhook::queue::{Queue, Standing};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::Watched;
use crate::ledger::View;

/// A gauge of dollars.
type Dollars = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeriodLabel {
    agent: String,
    period: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    agent: String,
    limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    webhook: String,
    state: &'static str,
}

/// What the owner of the ledger tells.
struct Books {
    batches: u64,
    sessions: usize,
    agents: Vec<(AgentName, AgentState)>,
}

/// All metrics of this moment.
pub(super) async fn text(admin: &Watched) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("agix");
    policy(admin, &mut registry);
    store(admin, &mut registry);
    let books = admin.ledger.look(books).await.ok();
    flag(
        &mut registry,
        "ledger_owner",
        "Whether this control plane owns the ledger",
        books.is_some(),
    );
    if let Some(books) = books {
        ledger(&books, &mut registry);
    }
    let queue = admin.webhooks.look(Queue::standing).await.ok();
    flag(
        &mut registry,
        "webhook_queue_owner",
        "Whether this control plane owns the queue of webhooks",
        queue.is_some(),
    );
    if let Some(mut standing) = queue {
        // Those that have had no execution count as well: a series begins at zero.
        if let Some(current) = admin.repository.current() {
            for name in current.policy().webhooks.keys() {
                standing.webhooks.entry(name.clone()).or_default();
            }
        }
        webhooks(&standing, &mut registry);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn policy(admin: &Watched, registry: &mut Registry) {
    let current = admin.repository.current();
    let info = current.as_ref().map(|current| current.info());
    let revision = info.map_or(Revision::NONE, |info| info.revision);
    let (connected, current) = admin.fleet.own().count(revision);
    gauge(
        registry,
        "policy_revision",
        "The current policy revision",
        integer(revision.number()),
    );
    gauge(
        registry,
        "proxies_connected",
        "Proxies whose policy stream is up",
        count(connected),
    );
    gauge(
        registry,
        "proxies_current",
        "Of these, proxies that have the current revision in force",
        count(current),
    );
    if let Some(info) = info {
        let age = admin
            .clock
            .wall()
            .as_millis()
            .saturating_sub(info.time.as_millis());
        registry.register_with_unit(
            "policy_age",
            "Time since the current revision was made",
            Unit::Seconds,
            ConstGauge::new(age.max(0).div_euclid(1_000)),
        );
    }
}

/// How the store is that control planes share.
fn store(admin: &Watched, registry: &mut Registry) {
    let Some(health) = admin.fleet.health() else {
        return;
    };
    flag(
        registry,
        "store_writable",
        "Whether the store took what was written last",
        health.trouble.is_empty(),
    );
    gauge(
        registry,
        "store_write_milliseconds",
        "Time the last write took",
        i64::try_from(health.write_time.as_millis()).unwrap_or(i64::MAX),
    );
}

/// What the ledger says, of so many agents at most: the most active ones first.
fn books(view: &View<'_>) -> Books {
    let mut active: Vec<_> = view.ledger.active(view.now).collect();
    active.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let busy = active.into_iter().map(|(agent, _)| agent);
    let mut agents: Vec<(AgentName, AgentState)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for agent in busy.chain(view.ledger.agents()) {
        if agents.len() >= METRIC_AGENTS {
            break;
        }
        if seen.insert(agent)
            && let Some(state) = view.ledger.agent(agent, view.now, view.wall)
        {
            agents.push((agent.clone(), state));
        }
    }
    Books {
        batches: view.ledger.books().number,
        sessions: view.ledger.sessions(),
        agents,
    }
}

fn ledger(books: &Books, registry: &mut Registry) {
    registry.register(
        "ledger_commits",
        "Batches committed to the ledger's log, by all owners",
        ConstCounter::new(books.batches),
    );
    gauge(
        registry,
        "ledger_sessions",
        "Sessions of proxies that the ledger knows",
        count(books.sessions),
    );
    budgets(books, registry);
    limits(books, registry);
}

fn budgets(books: &Books, registry: &mut Registry) {
    let [limit, spent, held, remaining]: [Family<PeriodLabel, Dollars>; 4] = Default::default();
    for (agent, state) in &books.agents {
        for (period, money) in [("day", &state.day), ("month", &state.month)] {
            let Some(PeriodState {
                limit: most, money, ..
            }) = money
            else {
                continue;
            };
            let label = PeriodLabel {
                agent: agent.to_string(),
                period,
            };
            let set_aside = money.escrow.saturating_add(money.unsettled);
            for (family, amount) in [
                (&limit, *most),
                (&spent, money.spent),
                (&held, set_aside),
                (&remaining, most.saturating_sub(money.committed())),
            ] {
                family.get_or_create(&label).set(dollars(amount));
            }
        }
    }
    for (name, help, family) in [
        (
            "budget_limit_usd",
            "What an agent may spend in a period",
            limit,
        ),
        ("budget_spent_usd", "What it has spent", spent),
        (
            "budget_held_usd",
            "What is set aside for calls under way or lost",
            held,
        ),
        (
            "budget_remaining_usd",
            "What is neither spent nor set aside",
            remaining,
        ),
    ] {
        registry.register(name, help, family);
    }
}

fn limits(books: &Books, registry: &mut Registry) {
    let [allowed, used]: [Family<LimitLabel, Gauge<i64, AtomicI64>>; 2] = Default::default();
    for (agent, state) in &books.agents {
        let minute = state.terms.requests_per_minute;
        let hour = state.terms.requests_per_hour;
        for (name, most, (taken, in_hand)) in [
            ("requests_per_minute", minute, state.minute),
            ("requests_per_hour", hour, state.hour),
        ] {
            let Some(most) = most else { continue };
            let label = LimitLabel {
                agent: agent.to_string(),
                limit: name,
            };
            allowed.get_or_create(&label).set(integer(most));
            let taken = taken.saturating_add(in_hand);
            used.get_or_create(&label).set(integer(taken));
        }
    }
    let help = "What a limit allows in its window";
    registry.register("limit_requests", help, allowed);
    let help = "What of it is used or held by proxies";
    registry.register("limit_used_requests", help, used);
}

fn webhooks(standing: &Standing, registry: &mut Registry) {
    for (name, help, value) in [
        (
            "webhook_open",
            "Executions that have not come to their end",
            standing.open,
        ),
        (
            "webhook_open_bytes",
            "Bytes of payloads and results they hold",
            standing.open_bytes,
        ),
        (
            "webhook_waiting",
            "Executions that nobody works on",
            standing.waiting,
        ),
        (
            "webhook_workers",
            "Proxies that work on webhooks",
            standing.workers,
        ),
    ] {
        gauge(registry, name, help, count(value));
    }
    let executions: Family<StateLabel, Gauge> = Family::default();
    for (webhook, counts) in standing.webhooks.iter().take(METRIC_WEBHOOKS) {
        for (state, number) in [
            ("open", counts.open),
            ("succeeded", counts.succeeded),
            ("failed", counts.failed),
            ("dead", counts.dead),
        ] {
            let label = StateLabel {
                webhook: webhook.to_string(),
                state,
            };
            executions.get_or_create(&label).set(i64::from(number));
        }
    }
    let help = "Executions that are kept, by definition and state";
    registry.register("webhook_executions", help, executions);
}

fn flag(registry: &mut Registry, name: &str, help: &str, value: bool) {
    gauge(registry, name, help, i64::from(value));
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    registry.register(name, help, ConstGauge::new(value));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge for people, not the books"
)]
fn dollars(amount: NanoUsd) -> f64 {
    amount.as_nanos() as f64 / 1e9
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
