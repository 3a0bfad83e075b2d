//! Sharing out permits, tokens and places.

use super::Unmet;
use crate::id::AgentName;
use crate::ledger::{AgentBooks, Entry, Holding, Ledger, LedgerTime};
use crate::quota::{Pool, SessionId};

/// What one session lacks.
#[derive(Debug, Clone, Copy)]
struct Lack {
    session: SessionId,
    waiting: u64,
    want: u64,
}

impl Ledger {
    pub(super) fn share(
        &mut self,
        agent: &AgentName,
        pool: Pool,
        unmet: &mut Unmet,
        now: LedgerTime,
    ) {
        let (Some(books), Some(claims)) = (self.books.agents.get(agent), self.claims.get(agent))
        else {
            return;
        };
        if claims.pool(pool).is_empty() {
            return;
        }
        let mut free = free(books, pool);
        // With slack, one is kept ready where it may be wanted.
        let sessions = u64::try_from(claims.pool(pool).len()).unwrap_or(u64::MAX);
        let has_slack = is_limited(books, pool) && free >= sessions.saturating_mul(2);
        let ready = u64::from(has_slack && pool != Pool::Tokens);
        let mut lacks: Vec<Lack> = claims
            .in_turn(claims.pool(pool))
            .map(|(session, claim)| {
                let held = books.pool(pool).get(session).map_or(0, Holding::held);
                let idle = held.saturating_sub(claim.reserved);
                let waiting = claim.waiting.saturating_sub(idle);
                let all = claim.waiting.saturating_add(claim.want.max(ready));
                Lack {
                    session: *session,
                    waiting,
                    want: all.saturating_sub(idle).saturating_sub(waiting),
                }
            })
            .filter(|lack| lack.waiting > 0 || lack.want > 0)
            .collect();
        if lacks.is_empty() {
            return;
        }
        let mut granted = vec![0_u64; lacks.len()];
        spread(
            &mut free,
            lacks.iter_mut().map(|it| &mut it.waiting),
            &mut granted,
        );
        spread(
            &mut free,
            lacks.iter_mut().map(|it| &mut it.want),
            &mut granted,
        );
        for (lack, amount) in lacks.into_iter().zip(granted) {
            if lack.waiting > 0 {
                unmet.pools.insert((pool, lack.session));
            }
            unmet.foreseen |= lack.want > 0;
            self.grant(lack.session, agent, pool, amount, now);
        }
    }

    fn grant(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        pool: Pool,
        amount: u64,
        now: LedgerTime,
    ) {
        if amount == 0 {
            return;
        }
        let granted = self.note(
            Entry::Granted {
                session,
                agent: agent.clone(),
                pool,
                amount,
            },
            now,
        );
        if granted {
            if let Some(claims) = self.claims.get_mut(agent) {
                claims.served = Some(session);
                claims.pushed = now;
                if let Some(claim) = claims.pool_mut(pool).get_mut(&session) {
                    claim.unheard = true;
                }
            }
            self.owe(session, agent);
        }
    }
}

const fn is_limited(books: &AgentBooks, pool: Pool) -> bool {
    let terms = &books.terms;
    match pool {
        Pool::Requests => terms.counts_requests(),
        Pool::Tokens => terms.tokens_per_minute.is_some(),
        Pool::Slots => terms.max_concurrent.is_some(),
    }
}

/// Whether more is held and cooling than the limits allow.
pub(super) fn is_passed(books: &AgentBooks, pool: Pool) -> bool {
    let held = books.held(pool);
    let passed = |limit: Option<u64>, cooling: u64| {
        limit.is_some_and(|limit| held.saturating_add(cooling) > limit)
    };
    let terms = &books.terms;
    match pool {
        Pool::Requests => {
            passed(terms.requests_per_minute, books.minute.total())
                || passed(terms.requests_per_hour, books.hour.total())
        }
        Pool::Tokens => passed(terms.tokens_per_minute, books.tokens.total()),
        Pool::Slots => passed(terms.max_concurrent, 0),
    }
}

/// What of a pool can be granted. Nothing limits it: all there is.
pub(super) fn free(books: &AgentBooks, pool: Pool) -> u64 {
    let held = books.held(pool);
    let terms = &books.terms;
    let of = |limit: Option<u64>, cooling: u64| {
        limit.map_or(u64::MAX, |limit| {
            limit.saturating_sub(held).saturating_sub(cooling)
        })
    };
    match pool {
        Pool::Requests => of(terms.requests_per_minute, books.minute.total())
            .min(of(terms.requests_per_hour, books.hour.total())),
        Pool::Tokens => of(terms.tokens_per_minute, books.tokens.total()),
        Pool::Slots => of(terms.max_concurrent, 0),
    }
}

/// Gives each its fair part of what is free, and what one does not need to those after it.
fn spread<'a>(
    free: &mut u64,
    lacks: impl ExactSizeIterator<Item = &'a mut u64>,
    granted: &mut [u64],
) {
    let mut lacks: Vec<_> = lacks.zip(granted.iter_mut()).collect();
    loop {
        let hungry = lacks.iter().filter(|(lack, _)| **lack > 0).count();
        let hungry = u64::try_from(hungry).unwrap_or(u64::MAX);
        if hungry == 0 || *free == 0 {
            return;
        }
        let part = free.div_ceil(hungry);
        for (lack, granted) in &mut lacks {
            let given = part.min(**lack).min(*free);
            **lack = lack.saturating_sub(given);
            **granted = granted.saturating_add(given);
            *free = free.saturating_sub(given);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(free: u64, mut lacks: Vec<u64>) -> (Vec<u64>, u64) {
        let mut granted = vec![0; lacks.len()];
        let mut free = free;
        spread(&mut free, lacks.iter_mut(), &mut granted);
        (granted, free)
    }

    #[test]
    fn what_is_scarce_is_shared_fairly_and_completely() {
        assert_eq!(shared(10, vec![3, 4]), (vec![3, 4], 3));
        assert_eq!(shared(4, vec![10, 10]), (vec![2, 2], 0));
        assert_eq!(shared(5, vec![10, 1, 10]), (vec![2, 1, 2], 0));
        assert_eq!(shared(9, vec![1, 1, 10]), (vec![1, 1, 7], 0));
        assert_eq!(shared(1, vec![5, 5]), (vec![1, 0], 0));
        assert_eq!(shared(0, vec![5]), (vec![0], 0));
    }
}
