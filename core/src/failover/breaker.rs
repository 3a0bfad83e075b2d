//! The machine that leaves a failing target alone for a while.
//!
//! Rules it keeps:
//! - It opens after so many failures in a row, or when their share of the calls of a window is too
//!   large; at once where a provider says how long it wants to be left alone.
//! - Open, it lets nobody pass. Then a single call tries the target: if that is answered the breaker
//!   closes, if it fails it stays open for twice as long, up to a bound.
//! - A trial that never ends (its caller left) is followed by another one.
//! - The pauses are short, since a trial is one call and a provider that is back should be used again
//!   within seconds. They are longer where nobody but a person can help (a key, an account, a model
//!   that is not there), and where the provider says so.
//! - Only failures of the target count, not those of the request.
//! - While the fleet says that the target is left alone, its word decides who tries it, but never before
//!   the time that the provider named or that such a failure needs; when nothing is heard of the fleet,
//!   the own pauses do.
//! - Calls that are answered while all is well need not be told of one by one: whoever carries the
//!   machine counts them, and tells their number when one fails.

use std::time::Duration;

use super::failure::{Failure, Refusal};
use super::tally::Tally;
use crate::limits::{BREAKER_LONGEST, FLEET_WORD, RETRY_AFTER_SAME_MODEL, TRIAL_PAUSE};
use crate::policy::BreakerSettings;
use crate::time::Mono;

/// What a target's calls have come to lately.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
    failures_in_row: u32,
    /// Times it opened since it was last closed.
    openings: u32,
    /// Before then nobody tries it, whatever the fleet says.
    alone_until: Mono,
    failures: Tally,
    /// The fleet's last word.
    word: Option<Heard>,
    /// It is open by the fleet's word alone.
    by_hearsay: bool,
}

/// The fleet leaves the target alone, and its word goes before the own pauses.
#[derive(Debug, Clone, Copy)]
struct Heard {
    until: Mono,
    /// Until when one call may try the target.
    trial: Option<Mono>,
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

/// How much a failure says against its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Nothing: the request was at fault, or its time was up.
    None,
    /// It counts.
    One,
    /// It counts, and does not pass by itself.
    Lasting,
    /// It is to be left alone for this long.
    Alone(Duration),
}

impl Breaker {
    /// Whether a call may begin. One that may, and finds the breaker open, is the trial.
    pub fn admits(&mut self, settings: &BreakerSettings, now: Mono) -> bool {
        if let Some(word) = self.word.as_mut().filter(|word| now < word.until)
            && !matches!(self.state, State::Closed)
        {
            let may_try =
                now >= self.alone_until && word.trial.take().is_some_and(|until| now < until);
            if may_try {
                self.state = State::Trying {
                    until: now.after(settings.open),
                };
            }
            return may_try;
        }
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

    /// What the fleet says: whether the target is left alone, and whether this proxy may try it.
    pub fn told(&mut self, open: bool, trial: bool, settings: &BreakerSettings, now: Mono) {
        if !open {
            self.word = None;
            return;
        }
        if matches!(self.state, State::Closed) {
            self.by_hearsay = true;
            self.state = State::Open {
                until: now.after(settings.open),
            };
        }
        let before = self.word.and_then(|word| word.trial);
        self.word = Some(Heard {
            until: now.after(FLEET_WORD),
            trial: trial.then(|| now.after(TRIAL_PAUSE)).or(before),
        });
    }

    /// How long nobody is to try it, as the provider said or such a failure needs.
    pub fn alone_for(&self, now: Mono) -> Duration {
        self.alone_until.since(now)
    }

    /// A call of another proxy was answered: what was known of the target is of the past.
    pub fn recovered(&mut self) {
        if self.is_open() {
            *self = Self::default();
        }
    }

    /// Whether calls are kept away for what this proxy saw itself.
    pub const fn is_open_by_itself(&self) -> bool {
        self.is_open() && !self.by_hearsay
    }

    /// Whether calls are kept away, apart from trials.
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Whether nothing speaks against the target: an answer would change nothing.
    pub const fn is_untroubled(&self) -> bool {
        matches!(self.state, State::Closed) && self.failures_in_row == 0
    }

    /// A call was answered.
    pub fn answered(&mut self) {
        if self.is_open() {
            *self = Self::default();
        }
        self.failures_in_row = 0;
    }

    /// A call failed; `answered` were answered within the window. True if that opened the breaker.
    pub fn failed(
        &mut self,
        failure: Failure,
        answered: u32,
        settings: &BreakerSettings,
        now: Mono,
    ) -> bool {
        let weight = weight(failure);
        let (alone, longest) = match weight {
            Weight::None => {
                // The target understood the request and said so: it lives.
                if matches!(self.state, State::Trying { .. }) {
                    self.answered();
                }
                return false;
            }
            Weight::One => (Duration::ZERO, settings.max_open),
            Weight::Lasting => (Duration::ZERO, settings.max_open.max(BREAKER_LONGEST)),
            Weight::Alone(wait) => (wait, settings.max_open.max(wait).min(BREAKER_LONGEST)),
        };
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.failures.count(settings.window, now);
        let failures = self.failures.within(settings.window, now);
        let calls = answered.saturating_add(failures);
        let too_many = self.failures_in_row >= settings.consecutive_failures;
        let share = u64::from(failures).saturating_mul(100);
        let bound = u64::from(calls).saturating_mul(u64::from(settings.error_percent));
        let too_often = calls >= settings.min_requests && share >= bound;
        match self.state {
            // Calls that began before it opened say nothing new, but for a later time to come back.
            State::Open { until } => {
                if !alone.is_zero() {
                    let named = now.after(alone.min(longest));
                    self.alone_until = self.alone_until.max(named);
                    self.state = State::Open {
                        until: until.max(named),
                    };
                }
                false
            }
            State::Closed if !too_many && !too_often && alone.is_zero() => false,
            State::Closed | State::Trying { .. } => {
                let doubled = 1_u32.checked_shl(self.openings).unwrap_or(u32::MAX);
                let wait = settings.open.saturating_mul(doubled).max(alone);
                self.openings = self.openings.saturating_add(1);
                self.by_hearsay = false;
                let until = now.after(wait.min(longest));
                if weight != Weight::One {
                    self.alone_until = until;
                }
                self.state = State::Open { until };
                true
            }
        }
    }
}

impl Failure {
    /// Whether the target is to blame, and not the request or its time.
    pub fn is_of_the_target(self) -> bool {
        weight(self) != Weight::None
    }
}

fn weight(failure: Failure) -> Weight {
    match failure {
        Failure::Deadline => Weight::None,
        Failure::Connect
        | Failure::Reset
        | Failure::FirstTokenTimeout
        | Failure::IdleTimeout
        | Failure::TooSlow
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
            Refusal::QuotaExhausted | Refusal::Credentials | Refusal::ModelMissing => {
                Weight::Lasting
            }
        },
    }
}

#[cfg(test)]
mod tests;
