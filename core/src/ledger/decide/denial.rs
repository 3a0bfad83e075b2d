//! Saying no, and when to come again.

use std::time::Duration;

use super::Unmet;
use super::share::free;
use crate::id::AgentName;
use crate::ledger::{AgentBooks, Ledger, LedgerTime};
use crate::limits::{DENIAL_RELEASES, HELD_ELSEWHERE, HOLD_AHEAD, LEASE, PUSH_INTERVAL};
use crate::planted::{self, Bug};
use crate::quota::{Denial, Limit, Pool, SessionId, Window};
use crate::rate::{Cooling, drift_over, release_of};

impl Ledger {
    /// Refuses those whose waiting requests got nothing, unless it is about to change.
    pub(super) fn deny(&mut self, agent: &AgentName, unmet: &Unmet, now: LedgerTime) {
        for (pool, session) in &unmet.pools {
            self.deny_one(agent, *pool, *session, now);
        }
    }

    fn deny_one(&mut self, agent: &AgentName, pool: Pool, session: SessionId, now: LedgerTime) {
        let Some(books) = self.books.agents.get(agent) else {
            return;
        };
        let held_until = self.held_until(books, pool, now);
        let Some(claims) = self.claims.get_mut(agent) else {
            return;
        };
        let waiting = claims.pool(pool).values().map(|claim| claim.waiting);
        let everyone = waiting.fold(0, u64::saturating_add);
        let Some(claim) = claims.pool_mut(pool).get_mut(&session) else {
            return;
        };
        let wanted = match pool {
            Pool::Requests | Pool::Slots => 1,
            // A request for more than the limit allows is never served; it is told the latest.
            Pool::Tokens => claim.waiting.max(1),
        };
        let waiting = match pool {
            Pool::Requests | Pool::Slots => claim.waiting,
            Pool::Tokens => 1,
        };
        let again = release(books, pool, wanted, held_until, now);
        let last = release(books, pool, everyone, held_until, now);
        let is_about_to_change = again <= now.after(PUSH_INTERVAL.saturating_mul(2));
        if is_about_to_change && last <= now.after(HOLD_AHEAD) {
            return;
        }
        claim.waiting = 0;
        let offset = match pool {
            Pool::Tokens => 0,
            Pool::Requests | Pool::Slots => claims.promised(pool, now),
        };
        let asked = usize::try_from(waiting).unwrap_or(DENIAL_RELEASES);
        let mut releases = Vec::with_capacity(asked.clamp(1, DENIAL_RELEASES));
        for place in (0..u64::MAX).take(asked.clamp(1, DENIAL_RELEASES)) {
            let nth = wanted.saturating_add(offset).saturating_add(place);
            let at = release(books, pool, nth, held_until, now);
            claims.promise(pool, at);
            releases.push(promised(at.since(now)));
        }
        let (limit, allows) = binding(books, pool);
        let denial = Denial {
            limit,
            allows,
            again: if planted::has(Bug::WaitTooShort) {
                promised(again.since(now))
            } else {
                again.since(now)
            },
            releases,
        };
        claims.denials.insert((session, pool), denial);
        self.owe(session, agent);
    }

    /// When rights that sessions hold may be free: soon if they live, else when their leases and
    /// then the window are over.
    fn held_until(&self, books: &AgentBooks, pool: Pool, now: LedgerTime) -> LedgerTime {
        let lost = books
            .pool(pool)
            .iter()
            .filter(|(_, holding)| holding.held() > 0)
            .filter_map(|(session, _)| self.books.sessions.get(session))
            .map(|book| book.until);
        let silent = now.after(LEASE.checked_div(2).unwrap_or_default());
        match lost.min() {
            Some(until) if until < silent => match binding(books, pool) {
                (Limit::RequestsPerHour, allows) => release_of(until, Window::Hour, allows),
                (Limit::Concurrent, _) => until,
                (_, allows) => release_of(until, Window::Minute, allows),
            },
            Some(_) | None => now.after(HELD_ELSEWHERE),
        }
    }
}

/// A wait as it is told: whoever waits so long by another clock comes after the release.
fn promised(wait: Duration) -> Duration {
    if planted::has(Bug::WaitTooShort) {
        return wait.checked_div(2).unwrap_or_default();
    }
    wait.saturating_add(drift_over(wait).saturating_mul(2))
}

/// The limit that has least left.
fn binding(books: &AgentBooks, pool: Pool) -> (Limit, u64) {
    let terms = &books.terms;
    match pool {
        Pool::Tokens => (Limit::TokensPerMinute, terms.tokens_per_minute.unwrap_or(0)),
        Pool::Slots => (Limit::Concurrent, terms.max_concurrent.unwrap_or(0)),
        Pool::Requests => {
            let held = books.held(pool);
            let left = |limit: Option<u64>, cooling: &Cooling| {
                let limit = limit?;
                Some(limit.saturating_sub(held).saturating_sub(cooling.total()))
            };
            let minute = left(terms.requests_per_minute, &books.minute);
            let hour = left(terms.requests_per_hour, &books.hour);
            match (minute, hour) {
                (Some(minute), Some(hour)) if hour >= minute => (
                    Limit::RequestsPerMinute,
                    terms.requests_per_minute.unwrap_or(0),
                ),
                (_, Some(_)) => (Limit::RequestsPerHour, terms.requests_per_hour.unwrap_or(0)),
                (_, None) => (
                    Limit::RequestsPerMinute,
                    terms.requests_per_minute.unwrap_or(0),
                ),
            }
        }
    }
}

/// When the `n`-th right of a pool from now on can be had.
fn release(
    books: &AgentBooks,
    pool: Pool,
    n: u64,
    held_until: LedgerTime,
    now: LedgerTime,
) -> LedgerTime {
    let held = books.held(pool);
    let of = |limit: Option<u64>, cooling: &Cooling| {
        let Some(limit) = limit else { return now };
        let taken = held.saturating_add(cooling.total());
        // A limit that was lowered is passed for a while: what is too much must cool first.
        let excess = taken.saturating_sub(limit);
        let spare = limit.saturating_sub(taken);
        let nth = n.saturating_add(excess).saturating_sub(spare);
        if nth == 0 {
            return now;
        }
        match cooling.nth(nth) {
            Some(at) => at,
            None if held > 0 => held_until,
            // More than can ever be free at once: after the last.
            None => cooling.nth(cooling.total()).unwrap_or(now),
        }
    };
    let terms = &books.terms;
    match pool {
        Pool::Requests => of(terms.requests_per_minute, &books.minute)
            .max(of(terms.requests_per_hour, &books.hour)),
        Pool::Tokens => of(terms.tokens_per_minute, &books.tokens),
        Pool::Slots if free(books, pool) >= n => now,
        Pool::Slots => now.after(Duration::from_secs(1)).min(held_until),
    }
}
