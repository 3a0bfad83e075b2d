//! The breakers of all targets, shared by the workers of this proxy.
//!
//! Rules this module keeps:
//! - While nothing speaks against a target, its calls take no lock: they read a flag and count
//!   themselves.
//! - A breaker outlives policies and plans: what is known of a target is not forgotten with them, and
//!   least of all that it fails.
//! - Models that nobody lists share the breaker of their provider, so that names that strangers send
//!   make no more of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agix_core::failover::{Breaker, Failure, Tally};
use agix_core::id::{ModelName, ProviderName};
use agix_core::limits::BREAKERS;
use agix_core::policy::BreakerSettings;
use agix_core::time::Mono;
use prometheus_client::metrics::gauge::Gauge;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    known: Mutex<HashMap<(ProviderName, ModelName), Arc<Guard>>>,
}

/// The breaker of one target.
#[derive(Debug)]
pub(crate) struct Guard {
    breaker: Mutex<Breaker>,
    /// Whether anything speaks against the target. Changed only while the breaker is locked.
    is_troubled: AtomicBool,
    answered: Tally,
    open: Gauge,
}

impl Breakers {
    /// The breaker of a target; `open` tells whether it is.
    pub(crate) fn of(&self, provider: &ProviderName, model: &ModelName, open: Gauge) -> Arc<Guard> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let target = (provider.clone(), model.clone());
        if let Some(guard) = known.get(&target) {
            return Arc::clone(guard);
        }
        if known.len() >= BREAKERS {
            known.retain(|_, guard| guard.is_troubled() || Arc::strong_count(guard) > 1);
        }
        let guard = Arc::new(Guard::new(open));
        // With so many targets in use one more is remembered as long as its plan is.
        if known.len() < BREAKERS {
            known.insert(target, Arc::clone(&guard));
        }
        guard
    }
}

impl Guard {
    fn new(open: Gauge) -> Self {
        Self {
            breaker: Mutex::default(),
            is_troubled: AtomicBool::new(false),
            answered: Tally::default(),
            open,
        }
    }

    /// Whether a call may begin.
    pub(crate) fn admits(&self, settings: &BreakerSettings, now: Mono) -> bool {
        !self.is_troubled() || self.breaker().admits(settings, now)
    }

    /// A call was answered.
    pub(crate) fn answered(&self, settings: &BreakerSettings, now: Mono) {
        self.answered.count(settings.window, now);
        if self.is_troubled() {
            let mut breaker = self.breaker();
            breaker.answered();
            self.show(&breaker);
        }
    }

    /// A call failed. True if that opened the breaker.
    pub(crate) fn failed(&self, failure: Failure, settings: &BreakerSettings, now: Mono) -> bool {
        let answered = self.answered.within(settings.window, now);
        let mut breaker = self.breaker();
        let opened = breaker.failed(failure, answered, settings, now);
        self.show(&breaker);
        opened
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

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(breakers: &Breakers, model: &str) -> Arc<Guard> {
        let provider = ProviderName::new("openai").unwrap();
        let model = ModelName::new(model).unwrap();
        breakers.of(&provider, &model, Gauge::default())
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
        for number in 0..BREAKERS {
            of(&breakers, &format!("model-{number}"));
        }
        assert!(!of(&breakers, "broken").admits(&settings, now));
        assert!(Arc::ptr_eq(&held, &of(&breakers, "in-use")));
        let known = breakers.known.lock().unwrap();
        assert!(known.len() <= BREAKERS);
    }

    #[test]
    fn no_more_are_kept_than_the_bound_even_if_all_fail() {
        let settings = BreakerSettings::default();
        let breakers = Breakers::default();
        for number in 0..BREAKERS + 10 {
            let guard = of(&breakers, &format!("model-{number}"));
            guard.failed(Failure::Connect, &settings, Mono::default());
        }
        assert_eq!(breakers.known.lock().unwrap().len(), BREAKERS);
    }
}
