//! Exact sliding windows.
//!
//! A permit is free again once its use has surely left the window. While it cools it counts
//! against the limit, so that at every moment all uses of the last window are among what is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ledger::LedgerTime;
use crate::limits::{CLOCK_DRIFT_PPM, FEW_PERMITS, MANY_PERMITS};
use crate::planted::{self, Bug};
use crate::quota::Window;

/// What was used and is not free again yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cooling {
    releases: BTreeMap<LedgerTime, u64>,
    total: u64,
}

/// When a use at `used` has surely left the window, whatever the two clocks' rates.
///
/// Rounded up to a step that depends on the limit: with few permits each release has its own time,
/// with many they share one, and memory is bounded by the steps of a window.
pub fn release_of(used: LedgerTime, window: Window, limit: u64) -> LedgerTime {
    let length = window.length();
    let drift = if planted::has(Bug::NoMarginForDrift) {
        Duration::ZERO
    } else {
        drift_over(length).saturating_mul(2)
    };
    used.after(length.saturating_add(drift))
        .up_to(step(window, limit))
}

/// How far two clocks may come apart over a span of time.
pub fn drift_over(span: Duration) -> Duration {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let parts = nanos.div_ceil(1_000_000);
    Duration::from_nanos(parts.saturating_mul(CLOCK_DRIFT_PPM))
}

fn step(window: Window, limit: u64) -> Duration {
    let steps = match limit {
        0..=FEW_PERMITS => return Duration::from_millis(1),
        _ if limit <= MANY_PERMITS => 3_000,
        _ => 1_200,
    };
    window.length().checked_div(steps).unwrap_or_default()
}

impl FromIterator<(LedgerTime, u64)> for Cooling {
    fn from_iter<I: IntoIterator<Item = (LedgerTime, u64)>>(releases: I) -> Self {
        let mut cooling = Self::default();
        for (at, count) in releases {
            cooling.add(at, count);
        }
        cooling
    }
}

impl Cooling {
    /// Counts uses that are free again at `release`.
    pub fn add(&mut self, release: LedgerTime, count: u64) {
        if count == 0 {
            return;
        }
        let slot = self.releases.entry(release).or_default();
        *slot = slot.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// Lets go of what is free again at `now`.
    pub fn advance(&mut self, now: LedgerTime) {
        while let Some(first) = self.releases.first_entry() {
            if *first.key() > now {
                return;
            }
            self.total = self.total.saturating_sub(first.remove());
        }
    }

    /// What is cooling.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// When the next becomes free.
    pub fn next(&self) -> Option<LedgerTime> {
        self.releases.keys().next().copied()
    }

    /// The releases, soonest first.
    pub fn releases(&self) -> impl Iterator<Item = (LedgerTime, u64)> {
        self.releases.iter().map(|(at, count)| (*at, *count))
    }

    /// When the `n`-th of those cooling becomes free, from 1; nothing if fewer are cooling.
    pub fn nth(&self, n: u64) -> Option<LedgerTime> {
        let mut left = n;
        for (at, count) in &self.releases {
            if left <= *count {
                return Some(*at);
            }
            left = left.saturating_sub(*count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> LedgerTime {
        LedgerTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_use_is_free_again_after_the_window_and_the_drift_of_two_clocks() {
        let release = release_of(at(10), Window::Minute, 5);
        assert_eq!(release.since(at(10)), Duration::from_millis(60_060));
    }

    #[test]
    fn the_nth_release_is_found() {
        let mut cooling = Cooling::default();
        cooling.add(at(5), 2);
        cooling.add(at(7), 1);
        cooling.add(at(6), 0);
        assert_eq!(cooling.total(), 3);
        assert_eq!(
            [1, 2, 3, 4].map(|n| cooling.nth(n)),
            [Some(at(5)), Some(at(5)), Some(at(7)), None]
        );
        cooling.advance(at(5));
        assert_eq!((cooling.total(), cooling.next()), (1, Some(at(7))));
    }

    proptest! {
        #[test]
        fn no_use_is_released_before_its_window_is_over(
            used in 0_u64..1_000_000_000_000,
            limit in 1_u64..200_000,
            hour in any::<bool>(),
        ) {
            let window = if hour { Window::Hour } else { Window::Minute };
            let used = LedgerTime::from_nanos(used);
            let release = release_of(used, window, limit);
            prop_assert!(release.since(used) > window.length());
            // And not much later: a thousandth for drift, a thousandth for the step.
            let late = release.since(used).saturating_sub(window.length());
            prop_assert!(late <= window.length() / 500);
        }

        #[test]
        fn memory_is_bounded_by_the_steps_of_a_window(
            uses in proptest::collection::vec(0_u64..60_000_000_000, 1..3_000),
        ) {
            let mut cooling = Cooling::default();
            for used in &uses {
                cooling.add(release_of(LedgerTime::from_nanos(*used), Window::Minute, 10_000), 1);
            }
            prop_assert!(cooling.releases().count() <= 1_202);
            prop_assert_eq!(usize::try_from(cooling.total()).unwrap(), uses.len());
        }
    }
}
