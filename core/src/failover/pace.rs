//! Whether a stream that has begun goes on fast enough.
//!
//! Only the time in which the provider is waited for counts: while the caller does not read, nobody
//! asks the provider for more, and what it has sent already comes at once.

use std::time::Duration;

use crate::policy::MinThroughput;
use crate::time::Mono;
use crate::units::Tokens;

/// The pace of one stream.
#[derive(Debug)]
pub struct Pace {
    least: MinThroughput,
    /// Since when the provider is being waited for.
    since: Option<Mono>,
    /// Waited for it since the last count.
    waited: Duration,
    /// Tokens at the last count.
    counted: Tokens,
}

impl Pace {
    /// The pace of a stream that has brought `seen` up to now.
    pub const fn new(least: MinThroughput, seen: Tokens) -> Self {
        Self {
            least,
            since: None,
            waited: Duration::ZERO,
            counted: seen,
        }
    }

    /// The provider is waited for, after it brought `seen` in all. True if that was too slow.
    pub fn waits(&mut self, seen: Tokens, now: Mono) -> bool {
        if self.since.is_some() {
            return false;
        }
        self.since = Some(now);
        if self.waited < self.least.window {
            return false;
        }
        let brought = seen.saturating_sub(self.counted).get();
        let brought = u128::from(brought).saturating_mul(1_000);
        let least = u128::from(self.least.tokens_per_second);
        let least = least.saturating_mul(self.waited.as_millis());
        self.waited = Duration::ZERO;
        self.counted = seen;
        brought < least
    }

    /// Something came of the provider.
    pub fn came(&mut self, now: Mono) {
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(now.since(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: MinThroughput = MinThroughput {
        tokens_per_second: 5,
        window: Duration::from_secs(10),
    };

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    /// Whether a stream is too slow that brings `tokens` after each wait of `millis`, within 100 waits.
    fn is_slow(tokens: u64, millis: u64) -> bool {
        let mut pace = Pace::new(LEAST, Tokens::new(7));
        (0..100).any(|wait| {
            let is_slow = pace.waits(Tokens::new(7 + wait * tokens), at(wait * millis));
            pace.came(at((wait + 1) * millis));
            is_slow
        })
    }

    #[test]
    fn a_stream_is_slow_that_brings_less_than_the_least_over_a_window() {
        assert!(!is_slow(6, 1_000));
        assert!(!is_slow(1, 150));
        assert!(is_slow(4, 1_000));
        assert!(is_slow(1, 500));
        // Much at once after a long wait is as good as little after short ones.
        assert!(!is_slow(60, 9_000));
        assert!(is_slow(30, 9_000));
    }

    #[test]
    fn a_caller_that_does_not_read_makes_no_stream_slow() {
        let mut pace = Pace::new(LEAST, Tokens::ZERO);
        for round in 0..100 {
            // A minute passes before the caller reads again; the provider needs no time.
            let now = at(round * 60_000);
            assert!(!pace.waits(Tokens::new(round), now));
            pace.came(now);
        }
    }

    #[test]
    fn what_was_counted_is_of_the_past() {
        let mut pace = Pace::new(LEAST, Tokens::ZERO);
        let steps = [(0, false), (50, false), (99, true), (149, false)];
        for (round, (seen, is_slow)) in (0..).zip(steps) {
            let now = at(10_000 * round);
            assert_eq!(pace.waits(Tokens::new(seen), now), is_slow, "{seen}");
            pace.came(at(10_000 * (round + 1)));
        }
    }
}
