//! Setting money aside, and raising alerts.

use super::Unmet;
use crate::id::AgentName;
use crate::ledger::claims::MoneyClaim;
use crate::ledger::{AgentBooks, AlertPeriod, Books, Entry, Ledger, LedgerTime, Money};
use crate::planted::{self, Bug};
use crate::quota::{Day, SessionId};
use crate::time::Wall;
use crate::units::NanoUsd;

impl MoneyClaim {
    /// What is set aside for requests under way, of that day's money.
    pub(super) fn reserved_on(&self, day: Day) -> NanoUsd {
        if self.day == Some(day) {
            self.reserved
        } else {
            NanoUsd::ZERO
        }
    }

    /// Whether part of what is held may be idle or spent by now, or serves nobody there: proxies that
    /// each kept a part of what the first of those who wait needs would wait for each other.
    pub(super) fn may_spare(&self, held: NanoUsd, day: Day) -> bool {
        let idle = held.saturating_sub(self.reserved_on(day));
        let serves = !self.unheard && idle >= self.first;
        let needed = if serves { self.waiting } else { NanoUsd::ZERO };
        idle > needed
    }
}

impl Ledger {
    pub(super) fn share_money(
        &mut self,
        agent: &AgentName,
        unmet: &mut Unmet,
        now: LedgerTime,
        wall: Wall,
    ) {
        let claims: Vec<(SessionId, MoneyClaim)> = match self.claims.get(agent) {
            Some(claims) if !claims.money.is_empty() => {
                let all = claims.in_turn(&claims.money);
                all.map(|(session, claim)| (*session, *claim)).collect()
            }
            Some(_) | None => return,
        };
        let terms = self.books.agents.get(agent).map(|books| &books.terms);
        if !terms.is_some_and(|terms| terms.has_budget() && !terms.soft) {
            return;
        }
        let day = self.today(agent, now, wall);
        let Some(books) = self.books.agents.get(agent) else {
            return;
        };
        let mut left = left(&self.books, books, day);
        let interested = u64::try_from(claims.len()).unwrap_or(u64::MAX);
        let mut wishes: Vec<(SessionId, MoneyClaim, NanoUsd)> = claims
            .into_iter()
            .map(|(session, claim)| (session, claim, idle(books, day, session, &claim)))
            .collect();
        for (session, claim, idle) in &mut wishes {
            let lack = claim.waiting.saturating_sub(*idle);
            if lack.is_zero() {
                continue;
            }
            let given = lack.min(left);
            // Less than the first of them needs would be of no use to anyone.
            if idle.saturating_add(given) < claim.first || given.is_zero() {
                unmet.money.insert(*session);
                unmet.next.get_or_insert(*session);
                continue;
            }
            if given < lack {
                unmet.money.insert(*session);
            }
            if self.escrow(*session, agent, day, given, now) {
                *idle = idle.saturating_add(given);
            }
            left = left.saturating_sub(given);
        }
        if !unmet.money.is_empty() {
            self.tell_waiting(agent, day, unmet);
            return;
        }
        for (session, claim, idle) in wishes {
            let all = claim.waiting.saturating_add(claim.want);
            let shares = interested.saturating_mul(2).max(2);
            let most = left.as_nanos().checked_div(shares).unwrap_or(0);
            let given = all.saturating_sub(idle).min(NanoUsd::from_nanos(most));
            self.escrow(session, agent, day, given, now);
            left = left.saturating_sub(given);
        }
    }

    /// Has those who wait look at how the agent stands, and refuse what can never fit; once for each
    /// change, however often they ask.
    fn tell_waiting(&mut self, agent: &AgentName, day: Day, unmet: &Unmet) {
        let (Some(books), Some(claims)) =
            (self.books.agents.get(agent), self.claims.get_mut(agent))
        else {
            return;
        };
        let stands = Some(limits(&self.books, books, day));
        if claims.money_told == stands {
            return;
        }
        claims.money_told = stands;
        for session in &unmet.money {
            self.owe(*session, agent);
        }
    }

