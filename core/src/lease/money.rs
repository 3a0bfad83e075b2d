//! The money of one agent at one proxy.

use std::collections::BTreeMap;

use super::demand::Demand;
use super::ticket::Reserved;
use crate::limits::ESCROW_AHEAD;
use crate::quota::{
    Day, MoneyReport, MoneyUpdate, PeriodStanding, PurseReport, SessionId, Standing,
};
use crate::time::Mono;
use crate::units::NanoUsd;

/// Money by day, and how the agent stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Money {
    pub(super) purses: BTreeMap<Day, Purse>,
    /// The day to which new reservations belong, and until when.
    pub(super) today: Option<(Day, Mono)>,
    /// How the agent stands in the fleet, as of when.
    pub(super) standing: Option<(Standing, Mono)>,
    pub(super) demand: Demand,
}

/// The money of one day in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Purse {
    pub(super) granted: NanoUsd,
    pub(super) spent: NanoUsd,
    pub(super) released: NanoUsd,
    pub(super) reserved: NanoUsd,
    /// Spend the ledger has confirmed.
    pub(super) confirmed: NanoUsd,
}

impl Purse {
    pub(super) const fn idle(&self) -> NanoUsd {
        self.granted
            .saturating_sub(self.spent)
            .saturating_sub(self.released)
            .saturating_sub(self.reserved)
    }
}

impl Money {
    /// The day to which new reservations belong; none if it has to be asked for.
    pub(super) fn today(&self, now: Mono) -> Option<Day> {
        self.today
            .filter(|(_, until)| now < *until)
            .map(|(day, _)| day)
    }

    /// What can be set aside now.
    pub(super) fn idle(&self, now: Mono) -> NanoUsd {
        self.today(now)
            .and_then(|day| self.purses.get(&day))
            .map_or(NanoUsd::ZERO, Purse::idle)
    }

    /// Sets money of today aside.
    pub(super) fn reserve(
        &mut self,
        session: Option<SessionId>,
        amount: NanoUsd,
        now: Mono,
    ) -> Option<Reserved> {
        let day = self.today(now)?;
        self.demand.add(amount.as_nanos(), now);
        let purse = self.purses.entry(day).or_default();
        purse.reserved = purse.reserved.saturating_add(amount);
        Some(Reserved {
            session,
            day,
            amount,
        })
    }

    /// Frees what was set aside and books what was spent.
    pub(super) fn settle(&mut self, day: Day, reserved: NanoUsd, spent: NanoUsd) {
        let purse = self.purses.entry(day).or_default();
        purse.reserved = purse.reserved.saturating_sub(reserved);
        purse.spent = purse.spent.saturating_add(spent);
    }

    /// Gives back what is idle of days that are over; of today too if `all`, except `keep`.
    pub(super) fn give_back(&mut self, all: bool, keep: NanoUsd, now: Mono) {
        let today = self.today(now);
        for (day, purse) in &mut self.purses {
            let keep = if Some(*day) == today {
                keep
            } else {
                NanoUsd::ZERO
            };
            if all || Some(*day) != today {
                let idle = purse.idle().saturating_sub(keep);
                purse.released = purse.released.saturating_add(idle);
            }
        }
    }

    /// Whether the ledger does not know of everything spent.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.purses
            .values()
            .any(|purse| purse.confirmed < purse.spent)
    }

    /// Spent here and not yet counted in the standing.
    pub(super) fn unconfirmed(&self, of: impl Fn(Day) -> bool) -> NanoUsd {
        self.purses
            .iter()
            .filter(|(day, _)| of(**day))
            .fold(NanoUsd::ZERO, |sum, (_, purse)| {
                sum.saturating_add(purse.spent.saturating_sub(purse.confirmed))
            })
    }

    /// What the next moments will probably take.
    pub(super) fn foreseen(&mut self, now: Mono) -> NanoUsd {
        NanoUsd::from_nanos(self.demand.over(ESCROW_AHEAD, now))
    }

    pub(super) fn report(&mut self, waiting: NanoUsd, first: NanoUsd, now: Mono) -> MoneyReport {
        let purses = self.purses.iter().map(|(day, purse)| PurseReport {
            day: *day,
            spent: purse.spent,
            released: purse.released,
            reserved: purse.reserved,
        });
        MoneyReport {
            purses: purses.collect(),
            waiting,
            first,
            want: self.foreseen(now),
        }
    }

    pub(super) fn update(&mut self, update: &MoneyUpdate, now: Mono) {
        for told in &update.purses {
            let purse = self.purses.entry(told.day).or_default();
            purse.granted = purse.granted.max(told.granted);
            purse.confirmed = purse.confirmed.max(told.spent);
        }
        if self.today.is_none_or(|(day, _)| day <= update.today) {
            self.today = Some((update.today, now.after(update.ends_in)));
        }
        self.standing = Some((update.standing, now));
        // A day that is over, all told, needs no room.
        let today = update.today;
        self.purses.retain(|day, purse| {
            let settled = purse.reserved.is_zero() && purse.confirmed >= purse.spent;
            *day >= today || !settled || !purse.idle().is_zero()
        });
    }

    /// The limit that leaves no room for `need`, with what is spent, unsettled and unconfirmed.
    pub(super) fn exhausted(&self, need: NanoUsd) -> Option<(bool, PeriodStanding)> {
        let (standing, _) = self.standing?;
        let over = |period: &PeriodStanding| period.room() < need;
        let day = standing.day.filter(over).map(|period| (false, period));
        day.or(standing.month.filter(over).map(|period| (true, period)))
    }

    /// The limit that is used up already, for an agent whose limits are only compared.
    pub(super) fn passed(&self, now: Mono) -> Option<(bool, PeriodStanding)> {
        let (standing, _) = self.standing?;
        let today = self.today(now)?;
        let passed = |period: PeriodStanding, here: NanoUsd| {
            (period.spent.saturating_add(here) >= period.limit).then_some(period)
        };
        let day = standing
            .day
            .and_then(|it| passed(it, self.unconfirmed(|day| day == today)));
        let month = standing
            .month
            .and_then(|it| passed(it, self.unconfirmed(|day| day.month() == today.month())));
        day.map(|it| (false, it)).or(month.map(|it| (true, it)))
    }
}
