//! When all is quiet: the books come to the truth.

use std::collections::BTreeMap;

use agix_core::ledger::{AlertPeriod, Books, Purse};
use agix_core::quota::{Day, Pool};
use agix_core::usage::UsageTotals;

use super::Oracle;
use super::books::of;

impl Oracle {
    /// Nothing is under way any more, everything was reported, and leases of the dead are over.
    pub fn quiet(&mut self, books: &Books) {
        for agent in 0..self.agents.len() {
            self.check_spent(agent, books);
            self.check_usage(agent, books);
            self.check_alerts(agent, books);
            self.check_idle(agent, books);
        }
    }

    fn check_spent(&mut self, agent: usize, books: &Books) {
        let empty = Purse::default();
        let mut days: Vec<Day> = self
            .accounts
            .range((agent, Day::FIRST)..)
            .take_while(|((of, _), _)| *of == agent)
            .map(|((_, day), _)| *day)
            .collect();
        let booked = of(books, agent);
        days.extend(booked.iter().flat_map(|it| it.purses.keys().copied()));
        days.sort_unstable();
        days.dedup();
        for day in days {
            let account = self
                .accounts
                .get(&(agent, day))
                .cloned()
                .unwrap_or_default();
            let purse = booked.and_then(|it| it.purses.get(&day)).unwrap_or(&empty);
            let parts = purse.parts.values().map(|part| part.spent.as_nanos());
            let booked: u64 = purse.closed.as_nanos() + parts.sum::<u64>();
            let unsettled = books.money_of(purse).unsettled.as_nanos();
            let amnesiac = |by: &BTreeMap<u64, u64>| -> u64 {
                let forgot = |process: &u64| self.died.get(process) == Some(&true);
                by.iter()
                    .filter(|(process, _)| forgot(process))
                    .map(|(_, spent)| *spent)
                    .sum()
            };
            let forgotten = amnesiac(&account.by);
            // Nothing was set aside for these, so nothing is left of them but what was reported.
            let lost = amnesiac(&account.overrun_by) + account.unknown;
            let truth = account.spent;
            let most = truth + account.presumed;
            let covered = booked + unsettled + lost;
            let least = truth.saturating_sub(forgotten + account.unknown);
            if booked > most
                || booked < least
                || covered < truth
                || purse.adjusted != account.adjusted
            {
                self.breach("I6", || {
                    format!(
                        "agent {agent}, {day}: {booked} is booked and {unsettled} unsettled, \
                         corrected by {}; truly spent were {truth}, of which {forgotten} by \
                         processes without a journal; {account:?}; {purse:?}",
                        purse.adjusted
                    )
                });
            }
        }
    }

    fn check_usage(&mut self, agent: usize, books: &Books) {
        let booked = books
            .usage
            .iter()
            .filter(|(row, _)| row.agent.as_str() == format!("agent-{agent}"))
            .fold(UsageTotals::default(), |sum, (_, totals)| sum.plus(totals));
        let all = self.usage.iter().filter(|((of, _), _)| *of == agent);
        let mut most = UsageTotals::default();
        let mut least = UsageTotals::default();
        for ((_, process), totals) in all {
            most = most.plus(totals);
            if !self.died.contains_key(process) {
                least = least.plus(totals);
            }
        }
        if booked.requests > most.requests
            || booked.requests < least.requests
            || booked.input > most.input
            || booked.input < least.input
        {
            self.breach("I6", || {
                format!("agent {agent}: usage is booked as {booked:?}, truly {least:?} to {most:?}")
            });
        }
    }

    fn check_alerts(&mut self, agent: usize, books: &Books) {
        let Some(of_agent) = of(books, agent) else {
            return;
        };
        let Some(day) = of_agent.day else { return };
        let terms = self.newest(agent).clone();
        let month = day.month();
        let spent = |from: Day, to: Day| super::books::money_of(books, agent, from, to).spent;
        let periods = [
            (AlertPeriod::Day(day), terms.daily, spent(day, day)),
            (
                AlertPeriod::Month(month),
                terms.monthly,
                spent(month.first_day(), month.last_day()),
            ),
        ];
        for (period, limit, spent) in periods {
            let Some(limit) = limit else { continue };
            for percent in &terms.alerts {
                let crossed = u128::from(spent.as_nanos()) * 100
                    >= u128::from(limit.as_nanos()) * u128::from(percent.get());
                if crossed && !of_agent.alerts.contains(&(period, *percent, limit)) {
                    self.breach("I9", || {
                        format!(
                            "agent {agent}: {spent} of {limit} were spent in {period:?}, and no \
                             alert of {} % was raised",
                            percent.get()
                        )
                    });
                }
            }
        }
    }

    /// Nobody holds what nobody wants.
    fn check_idle(&mut self, agent: usize, books: &Books) {
        let Some(of_agent) = of(books, agent) else {
            return;
        };
        for pool in Pool::ALL {
            for (session, holding) in of_agent.pool(pool) {
                // With slack, one is kept ready.
                let kept = u64::from(pool != Pool::Tokens);
                if holding.held() > kept {
                    self.breach("idle", || {
                        format!("agent {agent}: session {session} keeps {holding:?} of {pool:?}")
                    });
                }
            }
        }
        for (day, purse) in &of_agent.purses {
            let escrow = books.money_of(purse).escrow;
            if !escrow.is_zero() {
                self.breach("idle", || {
                    format!("agent {agent}: {escrow} of {day} are set aside for nothing")
                });
            }
        }
    }
}
