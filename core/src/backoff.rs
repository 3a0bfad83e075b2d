//! Pauses between tries.

use std::time::Duration;

/// Full jitter: anything from nothing up to `first` doubled `doublings` times, `longest` at most.
/// `random` is evenly spread over its whole range.
pub fn full_jitter(first: Duration, longest: Duration, doublings: u32, random: u64) -> Duration {
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let most = first.saturating_mul(factor).min(longest);
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.checked_rem(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_stays_below_its_bound_and_uses_all_of_it() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(10));
        for (doublings, most_ms) in [(0, 100), (1, 200), (6, 6_400), (7, 10_000), (99, 10_000)] {
            let most = Duration::from_millis(most_ms);
            let last = u64::try_from(most.as_nanos()).unwrap() - 1;
            let longest_pause = full_jitter(first, longest, doublings, last);
            assert_eq!(longest_pause, Duration::from_nanos(last), "{doublings}");
            assert!(full_jitter(first, longest, doublings, u64::MAX) < most);
            assert_eq!(full_jitter(first, longest, doublings, 0), Duration::ZERO);
        }
        assert_eq!(full_jitter(Duration::ZERO, longest, 3, 7), Duration::ZERO);
    }
}
