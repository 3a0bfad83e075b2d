//! Time: the true one, which only the world and its oracle know, and the clocks of machines.

use std::time::Duration;

use agix_core::ledger::ClockMark;
use agix_core::time::{Mono, Wall};

/// True time, in nanoseconds since the world began.
pub type Nanos = u64;

/// A millisecond.
pub const MS: Nanos = 1_000_000;
/// A second.
pub const S: Nanos = 1_000_000_000;
/// A minute.
pub const MINUTE: Nanos = 60 * S;
/// An hour.
pub const HOUR: Nanos = 60 * MINUTE;

/// The length of a span in nanoseconds.
pub fn nanos(span: Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A clock that never goes back, whose rate is a little off.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// What it shows when it begins.
    pub origin: u64,
    /// The true time at which it begins.
    pub since: Nanos,
    /// By how many millionths it is too fast.
    pub ppm: i64,
}

/// A machine: its clock since it was started, and its wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Names its present start.
    pub boot: u128,
    /// Its clock.
    pub clock: Clock,
    /// By how much its wall clock is ahead, in milliseconds.
    pub wall_ahead: i64,
}

impl Clock {
    /// What it shows.
    pub fn at(&self, now: Nanos) -> Mono {
        let passed = i128::from(now.saturating_sub(self.since));
        let shown = passed + passed * i128::from(self.ppm) / 1_000_000;
        Mono::from_nanos(self.origin + u64::try_from(shown).unwrap_or(0))
    }

    /// The first true time at which it shows at least `shown`.
    pub fn when(&self, shown: Mono) -> Nanos {
        let passed = i128::from(shown.as_nanos().saturating_sub(self.origin));
        let rate = i128::from(1_000_000 + self.ppm);
        let truly = passed * 1_000_000 / rate;
        let mut at = self.since + u64::try_from(truly).unwrap_or(u64::MAX / 2);
        while self.at(at) < shown {
            at += 1;
        }
        at
    }
}

impl Machine {
    /// Its clocks. `began` is the true wall time at which the world began, in milliseconds.
    pub fn mark(&self, now: Nanos, began: i64) -> ClockMark {
        ClockMark {
            wall: self.wall(now, began),
            boot: self.boot,
            since_boot: self.clock.at(now).as_nanos(),
        }
    }

    /// Its wall clock.
    pub fn wall(&self, now: Nanos, began: i64) -> Wall {
        Wall::from_millis(true_wall(now, began).as_millis() + self.wall_ahead)
    }
}

/// The true time of day.
pub fn true_wall(now: Nanos, began: i64) -> Wall {
    Wall::from_millis(began + i64::try_from(now / MS).unwrap_or(i64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_a_time_when_it_says_it_does() {
        for ppm in [-475, 0, 1, 475] {
            let clock = Clock {
                origin: 77,
                since: 5 * S,
                ppm,
            };
            for shown in [77, 78, 79, 1_000, 123_456_789_012] {
                let at = clock.when(Mono::from_nanos(shown));
                assert!(clock.at(at).as_nanos() >= shown, "{ppm} {shown}");
                assert!(at == clock.since || clock.at(at - 1).as_nanos() < shown);
            }
        }
        let fast = Clock {
            origin: 0,
            since: 0,
            ppm: 475,
        };
        assert_eq!(fast.at(1_000_000).as_nanos(), 1_000_475);
    }
}
