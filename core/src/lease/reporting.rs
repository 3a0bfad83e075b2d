//! What an agent reports, and when.

use super::agent::Agent;
use super::parked::Wish;
use crate::limits::{
    HOLD_AHEAD, IDLE_TIME, REPORT_INTERVAL, REPORT_INTERVAL_PRESSED, WAITING_REPORT_INTERVAL,
};
use crate::quota::{AgentReport, PastReport, UsageReport};
use crate::time::Mono;
use crate::units::NanoUsd;

impl Agent {
    /// When the ledger should hear of the agent; nothing if there is nothing to say.
    pub fn report_due(&mut self, now: Mono) -> Option<Mono> {
        if self.urgent {
            return Some(self.not_before(REPORT_INTERVAL_PRESSED.checked_div(10)?));
        }
        if !self.parked.is_empty() {
            return Some(self.not_before(WAITING_REPORT_INTERVAL));
        }
        if self.dirty && self.is_short(now) {
            return Some(self.not_before(REPORT_INTERVAL_PRESSED));
        }
        let pressed = self.is_pressed(now);
        if self.dirty || self.past.is_untold() || self.usage.is_untold() {
            let interval = if pressed {
                REPORT_INTERVAL_PRESSED
            } else {
                REPORT_INTERVAL
            };
            return Some(self.not_before(interval));
        }
        let unconfirmed = self.requests.is_unconfirmed()
            || self.tokens.is_unconfirmed()
            || self.money.is_unconfirmed();
        (unconfirmed || self.has_excess(now)).then(|| self.not_before(IDLE_TIME))
    }

    /// Whether everything was reported and confirmed and nothing is under way.
    pub fn is_settled(&self) -> bool {
        let money = &self.money;
        !self.requests.is_unconfirmed()
            && !self.tokens.is_unconfirmed()
            && !money.is_unconfirmed()
            && money.purses.values().all(|it| it.reserved.is_zero())
            && self.past.is_empty()
            && self.usage.is_settled()
    }

    /// The state of the agent, as of now.
    pub fn report(&mut self, now: Mono) -> AgentReport {
        self.trim(now);
        self.reported = Some(now);
        self.urgent = false;
        self.dirty = false;
        let terms = &self.rules.terms;
        let permits = self.waiting_for(Wish::permits);
        let requests = terms.counts_requests().then(|| {
            let want = self.requests.foreseen(HOLD_AHEAD, now);
            self.requests.report(permits, want, now)
        });
        let tokens = terms.tokens_per_minute.is_some().then(|| {
            let waiting = self
                .parked
                .iter()
                .fold(0_u64, |sum, it| sum.saturating_add(it.wish.tokens()));
            let want = self.tokens.foreseen(HOLD_AHEAD, now);
            self.tokens.report(waiting, want, now)
        });
        let slots = terms
            .max_concurrent
            .is_some()
            .then(|| self.slots.report(permits, 0, now));
        let money = terms.has_budget().then(|| {
            let waiting = self
                .parked
                .iter()
                .fold(NanoUsd::ZERO, |sum, it| sum.saturating_add(it.wish.money()));
            let first = self.parked.front().map(|it| it.wish.money());
            self.money.report(waiting, first.unwrap_or_default(), now)
        });
        AgentReport {
            agent: self.name.clone(),
            requests,
            tokens,
            slots,
            money,
            recall_seen: self.recall_seen,
        }
    }

    /// Usage of models that report `number` is to tell.
    pub fn usage_report(&mut self, number: u64) -> Vec<UsageReport> {
        self.usage.report(&self.name, number)
    }

    /// Spend of closed sessions that report `number` is to tell.
    pub fn past_report(&mut self, number: u64) -> Vec<PastReport> {
        self.past.report(&self.name, number)
    }

    /// The stream broke: what was told and not confirmed is told again.
    pub fn repeat(&mut self) {
        self.past.repeat();
        self.usage.repeat();
        self.dirty = true;
        self.urgent |= !self.parked.is_empty();
    }

    fn waiting_for(&self, of: impl Fn(Wish) -> u64) -> u64 {
        self.parked
            .iter()
            .fold(0, |sum, parked| sum.saturating_add(of(parked.wish)))
    }

    /// Gives back what the next moments will not take.
    fn trim(&mut self, now: Mono) {
        self.money.give_back(false, NanoUsd::ZERO, now);
        if !self.has_excess(now) {
            return;
        }
        let permits = self.waiting_for(Wish::permits);
        for pool in [&mut self.requests, &mut self.slots] {
            let keep = pool.demand.recent(now).max(1).saturating_add(permits);
            pool.give_back(pool.idle().saturating_sub(keep));
        }
        let keep = self.tokens.demand.recent(now);
        self.tokens
            .give_back(self.tokens.idle().saturating_sub(keep));
        let keep = self.money.foreseen(now);
        let waiting = self
            .parked
            .iter()
            .fold(NanoUsd::ZERO, |sum, it| sum.saturating_add(it.wish.money()));
        self.money
            .give_back(true, keep.saturating_add(waiting), now);
    }

    /// Whether more is idle than the last second took.
    fn has_excess(&mut self, now: Mono) -> bool {
        let permits = self.waiting_for(Wish::permits);
        let over = |idle: u64, recent: u64| idle > recent.max(1).saturating_add(permits);
        over(self.requests.idle(), self.requests.demand.recent(now))
            || over(self.slots.idle(), self.slots.demand.recent(now))
            || self.tokens.idle() > self.tokens.demand.recent(now)
            || (self.parked.is_empty() && self.money.idle(now) > self.money.foreseen(now))
    }

    /// Whether less than half of what the next moments will take is at hand.
    fn is_short(&mut self, now: Mono) -> bool {
        let terms = &self.rules.terms;
        let short = |idle: u64, want: u64| want > 0 && idle < want.div_ceil(2);
        let denied = self.is_denied(now);
        let requests = terms.counts_requests()
            && !denied
            && short(
                self.requests.idle(),
                self.requests.foreseen(HOLD_AHEAD, now),
            );
        let tokens = terms.tokens_per_minute.is_some()
            && !denied
            && short(self.tokens.idle(), self.tokens.foreseen(HOLD_AHEAD, now));
        let money = terms.has_budget() && !terms.soft && !self.is_pressed(now) && {
            let want = self.money.foreseen(now);
            short(self.money.idle(now).as_nanos(), want.as_nanos())
        };
        requests || tokens || money
    }

    fn not_before(&self, interval: std::time::Duration) -> Mono {
        self.reported
            .map_or(Mono::default(), |at| at.after(interval))
    }
}
