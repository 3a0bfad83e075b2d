//! Counts what happened within a window, without a lock.
//!
//! The window is cut into slots, each an atomic number, so that who counts waits for nobody. Counts
//! that fall on the turn of a slot may be lost or late by one: what is decided by them needs no more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::TALLY_SLOTS;
use crate::time::Mono;

/// Bits of a slot that count; the others say which part of time it is of.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const NUMBER_MASK: u64 = (1 << (u64::BITS - COUNT_BITS)) - 1;

/// Events of a window that moves on.
#[derive(Debug, Default)]
pub struct Tally {
    slots: [AtomicU64; TALLY_SLOTS],
}

impl Tally {
    /// Counts one.
    pub fn count(&self, window: Duration, now: Mono) {
        let number = number(window, now);
        let slots = u64::try_from(TALLY_SLOTS).unwrap_or(u64::MAX);
        let place = usize::try_from(number.checked_rem(slots).unwrap_or(0)).unwrap_or(0);
        let Some(slot) = self.slots.get(place) else {
            return;
        };
        let counted = |held: u64| {
            let is_current = held >> COUNT_BITS == number;
            let before = if is_current { held & COUNT_MASK } else { 0 };
            let count = before.saturating_add(1).min(COUNT_MASK);
            Some((number << COUNT_BITS) | count)
        };
        // The closure always gives a value, so this cannot fail.
        let _before = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    /// How many there were.
    pub fn within(&self, window: Duration, now: Mono) -> u32 {
        let newest = number(window, now);
        let slots = u64::try_from(TALLY_SLOTS).unwrap_or(u64::MAX);
        let oldest = newest.saturating_sub(slots.saturating_sub(1));
        let counts = self.slots.iter().filter_map(|slot| {
            let held = slot.load(Ordering::Relaxed);
            let within = (oldest..=newest).contains(&(held >> COUNT_BITS));
            within.then_some(held & COUNT_MASK)
        });
        u32::try_from(counts.fold(0, u64::saturating_add)).unwrap_or(u32::MAX)
    }
}

/// Which part of time it is, never the zeroth, which is that of a slot that counted nothing.
fn number(window: Duration, now: Mono) -> u64 {
    let slots = u64::try_from(TALLY_SLOTS).unwrap_or(u64::MAX);
    let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
    let length = window.checked_div(slots).unwrap_or(window).max(1);
    let number = now.as_nanos().checked_div(length).unwrap_or(0);
    number.saturating_add(1) & NUMBER_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let tally = Tally::default();
        assert_eq!(tally.within(WINDOW, at(0)), 0);
        for second in 0..10 {
            tally.count(WINDOW, at(second * 1_000));
            tally.count(WINDOW, at(second * 1_000 + 999));
        }
        assert_eq!(tally.within(WINDOW, at(9_999)), 20);
        assert_eq!(tally.within(WINDOW, at(10_000)), 18);
        tally.count(WINDOW, at(10_000));
        assert_eq!(tally.within(WINDOW, at(10_000)), 19);
        assert_eq!(tally.within(WINDOW, at(60_000)), 0);
    }

    #[test]
    fn nothing_is_lost_when_many_count_at_once() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        tally.count(WINDOW, at(5));
                    }
                });
            }
        });
        assert_eq!(tally.within(WINDOW, at(6)), 4_000);
    }
}
