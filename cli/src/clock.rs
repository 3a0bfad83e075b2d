//! The only place of this crate that reads clocks.

use std::time::Instant;

use jiff::Timestamp;

/// The moment on a clock that never goes back, to measure how long something took.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is where clocks are read"
)]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock, to show ages.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is where clocks are read"
)]
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}
