//! The machine that leaves a failing target alone for a while.
//!
//! Rules it keeps:
//! - It opens after so many failures in a row, or when their share of the calls of a window is too
//!   large; at once where a provider says how long it wants to be left alone.
//! - Open, it lets nobody pass. Then a single call tries the target: if that is answered the breaker
//!   closes, if it fails it stays open for twice as long, up to a bound.
//! - A trial that never ends (its caller left) is followed by another one.
//! - Only failures of the target count, not those of the request.

use std::time::Duration;

use super::failure::{Failure, Refusal};
use crate::limits::{BREAKER_SLOTS, RETRY_AFTER_SAME_MODEL};
use crate::policy::BreakerSettings;
use crate::time::Mono;

/// What a target's calls have come to lately.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: State,
    failures_in_row: u32,
    /// Times it opened since it was last closed.
    openings: u32,
    slots: [Slot; BREAKER_SLOTS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Mono,
    },
    /// One call tries the target; if nothing is heard of it until then, the next one does.
    Trying {
        until: Mono,
    },
}

/// A part of the window.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: u64,
    calls: u32,
    failures: u32,
}

/// How much a failure says against its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Nothing: the request was at fault, or its time was up.
    None,
    /// It counts.
    One,
    /// It is to be left alone for this long.
    Alone(Duration),
}

impl Breaker {
    /// Whether a call may begin. One that may, and finds the breaker open, is the trial.
    pub fn admits(&mut self, settings: &BreakerSettings, now: Mono) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } | State::Trying { until } if now < until => false,
            State::Open { .. } | State::Trying { .. } => {
                self.state = State::Trying {
                    until: now.after(settings.open),
                };
                true
            }
        }
    }

    /// Whether calls are kept away, apart from trials.
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// A call was answered.
    pub fn answered(&mut self, settings: &BreakerSettings, now: Mono) {
        if self.is_open() {
            *self = Self::default();
        }
        self.failures_in_row = 0;
        self.count(settings, now, 0);
    }

    /// A call failed. True if that opened the breaker.
    pub fn failed(&mut self, failure: Failure, settings: &BreakerSettings, now: Mono) -> bool {
        let alone = match weight(failure) {
            Weight::None => {
                // The target understood the request and said so: it lives.
                if matches!(self.state, State::Trying { .. }) {
                    self.answered(settings, now);
                }
                return false;
            }
            Weight::One => Duration::ZERO,
            Weight::Alone(wait) => wait,
        };
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        let (calls, failures) = self.count(settings, now, 1);
        let too_many = self.failures_in_row >= settings.consecutive_failures;
        let share = u64::from(failures).saturating_mul(100);
        let bound = u64::from(calls).saturating_mul(u64::from(settings.error_percent));
        let too_often = calls >= settings.min_requests && share >= bound;
        match self.state {
            // Calls that began before it opened say nothing new.
            State::Open { .. } => false,
            State::Closed if !too_many && !too_often && alone.is_zero() => false,
            State::Closed | State::Trying { .. } => {
                let doubled = 1_u32.checked_shl(self.openings).unwrap_or(u32::MAX);
                let wait = settings.open.saturating_mul(doubled).max(alone);
                self.openings = self.openings.saturating_add(1);
                self.state = State::Open {
                    until: now.after(wait.min(settings.max_open)),
                };
                true
            }
        }
    }

    /// Counts a call, and says how many there were in the window and how many of them failed.
    fn count(&mut self, settings: &BreakerSettings, now: Mono, failures: u32) -> (u32, u32) {
        let slots = u64::try_from(BREAKER_SLOTS).unwrap_or(u64::MAX);
        let window = u64::try_from(settings.window.as_nanos()).unwrap_or(u64::MAX);
        let length = window.checked_div(slots).unwrap_or(window).max(1);
        let number = now.as_nanos().checked_div(length).unwrap_or(0);
        let place = number.checked_rem(slots).unwrap_or(0);
        let place = usize::try_from(place).unwrap_or(0);
        if let Some(slot) = self.slots.get_mut(place) {
            if slot.number != number {
                *slot = Slot {
                    number,
                    ..Slot::default()
                };
            }
            slot.calls = slot.calls.saturating_add(1);
            slot.failures = slot.failures.saturating_add(failures);
        }
        let oldest = number.saturating_sub(slots.saturating_sub(1));
        let within = |slot: &&Slot| slot.number >= oldest && slot.number <= number;
        self.slots
            .iter()
            .filter(within)
            .fold((0, 0), |(calls, failures): (u32, u32), slot| {
                (
                    calls.saturating_add(slot.calls),
                    failures.saturating_add(slot.failures),
                )
            })
    }
}

fn weight(failure: Failure) -> Weight {
    match failure {
        Failure::Deadline => Weight::None,
        Failure::Connect
        | Failure::Reset
        | Failure::FirstTokenTimeout
        | Failure::IdleTimeout
        | Failure::Truncated
        | Failure::Malformed
        | Failure::TooLarge => Weight::One,
        Failure::Refused {
            status,
            refusal,
            retry_after,
        } => match refusal {
            Refusal::Request | Refusal::ContentFilter | Refusal::ContextLength => Weight::None,
            Refusal::Unavailable if status == 409 => Weight::None,
            Refusal::RateLimited | Refusal::Unavailable => match retry_after {
                Some(wait) if wait > RETRY_AFTER_SAME_MODEL => Weight::Alone(wait),
                _ => Weight::One,
            },
            Refusal::QuotaExhausted | Refusal::Credentials | Refusal::ModelMissing => Weight::One,
        },
    }
}

#[cfg(test)]
mod tests;
