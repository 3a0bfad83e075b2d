//! The breakers of all targets, shared by the workers of this proxy.
//!
//! Rules this module keeps:
//! - A breaker outlives policies and plans: what is known of a target is not forgotten with them.
//! - Models that nobody lists share the breaker of their provider, so that names that strangers send
//!   make no more of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agix_core::failover::{Breaker, Failure};
use agix_core::id::{ModelName, ProviderName};
use agix_core::limits::PLANS;
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
    open: Gauge,
}

impl Breakers {
    /// The breaker of a target; `open` tells whether it is.
    pub(crate) fn of(&self, provider: &ProviderName, model: &ModelName, open: Gauge) -> Arc<Guard> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let target = (provider.clone(), model.clone());
        if known.len() >= PLANS && !known.contains_key(&target) {
            known.clear();
        }
        let guard = known.entry(target).or_insert_with(|| {
            Arc::new(Guard {
                breaker: Mutex::default(),
                open,
            })
        });
        Arc::clone(guard)
    }
}

impl Guard {
    /// Whether a call may begin.
    pub(crate) fn admits(&self, settings: &BreakerSettings, now: Mono) -> bool {
        self.breaker().admits(settings, now)
    }

    /// A call was answered.
    pub(crate) fn answered(&self, settings: &BreakerSettings, now: Mono) {
        let mut breaker = self.breaker();
        let was_open = breaker.is_open();
        breaker.answered(settings, now);
        drop(breaker);
        if was_open {
            self.open.set(0);
        }
    }

    /// A call failed. True if that opened the breaker.
    pub(crate) fn failed(&self, failure: Failure, settings: &BreakerSettings, now: Mono) -> bool {
        let mut breaker = self.breaker();
        let opened = breaker.failed(failure, settings, now);
        let is_open = breaker.is_open();
        drop(breaker);
        self.open.set(i64::from(is_open));
        opened
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
