//! What the ledger's word changes: rights at hand, and waiting requests that are decided.

use super::agent::{Agent, Refused};
use super::parked::{Decided, Outcome, Parked, Wish};
use super::session::Link;
use super::ticket::Ticket;
use crate::limits::{
    ADMISSION_WAIT, BUDGET_WAIT, OUTAGE_GRACE, OUTAGE_WAIT, PRESSED_TIME, WAITING_REPORT_INTERVAL,
};
use crate::planted::{self, Bug};
use crate::policy::OnOutage;
use crate::quota::{AgentUpdate, SessionId};
use crate::time::Mono;
use crate::units::NanoUsd;

impl Agent {
    /// Takes in what the ledger says of the agent in `session`, and decides who waited for it.
    pub fn update(
        &mut self,
        session: SessionId,
        update: &AgentUpdate,
        link: &Link,
        now: Mono,
    ) -> Vec<Decided> {
        self.follow(link);
        if self.session != Some(session) {
            return Vec::new();
        }
        self.heard();
        let AgentUpdate {
            agent: _,
            requests,
            tokens,
            slots,
            money,
            recall,
        } = update;
        for (pool, told) in [
            (&mut self.requests, requests),
            (&mut self.tokens, tokens),
            (&mut self.slots, slots),
        ] {
            if let Some(told) = told {
                pool.update(told);
            }
        }
        if let Some(told) = money {
            self.money.update(told, now);
        }
        let denials = [requests, tokens, slots].into_iter().flatten();
        for denial in denials.filter_map(|told| told.denial.as_ref()) {
            self.deny(denial, now);
        }
        let decided = self.serve(link, now);
        if *recall > self.recall_seen {
            self.recall_seen = *recall;
            self.follow_recall(now);
        }
        decided
    }

    /// Takes in that report `number` is in the books.
    pub fn confirm(&mut self, number: u64) {
        self.past.confirm(number);
        self.usage.confirm(number, self.session);
    }

    /// When [`Agent::handle_timeout`] is due: somebody has waited long enough.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if planted::has(Bug::WaiterForgotten) {
            return None;
        }
        let due = self.parked.front()?.since.after(ADMISSION_WAIT);
        // Whoever waits longer than that, for money, is looked at as often as the ledger is asked.
        Some(match self.looked {
            Some(looked) if looked >= due => looked.after(WAITING_REPORT_INTERVAL),
            Some(_) | None => due,
        })
    }

    /// Decides who has waited long enough.
    pub fn handle_timeout(&mut self, link: &Link, now: Mono) -> Vec<Decided> {
        self.looked = Some(now);
        if link.is_unheard(now) {
            self.unheard = now;
        }
        let mut decided = self.serve(link, now);
        let waiting: Vec<Parked> = self.parked.drain(..).collect();
        for parked in waiting {
            match self.overdue(&parked, link, now) {
                Some(refused) => {
                    self.dirty = true;
                    let anyway = self.unasked(&parked, link, now).map(Outcome::Admitted);
                    decided.push(Decided {
                        waiter: parked.id,
                        outcome: anyway.unwrap_or(Outcome::Refused(refused)),
                    });
                }
                None => self.parked.push_back(parked),
            }
        }
        decided
    }

    /// Serves those who wait, in order, as far as what is at hand goes, and refuses whoever is known
    /// to wait in vain, wherever it stands.
    fn serve(&mut self, link: &Link, now: Mono) -> Vec<Decided> {
        let mut decided = Vec::new();
        let mut is_blocked = false;
        for parked in std::mem::take(&mut self.parked) {
            let outcome = match parked.wish {
                _ if is_blocked => None,
                Wish::Begin(need) => self.take(need, link, now).map(Outcome::Admitted),
                Wish::Reserve { amount, .. } => {
                    self.set_aside(amount, link, now).map(Outcome::Reserved)
                }
            };
            let refusal = || self.known_refusal(parked.wish, now).map(Outcome::Refused);
            if let Some(outcome) = outcome.or_else(refusal) {
                // The ledger takes it for waiting until it hears otherwise.
                self.dirty = true;
                decided.push(Decided {
                    waiter: parked.id,
                    outcome,
                });
            } else {
                is_blocked = true;
                self.parked.push_back(parked);
            }
        }
        decided
    }

    /// Why one who waits has waited long enough.
    fn overdue(&self, parked: &Parked, link: &Link, now: Mono) -> Option<Refused> {
        let waited = now.since(parked.since);
        if waited < ADMISSION_WAIT {
            return None;
        }
        let lacks_only_money = match parked.wish {
            Wish::Begin(need) => self.lacks_only_money(need),
            Wish::Reserve { .. } => true,
        };
        let is_down = !link.up || !link.is_usable(now);
        // Nobody asks again and again for money that others have set aside: of those who wait for it the
        // ledger's silence says nothing until the link is down.
        if link.is_unheard(now) && (is_down || !lacks_only_money) {
            // Until another control plane owns the ledger, unless the policy does not wait for one.
            let is_out = link.is_away_for(OUTAGE_GRACE, now) || waited >= OUTAGE_WAIT;
            let goes_on = self.on_outage(lacks_only_money) == OnOutage::Allow;
            return (is_out || goes_on).then_some(Refused::Undecided);
        }
        // A ledger that is back gets the time it always has.
        let back = self.unheard.max(link.since);
        if !lacks_only_money && now.since(back) >= ADMISSION_WAIT {
            return Some(Refused::Undecided);
        }
        if waited < BUDGET_WAIT {
            return None;
        }
        // What is set aside for calls under way did not come back in time.
        let standing = self.money.standing.map(|(standing, _)| standing);
        let standing = standing.unwrap_or_default();
        let day = standing.day.map(|standing| (false, standing));
        let month = standing.month.map(|standing| (true, standing));
        let scarcest = day
            .into_iter()
            .chain(month)
            .min_by_key(|(_, period)| period.room().saturating_sub(period.held));
        Some(match scarcest {
            Some((monthly, standing)) => Refused::Budget {
                monthly,
                standing,
                busy: true,
            },
            None => Refused::Undecided,
        })
    }

    /// Lets one who waited for a ledger that is not heard begin all the same, if the policy says so.
    fn unasked(&mut self, parked: &Parked, link: &Link, now: Mono) -> Option<Ticket> {
        let Wish::Begin(need) = parked.wish else {
            return None;
        };
        let lacks_money = self.lacks_only_money(need);
        let is_allowed = self.on_outage(lacks_money) == OnOutage::Allow;
        if !is_allowed || !link.is_unheard(now) {
            return None;
        }
        self.let_through(need, link, now)
    }

    /// Gives back everything nobody here waits for.
    fn follow_recall(&mut self, now: Mono) {
        self.pressed_until = now.after(PRESSED_TIME);
        self.urgent = true;
        let (permits, tokens) = (self.permits_waited_for(), self.tokens_waited_for());
        for (pool, waiting) in [
            (&mut self.requests, permits),
            (&mut self.slots, permits),
            (&mut self.tokens, tokens),
        ] {
            pool.give_back(pool.idle().saturating_sub(waiting));
        }
        let first = self.parked.front().map(|it| it.wish.money());
        let serves = first.is_some_and(|first| first <= self.money.idle(now));
        let keep = if serves {
            self.money_waited_for()
        } else {
            NanoUsd::ZERO
        };
        self.money.give_back(keep, now);
    }

    /// What holds for the agent when the ledger is away.
    pub const fn outage_rules(&self) -> (OnOutage, OnOutage) {
        (self.rules.rates_on_outage, self.rules.money_on_outage)
    }
}
