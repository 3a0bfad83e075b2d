//! What is told: states, as they are when all inputs at hand are taken in.

use std::time::Duration;

use crate::id::AgentName;
use crate::ledger::{Ledger, LedgerTime, Money, Purse};
use crate::limits::REPORT_AGENTS;
use crate::quota::{
    AgentUpdate, FromLedger, MoneyUpdate, PeriodStanding, Pool, PoolUpdate, PurseUpdate, SessionId,
    Standing, Update,
};
use crate::time::Wall;
use crate::units::NanoUsd;

impl Ledger {
    /// Everything that is to be said.
    pub(super) fn messages(&mut self, now: LedgerTime, wall: Wall) -> Vec<(u64, FromLedger)> {
        let mut messages = std::mem::take(&mut self.answers);
        let owed: Vec<SessionId> = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.owed)
            .map(|(session, _)| *session)
            .collect();
        for session in owed {
            let Some(seat) = self.seats.get_mut(&session) else {
                continue;
            };
            let agents = std::mem::take(&mut seat.agents);
            let stream = seat.stream;
            let mut confirmed = std::mem::take(&mut seat.confirmed);
            let sent = seat.renewed.take();
            seat.owed = false;
            let mut agents = agents.iter();
            loop {
                let updates: Vec<AgentUpdate> = agents
                    .by_ref()
                    .filter_map(|agent| self.agent_update(session, agent, now, wall))
                    .take(REPORT_AGENTS)
                    .collect();
                let update = Update {
                    term: self.term,
                    session,
                    sent,
                    confirmed: std::mem::take(&mut confirmed),
                    agents: updates,
                };
                messages.push((stream, FromLedger::Update(update)));
                if agents.len() == 0 {
                    break;
                }
            }
        }
        messages
    }

    fn agent_update(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        now: LedgerTime,
        wall: Wall,
    ) -> Option<AgentUpdate> {
        let money = self.money_update(session, agent, now, wall);
        let books = self.books.agents.get(agent)?;
        let mut claims = self.claims.get_mut(agent);
        let mut pool = |pool: Pool| {
            let holding = books.pool(pool).get(&session).copied();
            let denial = claims
                .as_mut()
                .and_then(|claims| claims.denials.remove(&(session, pool)));
            if holding.is_none() && denial.is_none() {
                return None;
            }
            let holding = holding.unwrap_or_default();
            Some(PoolUpdate {
                granted: holding.granted,
                used: holding.used,
                denial,
            })
        };
        let (requests, tokens, slots) =
            (pool(Pool::Requests), pool(Pool::Tokens), pool(Pool::Slots));
        Some(AgentUpdate {
            agent: agent.clone(),
            requests,
            tokens,
            slots,
            money,
            recall: claims.map_or(0, |claims| claims.recall.number),
        })
    }

    fn money_update(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        now: LedgerTime,
        wall: Wall,
    ) -> Option<MoneyUpdate> {
        let books = self.books.agents.get(agent)?;
        let zone = books.terms.timezone.clone();
        let has_budget = books.terms.has_budget();
        let has_part = |purse: &Purse| purse.parts.contains_key(&session);
        // What was set aside under a budget that was lifted is still accounted for.
        if !has_budget && !books.purses.values().any(has_part) {
            return None;
        }
        let known = books.day;
        let span = self.span(&zone, wall);
        let today = if has_budget {
            self.today(agent, now, wall)
        } else {
            known.unwrap_or(span.day)
        };
        let books = self.books.agents.get(agent)?;
        let purses = books
            .purses
            .iter()
            .filter_map(|(day, purse)| {
                let part = purse.parts.get(&session)?;
                Some(PurseUpdate {
                    day: *day,
                    granted: part.granted,
                    spent: part.spent,
                })
            })
            .collect();
        let of_day = books.purses.get(&today);
        let of_day = of_day
            .map(|purse| self.books.money_of(purse))
            .unwrap_or_default();
        let of_month = books
            .month(today.month())
            .fold(Money::default(), |sum, purse| {
                sum.plus(&self.books.money_of(purse))
            });
        let period = |limit: Option<NanoUsd>, money: &Money, resets_in: Duration| {
            limit.map(|limit| PeriodStanding {
                limit,
                spent: money.spent,
                unsettled: money.unsettled,
                held: money.escrow,
                resets_in,
            })
        };
        Some(MoneyUpdate {
            today,
            ends_in: span.ends_in(wall),
            purses,
            standing: Standing {
                day: period(books.terms.daily, &of_day, span.ends_in(wall)),
                month: period(books.terms.monthly, &of_month, span.month_ends_in(wall)),
            },
        })
    }
}
