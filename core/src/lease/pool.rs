//! Permits, tokens or places of one agent at one proxy.

use std::collections::VecDeque;
use std::time::Duration;

use super::demand::Demand;
use crate::limits::{USE_STEP, USES_KEPT};
use crate::quota::{PoolReport, PoolUpdate, Use};
use crate::time::Mono;

/// Rights of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    granted: u64,
    used: u64,
    returned: u64,
    reserved: u64,
    /// Uses the ledger has not confirmed: the time of the latest, and how many.
    uses: VecDeque<(Mono, u64)>,
    confirmed: u64,
    pub(super) demand: Demand,
}

impl Pool {
    /// Rights that can be taken.
    pub(super) const fn idle(&self) -> u64 {
        self.granted
            .saturating_sub(self.used)
            .saturating_sub(self.returned)
            .saturating_sub(self.reserved)
    }

    /// Uses rights at once.
    pub(super) fn consume(&mut self, count: u64, now: Mono) {
        if count == 0 {
            return;
        }
        self.used = self.used.saturating_add(count);
        let full = self.uses.len() >= USES_KEPT;
        match self.uses.back_mut() {
            // Counted as used at the latest time: they are free again rather too late than too soon.
            Some((at, many)) if full || now.since(*at) < USE_STEP => {
                *at = now;
                *many = many.saturating_add(count);
            }
            Some(_) | None => self.uses.push_back((now, count)),
        }
    }

    /// Sets rights aside.
    pub(super) const fn reserve(&mut self, count: u64) {
        self.reserved = self.reserved.saturating_add(count);
    }

    /// Notes how much is set aside, as what may be wanted again.
    pub(super) fn note_level(&mut self, now: Mono) {
        self.demand.raise(self.reserved, now);
    }

    /// Frees what was set aside.
    pub(super) const fn release(&mut self, count: u64) {
        self.reserved = self.reserved.saturating_sub(count);
    }

    /// Gives up to so many idle rights back.
    pub(super) fn give_back(&mut self, count: u64) -> u64 {
        let count = count.min(self.idle());
        self.returned = self.returned.saturating_add(count);
        count
    }

    /// Whether the ledger has booked anything of it in this session, or should have.
    pub(super) const fn is_known(&self) -> bool {
        self.granted > 0 || self.used > 0
    }

    /// Whether the ledger does not know of everything used.
    pub(super) const fn is_unconfirmed(&self) -> bool {
        self.confirmed < self.used
    }

    pub(super) fn report(&self, waiting: u64, want: u64, now: Mono) -> PoolReport {
        let uses = self.uses.iter().map(|(at, count)| Use {
            age: now.since(*at),
            count: *count,
        });
        PoolReport {
            used: self.used,
            returned: self.returned,
            uses: uses.collect(),
            reserved: self.reserved,
            waiting,
            want,
        }
    }

    pub(super) fn update(&mut self, update: &PoolUpdate) {
        self.granted = self.granted.max(update.granted);
        let mut news = update.used.saturating_sub(self.confirmed);
        self.confirmed = self.confirmed.max(update.used);
        while let Some((_, count)) = self.uses.front_mut() {
            if *count > news {
                *count = count.saturating_sub(news);
                return;
            }
            news = news.saturating_sub(*count);
            self.uses.pop_front();
        }
    }

    /// Begins to count anew; what is set aside belongs to the session before.
    pub(super) fn begin(&mut self) {
        *self = Self {
            demand: self.demand,
            ..Self::default()
        };
    }

    /// Rights the next moments will take.
    pub(super) fn foreseen(&mut self, ahead: Duration, now: Mono) -> u64 {
        self.demand.over(ahead, now)
    }
}
