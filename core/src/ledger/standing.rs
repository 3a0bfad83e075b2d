//! How agents stand, for people.

use std::time::Duration;

use crate::budget::DaySpan;
use crate::id::AgentName;
use crate::ledger::{AgentBooks, Ledger, LedgerTime, Money};
use crate::quota::{Day, Pool, Terms};
use crate::rate::Cooling;
use crate::time::Wall;
use crate::units::NanoUsd;

/// How an agent stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentState {
    /// Its limits.
    pub terms: Terms,
    /// Requests of the last minute: used and held.
    pub minute: (u64, u64),
    /// Requests of the last hour: used and held.
    pub hour: (u64, u64),
    /// Tokens of the last minute: used and held.
    pub tokens: (u64, u64),
    /// Places held.
    pub slots: u64,
    /// When the next request leaves the minute, the hour, and the next token its minute.
    pub next_release: [Option<Duration>; 3],
    /// The day's money.
    pub day: Option<PeriodState>,
    /// The month's money.
    pub month: Option<PeriodState>,
    /// Requests taken in during the last one to two minutes.
    pub recent: u64,
}

/// How the money of a period stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodState {
    /// `2026-11-25` or `2026-11`.
    pub period: String,
    /// The limit.
    pub limit: NanoUsd,
    /// What was spent and set aside.
    pub money: Money,
    /// When the period ends.
    pub resets_in: Duration,
}

impl Ledger {
    /// How an agent stands; nothing if the policy does not limit it.
    pub fn agent(&self, agent: &AgentName, now: LedgerTime, wall: Wall) -> Option<AgentState> {
        let terms = self.policy.get(agent)?;
        let span = DaySpan::of(&terms.timezone, wall);
        let empty = AgentBooks::default();
        let books = self
            .books
            .agents
            .get(agent)
            .map_or(&empty, |books| &**books);
        let today = books.day.unwrap_or(span.day).max(span.day);
        let held = books.held(Pool::Requests);
        let next = |cooling: &Cooling| {
            let next = cooling.releases().find(|(at, _)| *at > now);
            next.map(|(at, _)| at.since(now))
        };
        Some(AgentState {
            terms: terms.clone(),
            minute: (used(&books.minute, now), held),
            hour: (used(&books.hour, now), held),
            tokens: (used(&books.tokens, now), books.held(Pool::Tokens)),
            slots: books.held(Pool::Slots),
            next_release: [next(&books.minute), next(&books.hour), next(&books.tokens)],
            day: terms.daily.map(|limit| PeriodState {
                period: today.to_string(),
                limit,
                money: self.money(books, today, today),
                resets_in: span.ends_in(wall),
            }),
            month: terms.monthly.map(|limit| PeriodState {
                period: today.month().to_string(),
                limit,
                money: self.money(books, today.month().first_day(), today.month().last_day()),
                resets_in: span.month_ends_in(wall),
            }),
            recent: self.claims.get(agent).map_or(0, |it| it.recent(now)),
        })
    }

    /// Agents of which requests were taken in lately, and how many.
    pub fn active(&self, now: LedgerTime) -> impl Iterator<Item = (&AgentName, u64)> {
        let counted = self.claims.iter();
        counted
            .map(move |(agent, claims)| (agent, claims.recent(now)))
            .filter(|(_, recent)| *recent > 0)
    }

    fn money(&self, books: &AgentBooks, from: Day, to: Day) -> Money {
        books
            .purses
            .range(from..=to)
            .fold(Money::default(), |sum, (_, purse)| {
                sum.plus(&self.books.money_of(purse))
            })
    }
}

fn used(cooling: &Cooling, now: LedgerTime) -> u64 {
    cooling
        .releases()
        .filter(|(at, _)| *at > now)
        .fold(0, |sum, (_, count)| sum.saturating_add(count))
}
