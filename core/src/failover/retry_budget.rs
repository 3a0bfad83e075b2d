//! How many further attempts may fail too.
//!
//! When every target of a chain is down, trying them all for each request multiplies the load on
//! providers that are failing already. So a proxy counts the further attempts that failed as well;
//! once they are more than a share of the requests of the last seconds, and more than a few, no
//! further attempt is made until they are fewer. One that is answered costs nothing: a chain that
//! does its work is never held up.

use crate::failover::{Failure, Tally};
use crate::limits::RETRY_BUDGET_WINDOW;
use crate::policy::RetryBudgetSettings;
use crate::time::Mono;

/// What the requests of one proxy have come to lately.
#[derive(Debug, Default)]
pub struct RetryBudget {
    requests: Tally,
    failed: Tally,
}

impl RetryBudget {
    /// A request's first attempt begins.
    pub fn request(&self, now: Mono) {
        self.requests.count(RETRY_BUDGET_WINDOW, now);
    }

    /// Whether a request whose attempt failed may make another one.
    pub fn allows(&self, settings: RetryBudgetSettings, now: Mono) -> bool {
        let failed = u64::from(self.failed.within(RETRY_BUDGET_WINDOW, now));
        if failed < u64::from(settings.at_least) {
            return true;
        }
        let requests = u64::from(self.requests.within(RETRY_BUDGET_WINDOW, now));
        let share = requests.saturating_mul(u64::from(settings.percent));
        let beyond = failed.saturating_sub(u64::from(settings.at_least));
        beyond.saturating_mul(100) < share
    }

    /// A further attempt has failed too. What the request is to blame for does not count.
    pub fn failed(&self, failure: Failure, now: Mono) {
        if failure.is_of_the_target() {
            self.failed.count(RETRY_BUDGET_WINDOW, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: RetryBudgetSettings = RetryBudgetSettings {
        percent: 20,
        at_least: 3,
    };

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_few_are_always_allowed_and_then_a_share_of_the_requests() {
        let budget = RetryBudget::default();
        let mut allowed = 0;
        for _ in 0..100 {
            budget.request(at(0));
            if budget.allows(SETTINGS, at(0)) {
                allowed += 1;
                budget.failed(Failure::Connect, at(0));
            }
        }
        assert_eq!(allowed, 23);
        assert!(!budget.allows(SETTINGS, at(9_000)));
        assert!(budget.allows(SETTINGS, at(10_000)), "the window has passed");
    }

    #[test]
    fn further_attempts_that_are_answered_cost_nothing() {
        let budget = RetryBudget::default();
        for _ in 0..1_000 {
            budget.request(at(0));
            assert!(budget.allows(SETTINGS, at(0)));
        }
    }

    #[test]
    fn none_are_allowed_where_the_policy_says_so() {
        let none = RetryBudgetSettings {
            percent: 0,
            at_least: 0,
        };
        let budget = RetryBudget::default();
        budget.request(at(0));
        assert!(!budget.allows(none, at(0)));
    }

    proptest! {
        /// However requests and failures follow each other, the further attempts that failed stay
        /// within the share and the few.
        #[test]
        fn the_load_is_never_multiplied(tries in prop::collection::vec(0_u8..4, 1..400)) {
            let budget = RetryBudget::default();
            let (mut requests, mut failed) = (0_u64, 0_u64);
            for wanted in tries {
                budget.request(at(1));
                requests += 1;
                for _ in 0..wanted {
                    if budget.allows(SETTINGS, at(1)) {
                        budget.failed(Failure::Reset, at(1));
                        failed += 1;
                    }
                }
                prop_assert!(failed <= 3 + requests.div_ceil(5));
            }
        }
    }
}
