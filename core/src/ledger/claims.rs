//! What sessions want of one agent's rights. Not in the log: they say it again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use crate::ledger::{LedgerTime, Money};
use crate::limits::PROMISES;
use crate::quota::{Day, Denial, Pool, SessionId};
use crate::units::NanoUsd;

/// What is wanted of one agent.
#[derive(Debug, Default)]
pub(super) struct Claims {
    requests: BTreeMap<SessionId, Claim>,
    tokens: BTreeMap<SessionId, Claim>,
    slots: BTreeMap<SessionId, Claim>,
    pub(super) money: BTreeMap<SessionId, MoneyClaim>,
    /// How the money stood when those who wait for it were told last.
    pub(super) money_told: Option<[Option<(NanoUsd, Money)>; 2]>,
    pub(super) recall: Recall,
    /// Denials that are still to be told.
    pub(super) denials: BTreeMap<(SessionId, Pool), Denial>,
    /// Releases that were promised to those who were denied.
    promises: BTreeMap<(Pool, LedgerTime), u64>,
    /// The session that was served last, so that the next goes first.
    pub(super) served: Option<SessionId>,
    /// When rights were handed out last.
    pub(super) pushed: LedgerTime,
    /// When this agent is looked at again.
    pub(super) wake: Option<LedgerTime>,
    /// Requests taken in, in this minute of the ledger's time and in the one before.
    recent: [(u64, u64); 2],
}

/// Rights of one kind that a session wants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Claim {
    pub(super) reserved: u64,
    pub(super) waiting: u64,
    pub(super) want: u64,
    /// Whether more was granted since: what became of that is not known.
    pub(super) unheard: bool,
}

/// Money that a session wants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MoneyClaim {
    /// The day of what is reserved.
    pub(super) day: Option<Day>,
    pub(super) reserved: NanoUsd,
    pub(super) waiting: NanoUsd,
    pub(super) first: NanoUsd,
    pub(super) want: NanoUsd,
    /// Whether more was set aside since.
    pub(super) unheard: bool,
}

impl Claim {
    /// Whether part of what is held may be idle or used by now.
    pub(super) const fn may_spare(&self, held: u64) -> bool {
        let needed = if self.unheard { 0 } else { self.waiting };
        held > self.reserved.saturating_add(needed)
    }
}

/// Asking the holders of idle rights to give them back.
#[derive(Debug, Default)]
pub(super) struct Recall {
    /// Counts the recalls.
    pub(super) number: u64,
    /// Sessions that have not answered the last one.
    pub(super) pending: BTreeSet<SessionId>,
    /// Sessions that did not answer in time and were not heard since.
    pub(super) deaf: BTreeSet<SessionId>,
    /// When their answers are waited for no longer.
    pub(super) deadline: LedgerTime,
    /// When the last one was over.
    pub(super) over: LedgerTime,
}

impl Claims {
    pub(super) const fn pool(&self, pool: Pool) -> &BTreeMap<SessionId, Claim> {
        match pool {
            Pool::Requests => &self.requests,
            Pool::Tokens => &self.tokens,
            Pool::Slots => &self.slots,
        }
    }

    pub(super) const fn pool_mut(&mut self, pool: Pool) -> &mut BTreeMap<SessionId, Claim> {
        match pool {
            Pool::Requests => &mut self.requests,
            Pool::Tokens => &mut self.tokens,
            Pool::Slots => &mut self.slots,
        }
    }

    /// Claims in the order of their turn: whoever was served last goes last.
    pub(super) fn in_turn<'a, C>(
        &self,
        claims: &'a BTreeMap<SessionId, C>,
    ) -> impl Iterator<Item = (&'a SessionId, &'a C)> + use<'a, C> {
        let last = self.served;
        let after = claims.range((last.map_or(Unbounded, Excluded), Unbounded));
        let until = last.map(|last| claims.range(..=last));
        after.chain(until.into_iter().flatten())
    }

    /// Forgets what a session wants.
    pub(super) fn drop_session(&mut self, session: SessionId) {
        for pool in Pool::ALL {
            self.pool_mut(pool).remove(&session);
            self.denials.remove(&(session, pool));
        }
        self.money.remove(&session);
        self.recall.pending.remove(&session);
        self.recall.deaf.remove(&session);
    }

    /// Whether nobody wants or is owed anything.
    pub(super) fn is_idle(&self, now: LedgerTime) -> bool {
        let waits = |claims: &BTreeMap<SessionId, Claim>| {
            claims
                .values()
                .any(|claim| claim.waiting > 0 || claim.want > 0)
        };
        !(waits(&self.requests) || waits(&self.tokens) || waits(&self.slots))
            && self.money.values().all(|claim| claim.waiting.is_zero())
            && self.denials.is_empty()
            && self.recall.pending.is_empty()
            && self.promises.keys().all(|(_, at)| *at <= now)
            && self.recent(now) == 0
    }

    /// Promised releases of a pool that are still to come.
    pub(super) fn promised(&mut self, pool: Pool, now: LedgerTime) -> u64 {
        self.promises.retain(|(_, at), _| *at > now);
        self.promises
            .iter()
            .filter(|((of, _), _)| *of == pool)
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Promises a release to one who was denied.
    pub(super) fn promise(&mut self, pool: Pool, at: LedgerTime) {
        if self.promises.len() >= PROMISES {
            self.promises.clear();
        }
        let count = self.promises.entry((pool, at)).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts requests taken in.
    pub(super) fn count_recent(&mut self, count: u64, now: LedgerTime) {
        let minute = minute_of(now);
        let [current, previous] = &mut self.recent;
        if current.0 != minute {
            *previous = *current;
            *current = (minute, 0);
        }
        current.1 = current.1.saturating_add(count);
    }

    /// Requests taken in during the last one to two minutes.
    pub(super) fn recent(&self, now: LedgerTime) -> u64 {
        let minute = minute_of(now);
        self.recent
            .iter()
            .filter(|(of, _)| of.saturating_add(1) >= minute)
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

const fn minute_of(now: LedgerTime) -> u64 {
    now.as_nanos().div_euclid(60_000_000_000)
}
