//! The money of one agent at one proxy.

use std::collections::BTreeMap;

use super::demand::Demand;
use super::journal::Noted;
use super::ticket::Reserved;
use crate::limits::{ESCROW_AHEAD, REPORT_PURSES};
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
    /// Reservations of calls that have not ended: they may still spend.
    pub(super) calls: u32,
    /// Spend the ledger has confirmed.
    pub(super) confirmed: NanoUsd,
    /// Whether a report has said all this.
    pub(super) told: bool,
    /// What of this was written down.
    pub(super) noted: Option<Noted>,
}

impl Purse {
    pub(super) const fn idle(&self) -> NanoUsd {
        self.granted
            .saturating_sub(self.spent)
            .saturating_sub(self.released)
            .saturating_sub(self.reserved)
    }

    /// Whether nothing is under way or held, and the ledger has all that was spent.
    fn is_settled(&self) -> bool {
        self.calls == 0
            && self.reserved.is_zero()
            && self.idle().is_zero()
            && self.confirmed >= self.spent
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
        purse.calls = purse.calls.saturating_add(1);
        Some(Reserved {
            session,
            day,
            amount,
            calls: 1,
        })
    }

    /// Frees what was set aside and books what was spent.
    pub(super) fn settle(&mut self, day: Day, reserved: NanoUsd, spent: NanoUsd) {
        let purse = self.purses.entry(day).or_default();
        purse.reserved = purse.reserved.saturating_sub(reserved);
        purse.spent = purse.spent.saturating_add(spent);
        purse.told = false;
    }

    /// Calls that had something set aside have ended.
    pub(super) fn let_go(&mut self, day: Day, calls: u32) {
        if let Some(purse) = self.purses.get_mut(&day) {
            purse.calls = purse.calls.saturating_sub(calls);
        }
    }

    /// Gives back what is idle, but for `keep` of today's.
    pub(super) fn give_back(&mut self, keep: NanoUsd, now: Mono) {
        let today = self.today(now);
        for (day, purse) in &mut self.purses {
            let keep = kept(*day, today, keep);
            let idle = purse.idle().saturating_sub(keep);
            if !idle.is_zero() {
                purse.released = purse.released.saturating_add(idle);
                purse.told = false;
            }
        }
    }

    /// Whether more is idle than that.
    pub(super) fn has_excess(&self, keep: NanoUsd, now: Mono) -> bool {
        let today = self.today(now);
        self.purses
            .iter()
            .any(|(day, purse)| purse.idle() > kept(*day, today, keep))
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

    /// A day that is over is told until all of it is in the books, and then no more.
    pub(super) fn report(&mut self, waiting: NanoUsd, first: NanoUsd, now: Mono) -> MoneyReport {
        let today = self.today(now);
        let mut purses = Vec::new();
        for (day, purse) in self.purses.iter_mut().rev().take(REPORT_PURSES) {
            if purse.told && purse.is_settled() && Some(*day) != today {
                continue;
            }
            purse.told = true;
            purses.push(PurseReport {
                day: *day,
                spent: purse.spent,
                released: purse.released,
                reserved: purse.reserved,
            });
        }
        MoneyReport {
            purses,
            waiting,
            first,
            want: self.foreseen(now),
        }
    }

    /// What was told and perhaps not heard is told again.
    pub(super) fn repeat(&mut self) {
        for purse in self.purses.values_mut() {
            purse.told = false;
        }
    }

    /// Hands over what changed since it was written down. A day that is over and in the books whole
    /// need not be known any more; of a day that is not, even what is held for nothing must be, to be
    /// given back.
    pub(super) fn take_notes(&mut self, mut note: impl FnMut(Day, Option<Noted>)) {
        let today = self.today.map(|(day, _)| day);
        for (day, purse) in &mut self.purses {
            let is_over = today.is_some_and(|today| *day < today);
            let money = Noted {
                spent: purse.spent,
                reserved: purse.reserved,
            };
            let holds = !(is_over && purse.told && purse.is_settled());
            let money = holds.then_some(money);
            if purse.noted != money {
                purse.noted = money;
                note(*day, money);
            }
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
        // Its counts go on for as long as the session does: a call may be settled late.
        while self.purses.len() > REPORT_PURSES {
            let oldest = self.purses.first_entry();
            let is_done = |purse: &Purse| purse.told && purse.is_settled() && purse.noted.is_none();
            match oldest.filter(|it| is_done(it.get())) {
                Some(oldest) => drop(oldest.remove()),
                None => break,
            }
        }
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

/// Nothing is kept of days that are over.
fn kept(day: Day, today: Option<Day>, keep: NanoUsd) -> NanoUsd {
    if Some(day) == today {
        keep
    } else {
        NanoUsd::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::quota::PurseUpdate;

    fn usd(dollars: u64) -> NanoUsd {
        NanoUsd::from_nanos(dollars * 1_000_000_000)
    }

    fn update(today: Day, spent: u64) -> MoneyUpdate {
        MoneyUpdate {
            today,
            ends_in: Duration::from_secs(3_600),
            purses: vec![PurseUpdate {
                day: Day::FIRST,
                granted: NanoUsd::ZERO,
                spent: usd(spent),
            }],
            standing: Standing::default(),
        }
    }

    #[test]
    fn what_is_settled_after_its_day_is_added_to_what_was_told_before() {
        let mut money = Money::default();
        let now = Mono::from_nanos(1);
        let (first, second) = (Day::FIRST, Day::new(0, 1, 2).unwrap());
        money.update(&update(first, 0), now);
        money.settle(first, NanoUsd::ZERO, usd(30));
        money.report(NanoUsd::ZERO, NanoUsd::ZERO, now);
        money.update(&update(second, 30), now);
        let told = |money: &mut Money| {
            let report = money.report(NanoUsd::ZERO, NanoUsd::ZERO, now);
            let purses = report.purses.iter().map(|it| (it.day, it.spent));
            purses.collect::<Vec<_>>()
        };
        assert_eq!(told(&mut money), [], "all of it is in the books");
        money.settle(first, NanoUsd::ZERO, usd(20));
        assert_eq!(told(&mut money), [(first, usd(50))]);
        money.update(&update(second, 50), now);
        assert_eq!(told(&mut money), []);
        money.repeat();
        assert_eq!(told(&mut money), [(first, usd(50))], "perhaps not heard");
    }
}
