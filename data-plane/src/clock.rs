//! The only place of the proxy that reads a clock or draws a random number.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agix_core::time::{Mono, Wall};
use rustix::time::{ClockId, clock_gettime};

/// The clock that goes on while the machine sleeps: rights that a proxy holds run out meanwhile.
#[cfg(target_os = "linux")]
const SINCE_BOOT: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: ClockId = ClockId::Monotonic;

/// The farthest moment a timer is set to.
const FARTHEST: Duration = Duration::from_hours(24 * 365);

/// The clocks of one process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Since the machine was started.
    origin: Duration,
}

impl Clock {
    /// A clock whose origin is now.
    pub fn start() -> Self {
        Self {
            origin: since_boot(),
        }
    }

    /// The moment on the clock that never goes back, nor stops while the machine sleeps.
    pub fn mono(&self) -> Mono {
        Mono::default().after(since_boot().saturating_sub(self.origin))
    }

    /// The runtime's instant of a moment, to sleep until. Timers stop while the machine sleeps, so
    /// who is woken looks at the clock again where that matters.
    pub fn instant(&self, at: Mono) -> tokio::time::Instant {
        let (now, timers) = (self.mono(), runtime_now());
        if at <= now {
            return timers.checked_sub(now.since(at)).unwrap_or(timers);
        }
        timers + at.since(now).min(FARTHEST)
    }

    /// The moment on the wall clock.
    #[expect(clippy::disallowed_methods, reason = "the proxy's clock is read here")]
    pub fn wall(&self) -> Wall {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Wall::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Time since the machine was started, its sleep included.
fn since_boot() -> Duration {
    let at = clock_gettime(SINCE_BOOT);
    Duration::new(
        u64::try_from(at.tv_sec).unwrap_or(0),
        u32::try_from(at.tv_nsec).unwrap_or(0),
    )
}

/// A number nobody can foresee well enough to matter: for ids, jitter and incarnations, not for
/// secrets.
pub fn random() -> u64 {
    fastrand::u64(..)
}

/// As [`random`], twice as wide.
pub(crate) fn random_wide() -> u128 {
    fastrand::u128(..)
}

/// Now, as the runtime's timers see it.
#[expect(clippy::disallowed_methods, reason = "the proxy's clock is read here")]
pub(crate) fn runtime_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_order_on_the_runtimes_timers() {
        let clock = Clock::start();
        let now = clock.mono();
        let [soon, late] = [60, 120].map(|seconds| now.after(Duration::from_secs(seconds)));
        assert!(clock.instant(Mono::default()) < clock.instant(soon));
        assert!(clock.instant(soon) < clock.instant(late));
        assert!(clock.instant(late) < clock.instant(Mono::from_nanos(u64::MAX)));
    }
}
