//! The only place of the proxy that reads a clock or draws a random number.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agix_core::time::{Mono, Wall};

/// The clocks of one process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose origin is now.
    #[expect(clippy::disallowed_methods, reason = "the proxy's clock is read here")]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The moment on the clock that never goes back.
    #[expect(clippy::disallowed_methods, reason = "the proxy's clock is read here")]
    pub fn mono(&self) -> Mono {
        Mono::default().after(Instant::now().saturating_duration_since(self.origin))
    }

    /// The runtime's instant of a moment, to sleep until.
    pub fn instant(&self, at: Mono) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + at.since(Mono::default()))
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
