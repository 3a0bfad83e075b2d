//! The breakers of all targets, shared by the workers of this proxy.
//!
//! Rules this module keeps:
//! - While nothing speaks against a target, its calls take no lock: they read a flag and count
//!   themselves.
//! - The control plane tells what the fleet knows (`fleet`); without it each proxy decides by itself.
//! - A breaker outlives policies and plans: what is known of a target is not forgotten with them, and
//!   least of all that it fails.
//! - Models that nobody lists share the breaker of their provider, so that names that strangers send
//!   make no more of them.

mod fleet;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agix_core::failover::{Breaker, Failure, Report, Tally, TargetId, Word};
use agix_core::id::{ModelName, ProviderName};
use agix_core::limits::{TARGETS, TARGETS_OF_REPORT};
use agix_core::policy::BreakerSettings;
use agix_core::time::Mono;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::attempt::words_of;

pub(crate) use fleet::{FleetConfig, follow};

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    known: Mutex<HashMap<TargetId, Arc<Guard>>>,
}

/// The breaker of one target.
#[derive(Debug)]
pub(crate) struct Guard {
    state: Mutex<State>,
    /// Whether anything speaks against the target. Changed only while the state is locked.
    is_troubled: AtomicBool,
    answered: Tally,
    /// All calls.
    attempts: Counter,
    open: Gauge,
}

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    /// The newest epoch heard of.
    epoch: u64,
    /// What the fleet was not told yet.
    untold: Untold,
    /// Calls that the fleet was told of.
    told: u64,
}

/// What was seen since the last report.
#[derive(Debug, Default)]
struct Untold {
    passed_over: u64,
    failures: u64,
    recovered: bool,
    error: Option<(Failure, Mono)>,
}

impl Breakers {
    /// The breaker of a target; `open` tells whether it is, `attempts` counts the calls.
    pub(crate) fn of(
        &self,
        provider: &ProviderName,
        model: &ModelName,
        (open, attempts): (Gauge, Counter),
    ) -> Arc<Guard> {
        let mut known = self.known();
        let target = TargetId {
            provider: provider.clone(),
            model: model.clone(),
        };
        if let Some(guard) = known.get(&target) {
            return Arc::clone(guard);
        }
        if known.len() >= TARGETS {
            known.retain(|_, guard| guard.is_troubled() || Arc::strong_count(guard) > 1);
        }
        let guard = Arc::new(Guard::new(open, attempts));
        // With so many targets in use one more is remembered as long as its plan is.
        if known.len() < TARGETS {
            known.insert(target, Arc::clone(&guard));
        }
        guard
    }

    /// What the fleet is to be told.
    fn report(&self, now: Mono) -> Vec<Report> {
        let known: Vec<_> = {
            let known = self.known();
            let targets = known.iter();
            targets
                .map(|(it, guard)| (it.clone(), Arc::clone(guard)))
                .collect()
        };
        let reports = known
            .into_iter()
            .filter_map(|(target, guard)| guard.report(target, now));
        reports.take(TARGETS_OF_REPORT).collect()
    }

    /// What the fleet says.
    fn hear(&self, words: Vec<Word>, settings: &BreakerSettings, now: Mono) {
        for word in words {
            let guard = self.known().get(&word.target).map(Arc::clone);
            if let Some(guard) = guard {
                guard.hear(&word, settings, now);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TargetId, Arc<Guard>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    fn new(open: Gauge, attempts: Counter) -> Self {
        Self {
            state: Mutex::default(),
            is_troubled: AtomicBool::new(false),
            answered: Tally::default(),
            attempts,
            open,
        }
    }

    /// Whether a call may begin.
    pub(crate) fn admits(&self, settings: &BreakerSettings, now: Mono) -> bool {
        if !self.is_troubled() {
            return true;
        }
        let mut state = self.state();
        let admits = state.breaker.admits(settings, now);
        if !admits {
            state.untold.passed_over = state.untold.passed_over.saturating_add(1);
        }
        admits
    }

    /// A call was answered.
    pub(crate) fn answered(&self, settings: &BreakerSettings, now: Mono) {
        self.answered.count(settings.window, now);
        if self.is_troubled() {
            let mut state = self.state();
            state.untold.recovered |= state.breaker.is_open();
            state.breaker.answered();
            self.show(&state.breaker);
        }
    }

    /// A call failed. True if that opened the breaker.
    pub(crate) fn failed(&self, failure: Failure, settings: &BreakerSettings, now: Mono) -> bool {
        let answered = self.answered.within(settings.window, now);
        let mut state = self.state();
        let opened = state.breaker.failed(failure, answered, settings, now);
        state.untold.failures = state.untold.failures.saturating_add(1);
        state.untold.error = Some((failure, now));
        self.show(&state.breaker);
        opened
    }

    /// What the fleet is to be told; nothing if nothing was seen.
    fn report(&self, target: TargetId, now: Mono) -> Option<Report> {
        let attempts = self.attempts.get();
        let mut state = self.state();
        let told = std::mem::replace(&mut state.told, attempts);
        if told == attempts && state.untold.passed_over == 0 && !state.breaker.is_open() {
            return None;
        }
        let untold = std::mem::take(&mut state.untold);
        Some(Report {
            target,
            epoch: state.epoch,
            open: state.breaker.is_open_by_itself(),
            alone_for: state.breaker.alone_for(now),
            recovered: untold.recovered,
            passed_over: untold.passed_over,
            attempts: attempts.saturating_sub(told),
            failures: untold.failures,
            error: untold
                .error
                .map(|(failure, at)| (words_of(failure), now.since(at))),
        })
    }

    fn hear(&self, word: &Word, settings: &BreakerSettings, now: Mono) {
        let mut state = self.state();
        if word.epoch > state.epoch {
            state.epoch = word.epoch;
            state.breaker.recovered();
        }
        state.breaker.told(word.open, word.trial, settings, now);
        self.show(&state.breaker);
    }

    fn is_troubled(&self) -> bool {
        self.is_troubled.load(Ordering::Relaxed)
    }

    /// Shows what has become of the breaker to those who do not lock it.
    fn show(&self, breaker: &Breaker) {
        self.is_troubled
            .store(!breaker.is_untroubled(), Ordering::Relaxed);
        self.open.set(i64::from(breaker.is_open()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(breakers: &Breakers, model: &str) -> Arc<Guard> {
        let provider = ProviderName::new("openai").unwrap();
        let model = ModelName::new(model).unwrap();
        breakers.of(&provider, &model, Default::default())
    }

    #[test]
    fn what_fails_is_remembered_however_many_targets_there_are() {
        let settings = BreakerSettings {
            consecutive_failures: 1,
            ..BreakerSettings::default()
        };
        let now = Mono::default();
        let breakers = Breakers::default();
        of(&breakers, "broken").failed(Failure::Connect, &settings, now);
        let held = of(&breakers, "in-use");
        for number in 0..TARGETS {
            of(&breakers, &format!("model-{number}"));
        }
        assert!(!of(&breakers, "broken").admits(&settings, now));
        assert!(Arc::ptr_eq(&held, &of(&breakers, "in-use")));
        assert!(breakers.known().len() <= TARGETS);
    }

    #[test]
    fn no_more_are_kept_than_the_bound_even_if_all_fail() {
        let settings = BreakerSettings::default();
        let breakers = Breakers::default();
        for number in 0..TARGETS + 10 {
            let guard = of(&breakers, &format!("model-{number}"));
            guard.failed(Failure::Connect, &settings, Mono::default());
        }
        assert_eq!(breakers.known().len(), TARGETS);
    }
}
