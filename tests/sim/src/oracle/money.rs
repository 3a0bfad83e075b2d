//! Every dollar: set aside, spent, beyond what was set aside.

use std::collections::BTreeMap;

use agix_core::budget::DaySpan;
use agix_core::quota::Day;
use agix_core::time::Wall;
use agix_core::units::NanoUsd;

use super::Oracle;
use crate::clock::{Nanos, true_wall};

/// What a proxy books.
#[derive(Debug, Clone, Copy)]
pub struct Booking {
    /// Of which agent.
    pub agent: usize,
    /// By which process.
    pub incarnation: u64,
    /// On which day.
    pub day: Day,
    /// Set aside.
    pub reserved: NanoUsd,
    /// Not set aside any more.
    pub freed: NanoUsd,
    /// Spent.
    pub spent: NanoUsd,
    /// Of that, beyond what was set aside.
    pub overrun: NanoUsd,
    /// What a journal makes of it.
    pub presumed: NanoUsd,
    /// Spent, and nobody who lives knows of it.
    pub unknown: NanoUsd,
}

/// The truth of one agent's day.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// When it was first used.
    pub(super) since: Nanos,
    reserved: u64,
    pub(super) spent: u64,
    pub(super) overrun: u64,
    /// What journals presume beyond the truth.
    pub(super) presumed: u64,
    pub(super) unknown: u64,
    /// Corrections by operators.
    pub(super) adjusted: i64,
    pub(super) credited: u64,
    pub(super) debited: u64,
    /// Spent, by process.
    pub(super) by: BTreeMap<u64, u64>,
    /// Of that, beyond what was set aside.
    pub(super) overrun_by: BTreeMap<u64, u64>,
}

impl Booking {
    /// Nothing yet.
    pub const fn none(agent: usize, incarnation: u64, day: Day) -> Self {
        Self {
            agent,
            incarnation,
            day,
            reserved: NanoUsd::ZERO,
            freed: NanoUsd::ZERO,
            spent: NanoUsd::ZERO,
            overrun: NanoUsd::ZERO,
            presumed: NanoUsd::ZERO,
            unknown: NanoUsd::ZERO,
        }
    }
}

impl Oracle {
    /// Money was set aside or spent.
    pub fn book(&mut self, booking: &Booking, now: Nanos) {
        self.note(booking.spent.as_nanos() ^ now);
        let key = (booking.agent, booking.day);
        let account = self.account(key);
        account.reserved += booking.reserved.as_nanos();
        let freed = booking.freed.as_nanos();
        let reserved = account.reserved;
        account.reserved = account.reserved.saturating_sub(freed);
        let spent = booking.spent.as_nanos();
        account.spent += spent;
        account.overrun += booking.overrun.as_nanos();
        account.presumed += booking.presumed.as_nanos().saturating_sub(spent);
        account.unknown += booking.unknown.as_nanos();
        *account.by.entry(booking.incarnation).or_default() += spent;
        let overrun = booking.overrun.as_nanos();
        *account.overrun_by.entry(booking.incarnation).or_default() += overrun;
        if freed > reserved {
            self.breach("oracle", || {
                format!("{booking:?} frees what was not set aside")
            });
        }
        if !booking.reserved.is_zero() {
            self.check_day(booking.agent, booking.day, now);
        }
        if spent > 0 || !booking.reserved.is_zero() {
            self.check_spend(booking.agent, booking.day);
        }
    }

    pub(super) fn account(&mut self, key: (usize, Day)) -> &mut Account {
        let since = self.now;
        self.accounts.entry(key).or_insert_with(|| Account {
            since,
            ..Account::default()
        })
    }

    /// Money belongs to the day in which it is set aside, as far as clocks and messages go.
    fn check_day(&mut self, agent: usize, day: Day, now: Nanos) {
        let Some(began) = self.began.filter(|_| self.versions[agent].len() == 1) else {
            return;
        };
        let wall = true_wall(now, began);
        let zone = &self.newest(agent).timezone;
        let span = match self.spans.get(&agent) {
            Some(span) if span.begins <= wall && wall < span.ends => *span,
            _ => DaySpan::of(zone, wall),
        };
        self.spans.insert(agent, span);
        let near = |at: Wall| wall.as_millis().abs_diff(at.as_millis()) < 90_000;
        if span.day != day && !near(span.begins) && !near(span.ends) {
            self.breach("I3", || {
                format!("agent {agent}: money of {day} is set aside on {}", span.day)
            });
        }
    }

    fn check_spend(&mut self, agent: usize, day: Day) {
        let periods = [
            (day, day, false),
            (day.month().first_day(), day.month().last_day(), true),
        ];
        for (from, to, monthly) in periods {
            let days = self.accounts.range((agent, from)..=(agent, to));
            let sum = days.fold(Account::default(), |sum, (_, it)| sum.plus(it));
            let Some(limit) = self.money_bound(agent, sum.since, monthly) else {
                continue;
            };
            let used = sum.spent + sum.reserved;
            if used > limit + sum.overrun + sum.credited {
                self.breach("I3", || {
                    format!(
                        "agent {agent}, {from} to {to}: {} spent and {} in flight are more than \
                         {limit} and {} of overruns",
                        sum.spent, sum.reserved, sum.overrun
                    )
                });
            }
        }
    }
}

impl Account {
    /// Both together; since the earlier one.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            since: if self.since == 0 {
                other.since
            } else {
                self.since.min(other.since)
            },
            reserved: self.reserved + other.reserved,
            spent: self.spent + other.spent,
            overrun: self.overrun + other.overrun,
            presumed: self.presumed + other.presumed,
            unknown: self.unknown + other.unknown,
            adjusted: self.adjusted + other.adjusted,
            credited: self.credited + other.credited,
            debited: self.debited + other.debited,
            by: BTreeMap::new(),
            overrun_by: BTreeMap::new(),
        }
    }
}
