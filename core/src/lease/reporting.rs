//! What an agent reports, and when.

use super::agent::Agent;
use super::session::Link;
use crate::limits::{
    HOLD_AHEAD, IDLE_TIME, REPORT_INTERVAL, REPORT_INTERVAL_PRESSED, TELL_AGAIN,
    WAITING_REPORT_INTERVAL,
};
use crate::quota::{AgentReport, PastReport, UsageReport};
use crate::time::Mono;
use crate::units::NanoUsd;

/// Idle rights that are not given back.
#[derive(Default)]
struct Keep {
    requests: u64,
    slots: u64,
    tokens: u64,
    money: NanoUsd,
}

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
        let awaited = self.past.is_awaited() || self.usage.is_awaited();
        if awaited && self.told.is_some_and(|at| now.since(at) >= TELL_AGAIN) {
            self.past.repeat();
            self.usage.repeat();
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
        if unconfirmed || self.has_spare(now) {
            return Some(self.not_before(IDLE_TIME));
        }
        let told = self.told.filter(|_| awaited)?;
        Some(told.after(TELL_AGAIN))
    }

    /// Whether everything was reported and confirmed and nothing is under way.
    pub fn is_settled(&self) -> bool {
        let money = &self.money;
        !self.requests.is_unconfirmed()
            && !self.tokens.is_unconfirmed()
            && !money.is_unconfirmed()
            && money.purses.values().all(|it| it.calls == 0)
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
        let (permits, tokens) = (self.permits_waited_for(), self.tokens_waited_for());
        // What was granted before a limit was lifted is still accounted for.
        let requests = (terms.counts_requests() || self.requests.is_known()).then(|| {
            let want = self.requests.foreseen(HOLD_AHEAD, now);
            let (waiting, want) = if_limited(terms.counts_requests(), permits, want);
            self.requests.report(waiting, want, now)
        });
        let limited = terms.tokens_per_minute.is_some();
        let tokens = (limited || self.tokens.is_known()).then(|| {
            let want = self.tokens.foreseen(HOLD_AHEAD, now);
            let (waiting, want) = if_limited(limited, tokens, want);
            self.tokens.report(waiting, want, now)
        });
        let limited = terms.max_concurrent.is_some();
        let slots = (limited || self.slots.is_known()).then(|| {
            let (waiting, want) = if_limited(limited, permits, 0);
            self.slots.report(waiting, want, now)
        });
        let money = (terms.has_budget() || !self.money.purses.is_empty()).then(|| {
            let first = self.parked.front().map(|it| it.wish.money());
            self.money
                .report(self.money_waited_for(), first.unwrap_or_default(), now)
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
    pub fn usage_report(&mut self, number: u64, now: Mono) -> Vec<UsageReport> {
        let told = self.usage.report(&self.name, number);
        self.told = (!told.is_empty()).then_some(now).or(self.told);
        told
    }

    /// Spend of closed sessions that report `number` is to tell.
    pub fn past_report(&mut self, number: u64, now: Mono) -> Vec<PastReport> {
        let told = self.past.report(&self.name, number);
        self.told = (!told.is_empty()).then_some(now).or(self.told);
        told
    }

    /// The stream is new: the agent goes over to its session, and what was told and not confirmed is
    /// told again.
    pub fn repeat(&mut self, link: &Link) {
        self.follow(link);
        self.money.repeat();
        self.past.repeat();
        self.usage.repeat();
        self.dirty = true;
        self.urgent |= !self.parked.is_empty();
    }

    pub(super) fn permits_waited_for(&self) -> u64 {
        self.parked
            .iter()
            .fold(0, |sum, it| sum.saturating_add(it.wish.permits()))
    }

    pub(super) fn tokens_waited_for(&self) -> u64 {
        self.parked
            .iter()
            .fold(0, |sum, it| sum.saturating_add(it.wish.tokens()))
    }

    pub(super) fn money_waited_for(&self) -> NanoUsd {
        self.parked
            .iter()
            .fold(NanoUsd::ZERO, |sum, it| sum.saturating_add(it.wish.money()))
    }

    /// Gives back what neither those who wait nor the next moments will take.
    fn trim(&mut self, now: Mono) {
        let recent = self.recent(now);
        let keep = self.keep(&recent);
        for (pool, keep) in [
            (&mut self.requests, keep.requests),
            (&mut self.slots, keep.slots),
            (&mut self.tokens, keep.tokens),
        ] {
            pool.give_back(pool.idle().saturating_sub(keep));
        }
        self.money.give_back(keep.money, now);
    }

    /// Whether more is idle than is kept where nothing is wanted any more.
    fn has_spare(&self, now: Mono) -> bool {
        let keep = self.keep(&Keep {
            requests: 1,
            slots: 1,
            ..Keep::default()
        });
        self.requests.idle() > keep.requests
            || self.slots.idle() > keep.slots
            || self.tokens.idle() > keep.tokens
            || self.money.has_excess(keep.money, now)
    }

    /// What the last second took, one permit at least.
    fn recent(&mut self, now: Mono) -> Keep {
        Keep {
            requests: self.requests.demand.recent(now).max(1),
            slots: self.slots.demand.recent(now).max(1),
            tokens: self.tokens.demand.recent(now),
            money: self.money.foreseen(now),
        }
    }

    /// What is kept where so much was wanted lately: that much, and what is waited for.
    fn keep(&self, recent: &Keep) -> Keep {
        let terms = &self.rules.terms;
        let (permits, tokens) = (self.permits_waited_for(), self.tokens_waited_for());
        let of = |limited: bool, recent: u64, waiting: u64| {
            if limited {
                recent.saturating_add(waiting)
            } else {
                0
            }
        };
        let money = if terms.has_budget() && !terms.soft {
            recent.money.saturating_add(self.money_waited_for())
        } else {
            NanoUsd::ZERO
        };
        Keep {
            requests: of(terms.counts_requests(), recent.requests, permits),
            slots: of(terms.max_concurrent.is_some(), recent.slots, permits),
            tokens: of(terms.tokens_per_minute.is_some(), recent.tokens, tokens),
            money,
        }
    }

    /// Whether less than half of what the next moments will take is at hand.
    fn is_short(&mut self, now: Mono) -> bool {
        let terms = &self.rules.terms;
        let short = |idle: u64, want: u64| want > 0 && idle < want.div_ceil(2);
        let requests = terms.counts_requests()
            && !self.denied.of_requests(now)
            && short(
                self.requests.idle(),
                self.requests.foreseen(HOLD_AHEAD, now),
            );
        let tokens = terms.tokens_per_minute.is_some()
            && !self.denied.of_tokens(now)
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

/// What is waited for and foreseen of a right; nothing if it is not limited any more.
const fn if_limited(limited: bool, waiting: u64, want: u64) -> (u64, u64) {
    if limited { (waiting, want) } else { (0, 0) }
}
