//! How far the ledger's time advances between two owners.

use std::time::Duration;

use crate::limits::CLOCK_SKEW;
use crate::time::Wall;

/// The clocks of an owner at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockMark {
    /// The wall clock.
    pub wall: Wall,
    /// Names one start of one machine; 0: not known.
    pub boot: u128,
    /// Time since that start, including sleep, in nanoseconds.
    pub since_boot: u64,
}

/// Time that has surely passed from `last`, the mark of the newest batch of the log, to `now`.
///
/// On the same start of the same machine its own clock says so exactly. Between machines it is the
/// difference of their wall clocks, less how far these may be apart: a long stop must not freeze an
/// hour's window, and no clock is trusted further than that. Never more than truly passed, so that
/// no permit is released early.
pub fn elapsed(last: &ClockMark, now: &ClockMark) -> Duration {
    if last.boot != 0 && last.boot == now.boot {
        return Duration::from_nanos(now.since_boot.saturating_sub(last.since_boot));
    }
    let millis = now
        .wall
        .as_millis()
        .saturating_sub(last.wall.as_millis())
        .max(0);
    let apart = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    apart.saturating_sub(CLOCK_SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(wall_s: i64, boot: u128, since_boot_s: u64) -> ClockMark {
        ClockMark {
            wall: Wall::from_millis(wall_s * 1_000),
            boot,
            since_boot: since_boot_s * 1_000_000_000,
        }
    }

    #[test]
    fn the_same_machine_counts_exactly_whatever_its_wall_clock_says() {
        let last = mark(1_000, 7, 50);
        assert_eq!(elapsed(&last, &mark(9_999, 7, 53)).as_secs(), 3);
        assert_eq!(elapsed(&last, &mark(1, 7, 53)).as_secs(), 3);
    }

    #[test]
    fn another_machine_is_trusted_less_than_its_wall_clock() {
        let last = mark(1_000, 7, 50);
        assert_eq!(elapsed(&last, &mark(1_100, 8, 1)).as_secs(), 90);
        assert_eq!(elapsed(&last, &mark(1_005, 8, 1)), Duration::ZERO);
        assert_eq!(elapsed(&last, &mark(1, 8, 1)), Duration::ZERO);
        assert_eq!(
            elapsed(&mark(1_000, 0, 5), &mark(1_100, 0, 9)).as_secs(),
            90
        );
    }
}
