//! The only place of this crate that reads clocks.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agix_core::ledger::ClockMark;
use agix_core::time::{Mono, Wall};
use rustix::time::{ClockId, clock_gettime};

/// The clock that goes on while the machine sleeps.
#[cfg(target_os = "linux")]
const SINCE_BOOT: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: ClockId = ClockId::Monotonic;

/// Names this start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// A process in a time namespace of its own counts from another origin.
const TIME_NAMESPACE: &str = "/proc/self/ns/time";

/// The clocks of this process. Cheap to copy; all copies share one origin.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    boot: u128,
}

impl Clock {
    /// A clock whose origin is now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is where clocks are read"
    )]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            boot: boot(),
        }
    }

    /// Time since the machine was started, its sleep included.
    pub fn since_boot(&self) -> Duration {
        let at = clock_gettime(SINCE_BOOT);
        Duration::new(
            u64::try_from(at.tv_sec).unwrap_or(0),
            u32::try_from(at.tv_nsec).unwrap_or(0),
        )
    }

    /// Where the clocks are, for the next owner of a ledger.
    pub fn mark(&self) -> ClockMark {
        ClockMark {
            wall: self.wall(),
            boot: self.boot,
            since_boot: u64::try_from(self.since_boot().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Time since the origin; never goes back.
    pub fn mono(&self) -> Mono {
        Mono::default().after(self.origin.elapsed())
    }

    /// The moment `at` of [`Clock::mono`], for a timer to sleep until.
    pub fn instant(&self, at: Mono) -> Option<Instant> {
        self.origin.checked_add(at.since(Mono::default()))
    }

    /// The wall clock, for records and people. A clock before 1970 reads as 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is where clocks are read"
    )]
    pub fn wall(&self) -> Wall {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Wall::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Names this start of the machine, and what origin its clock has for this process; 0 if that is
/// not known.
fn boot() -> u128 {
    let Ok(text) = fs::read_to_string(BOOT_ID) else {
        return 0;
    };
    let digits = text.trim().replace('-', "");
    let Ok(boot) = u128::from_str_radix(&digits, 16) else {
        return 0;
    };
    // Kernels without time namespaces have one origin for all.
    let namespace = fs::metadata(TIME_NAMESPACE).map_or(0, |file| file.ino());
    boot ^ u128::from(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clocks_of_one_machine_agree_on_its_start() {
        let (one, other) = (Clock::start(), Clock::start());
        let (first, second) = (one.mark(), other.mark());
        assert_eq!(first.boot, second.boot);
        assert!(first.since_boot > 0 && first.since_boot <= second.since_boot);
    }
}
