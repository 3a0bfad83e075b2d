//! The only place of this crate that reads clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use agix_core::time::{Mono, Wall};

/// The clocks of this process. Cheap to copy; all copies share one origin.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
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