    /// Sets money aside; says whether it did.
    fn escrow(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        day: Day,
        amount: NanoUsd,
        now: LedgerTime,
    ) -> bool {
        if amount.is_zero() {
            return false;
        }
        let booked = self.note(
            Entry::Escrowed {
                session,
                agent: agent.clone(),
                day,
                amount,
            },
            now,
        );
        if booked {
            if let Some(claims) = self.claims.get_mut(agent) {
                claims.served = Some(session);
                if let Some(claim) = claims.money.get_mut(&session) {
                    claim.unheard = true;
                }
            }
            self.owe(session, agent);
        }
        booked
    }

    /// Raises the alerts that the confirmed spend of a day and its month are due for.
    pub(in crate::ledger) fn raise_alerts(&mut self, agent: &AgentName, day: Day, now: LedgerTime) {
        let Some(books) = self.books.agents.get(agent) else {
            return;
        };
        if books.terms.alerts.is_empty() {
            return;
        }
        let month = day.month();
        let periods = [
            (
                AlertPeriod::Day(day),
                books.terms.daily,
                spent(books, day, day),
            ),
            (
                AlertPeriod::Month(month),
                books.terms.monthly,
                spent(books, month.first_day(), month.last_day()),
            ),
        ];
        let mut due = Vec::new();
        for (period, limit, spent) in periods {
            let Some(limit) = limit else { continue };
            for percent in &books.terms.alerts {
                let share = u128::from(spent.as_nanos()).saturating_mul(100);
                let threshold =
                    u128::from(limit.as_nanos()).saturating_mul(u128::from(percent.get()));
                if share >= threshold
                    && (planted::has(Bug::AlertRepeated)
                        || !books.alerts.contains(&(period, *percent, limit)))
                {
                    due.push(Entry::Alert {
                        agent: agent.clone(),
                        period,
                        percent: *percent,
                        limit,
                        spent,
                    });
                }
            }
        }
        for alert in due {
            self.note(alert, now);
        }
    }
}

/// What a session has set aside for nothing yet.
fn idle(books: &AgentBooks, day: Day, session: SessionId, claim: &MoneyClaim) -> NanoUsd {
    books
        .purses
        .get(&day)
        .and_then(|purse| purse.parts.get(&session))
        .map(|part| part.held().saturating_sub(claim.reserved_on(day)))
        .unwrap_or_default()
}

/// What can still be set aside on a day.
fn left(books: &Books, agent: &AgentBooks, day: Day) -> NanoUsd {
    limits(books, agent, day)
        .into_iter()
        .flatten()
        .map(|(limit, money)| limit.saturating_sub(money.committed()))
        .min()
        .unwrap_or_default()
}

/// Whether more is set aside and spent than the limits allow.
pub(super) fn is_passed(books: &Books, agent: &AgentBooks, day: Day) -> bool {
    limits(books, agent, day)
        .into_iter()
        .flatten()
        .any(|(limit, money)| money.committed() > limit)
}

/// The limits of a day and of its month, and the money that counts against them.
fn limits(books: &Books, agent: &AgentBooks, day: Day) -> [Option<(NanoUsd, Money)>; 2] {
    let today = agent.purses.get(&day);
    let today = today.map(|purse| books.money_of(purse)).unwrap_or_default();
    let month = agent
        .month(day.month())
        .fold(Money::default(), |sum, purse| {
            sum.plus(&books.money_of(purse))
        });
    [
        agent.terms.daily.map(|limit| (limit, today)),
        agent.terms.monthly.map(|limit| (limit, month)),
    ]
}

fn spent(books: &AgentBooks, from: Day, to: Day) -> NanoUsd {
    books
        .purses
        .range(from..=to)
        .fold(NanoUsd::ZERO, |sum, (_, purse)| {
            sum.saturating_add(purse.spent())
        })
}
