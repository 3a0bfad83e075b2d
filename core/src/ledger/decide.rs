//! What the ledger decides for one agent: who gets rights, who is asked to give some back, who is
//! refused.
//!
//! Waiting requests go before demand that is only foreseen, and whoever was served last goes last.
//! Only when nothing that is idle can be called back is anyone refused.

mod denial;
mod money;
mod share;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::AgentName;
use crate::ledger::{Holding, Ledger, LedgerTime};
use crate::limits::{PUSH_INTERVAL, RECALL_PAUSE, RECALL_TIME};
use crate::quota::{Day, Pool, SessionId};
use crate::rate::Cooling;
use crate::time::Wall;

/// Sessions whose waiting requests got nothing, by kind of right.
#[derive(Debug, Default)]
struct Unmet {
    pools: BTreeSet<(Pool, SessionId)>,
    money: BTreeSet<SessionId>,
    /// The first of these, which gets what is called back of the others.
    next: Option<SessionId>,
    /// Whether foreseen demand is unmet.
    foreseen: bool,
    /// Kinds of rights of which more is held and cooling than a limit that was lowered allows.
    excess: BTreeSet<Pool>,
    /// Whether more money is set aside than a lowered limit allows.
    excess_money: bool,
}

impl Unmet {
    fn waits(&self) -> bool {
        !self.pools.is_empty() || !self.money.is_empty()
    }

    fn lacks(&self, pool: Pool) -> bool {
        self.excess.contains(&pool) || self.pools.iter().any(|(of, _)| *of == pool)
    }

    fn lacks_money(&self) -> bool {
        self.excess_money || !self.money.is_empty()
    }

    fn has_excess(&self) -> bool {
        self.excess_money || !self.excess.is_empty()
    }
}

impl Ledger {
    /// Hands out what is free and deals with who gets nothing.
    pub(super) fn decide(&mut self, agent: &AgentName, now: LedgerTime, wall: Wall) {
        if !self.claims.contains_key(agent) || !self.books.agents.contains_key(agent) {
            return;
        }
        if let Some(books) = self.books.agents.get_mut(agent) {
            Arc::make_mut(books).advance(now);
        }
        let mut unmet = Unmet::default();
        for pool in Pool::ALL {
            self.share(agent, pool, &mut unmet, now);
        }
        self.share_money(agent, &mut unmet, now, wall);
        self.note_excess(agent, &mut unmet);
        let calls = unmet.waits() || unmet.has_excess();
        let recalls = calls && self.recalls(agent, &unmet, now);
        if unmet.waits() && !recalls {
            self.deny(agent, &unmet, now);
        }
        if unmet.waits() || unmet.foreseen {
            self.wake_at_release(agent, now);
        }
    }

    /// Whether the waiting requests may still be served by rights that are called back or about to
    /// be free.
    fn recalls(&mut self, agent: &AgentName, unmet: &Unmet, now: LedgerTime) -> bool {
        let mut holders = self.idle_holders(agent, unmet);
        let Some(claims) = self.claims.get_mut(agent) else {
            return false;
        };
        let recall = &mut claims.recall;
        recall
            .pending
            .retain(|session| self.seats.contains_key(session));
        let over = recall.deadline.min(now);
        if !recall.pending.is_empty() && recall.deadline > now {
            let at = recall.deadline;
            self.wake_at(agent, at);
            return true;
        }
        // Those who did not answer are not asked again before they are heard.
        recall.deaf.append(&mut recall.pending);
        recall.over = recall.over.max(over);
        recall.deadline = recall.over;
        holders.retain(|session| !recall.deaf.contains(session));
        if holders.is_empty() {
            return false;
        }
        let next = recall.over.after(RECALL_PAUSE);
        if recall.number > 0 && next > now {
            self.wake_at(agent, next);
            return true;
        }
        recall.number = recall.number.saturating_add(1);
        recall.deadline = now.after(RECALL_TIME);
        let at = recall.deadline;
        recall.pending.clone_from(&holders);
        for session in holders {
            self.owe(session, agent);
        }
        self.wake_at(agent, at);
        true
    }

    /// Finds out whether a limit that was lowered is passed by what was granted before.
    fn note_excess(&self, agent: &AgentName, unmet: &mut Unmet) {
        let Some(books) = self.books.agents.get(agent) else {
            return;
        };
        for pool in Pool::ALL {
            if share::is_passed(books, pool) {
                unmet.excess.insert(pool);
            }
        }
        let day = books.day.unwrap_or(Day::FIRST);
        unmet.excess_money = !books.terms.soft && money::is_passed(&self.books, books, day);
    }

    /// Sessions with a stream that hold rights of the kind that is lacking which, as far as is known,
    /// nobody there is using or waiting for.
    fn idle_holders(&self, agent: &AgentName, unmet: &Unmet) -> BTreeSet<SessionId> {
        let (Some(books), Some(claims)) = (self.books.agents.get(agent), self.claims.get(agent))
        else {
            return BTreeSet::new();
        };
        let is_idle = |session: &SessionId| {
            let lacking = |pool: &Pool| unmet.lacks(*pool);
            let pools = Pool::ALL.into_iter().filter(lacking).any(|pool| {
                let held = books.pool(pool).get(session).map_or(0, Holding::held);
                let claim = claims.pool(pool).get(session).copied().unwrap_or_default();
                claim.may_spare(held)
            });
            let money = unmet.lacks_money()
                && books.day.is_some_and(|day| {
                    let part = books.purses.get(&day).and_then(|it| it.parts.get(session));
                    let claim = claims.money.get(session).copied().unwrap_or_default();
                    let spares = |held| claim.may_spare(held, day);
                    unmet.next != Some(*session) && part.is_some_and(|part| spares(part.held()))
                });
            pools || money
        };
        self.seats
            .keys()
            .filter(|it| is_idle(it))
            .copied()
            .collect()
    }

    /// Looks at the agent again when the next right is free.
    fn wake_at_release(&mut self, agent: &AgentName, now: LedgerTime) {
        let Some(books) = self.books.agents.get(agent) else {
            return;
        };
        let next = [&books.minute, &books.hour, &books.tokens]
            .into_iter()
            .filter_map(Cooling::next)
            .min();
        let pushed = self.claims.get(agent).map_or(now, |claims| claims.pushed);
        if let Some(next) = next {
            let at = next.max(pushed.after(PUSH_INTERVAL));
            self.wake_at(agent, at);
        }
    }

    /// Looks at the agent again as soon as all inputs at hand are taken in.
    pub(super) fn wake(&mut self, agent: &AgentName, now: LedgerTime) {
        if self.claims.contains_key(agent) {
            self.wake_at(agent, now);
        }
    }

    pub(super) fn wake_at(&mut self, agent: &AgentName, at: LedgerTime) {
        let Some(claims) = self.claims.get_mut(agent) else {
            return;
        };
        match claims.wake {
            Some(before) if before <= at => return,
            Some(before) => {
                self.wakeups.remove(&(before, agent.clone()));
            }
            None => {}
        }
        claims.wake = Some(at);
        self.wakeups.insert((at, agent.clone()));
    }
}
