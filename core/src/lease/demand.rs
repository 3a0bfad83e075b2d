//! How much was wanted lately, and so will be wanted next.

use std::time::Duration;

use crate::time::Mono;

/// Counts over this long are kept.
const SPAN: Duration = Duration::from_secs(1);

/// What was wanted in this span of time and in the one before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Demand {
    span: u64,
    current: u64,
    previous: u64,
}

impl Demand {
    /// Counts a wish.
    pub(super) fn add(&mut self, amount: u64, now: Mono) {
        self.roll(now);
        self.current = self.current.saturating_add(amount);
    }

    /// Notes a level; the highest counts.
    pub(super) fn raise(&mut self, level: u64, now: Mono) {
        self.roll(now);
        self.current = self.current.max(level);
    }

    /// The higher one of both spans.
    pub(super) fn recent(&mut self, now: Mono) -> u64 {
        self.roll(now);
        self.current.max(self.previous)
    }

    /// What the next `ahead` will want at the rate of the higher span, rounded to the nearest.
    pub(super) fn over(&mut self, ahead: Duration, now: Mono) -> u64 {
        let per_span = u128::from(self.recent(now));
        let span = SPAN.as_nanos();
        let wanted = per_span
            .saturating_mul(ahead.as_nanos())
            .saturating_add(span.div_euclid(2))
            .checked_div(span)
            .unwrap_or(0);
        u64::try_from(wanted).unwrap_or(u64::MAX)
    }

    fn roll(&mut self, now: Mono) {
        let length = u64::try_from(SPAN.as_nanos()).unwrap_or(u64::MAX);
        let span = now.as_nanos().checked_div(length).unwrap_or(0);
        if span == self.span {
            return;
        }
        self.previous = if span == self.span.saturating_add(1) {
            self.current
        } else {
            0
        };
        self.current = 0;
        self.span = span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn demand_follows_the_last_seconds_and_is_forgotten() {
        let mut demand = Demand::default();
        let ahead = Duration::from_millis(250);
        for _ in 0..400 {
            demand.add(1, at(10_500));
        }
        assert_eq!(demand.over(ahead, at(10_900)), 100);
        assert_eq!(demand.over(ahead, at(11_999)), 100);
        assert_eq!(demand.over(ahead, at(12_000)), 0);
        demand.add(1, at(20_000));
        assert_eq!(demand.over(ahead, at(20_000)), 0, "a rare one is asked for");
        demand.add(1, at(20_001));
        assert_eq!(demand.over(ahead, at(20_001)), 1);
    }
}
