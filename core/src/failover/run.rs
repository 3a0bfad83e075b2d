//! The machine that decides the attempts of one request.

use std::time::Duration;

use super::failure::{Failure, Refusal};
use crate::backoff::full_jitter;
use crate::limits::{ATTEMPTS, RETRY_AFTER_SAME_MODEL, RETRY_FIRST, RETRY_LONGEST};
use crate::policy::FailoverSettings;
use crate::time::Mono;
use crate::units::Tokens;

/// What the decision needs to know of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target {
    /// Tokens that fit in one request and its answer, if known.
    pub context_window: Option<Tokens>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Try this target, not before `not_before`.
    Attempt {
        /// Its place: 0 is the asked model, then the chain.
        target: usize,
        /// When it may begin.
        not_before: Mono,
    },
    /// Give up.
    Stop(Stop),
}

/// Why a request is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The last failure is the caller's own and no other target would heal it.
    CallerFault,
    /// No target is left.
    Exhausted,
    /// Targets are left, but `max_retries` is used up.
    RetriesUsed,
    /// The deadline has passed.
    Deadline,
    /// Targets are left, but too many further attempts of other requests failed
    /// ([`RetryBudget`](super::RetryBudget)).
    RetryBudget,
}

/// The attempts of one request.
#[derive(Debug, Clone)]
pub struct Run {
    targets: usize,
    current: usize,
    retries_left: u32,
    same_model_retries: u32,
    same_model_left: u32,
    attempts: usize,
    deadline: Mono,
    /// The window that was too small; only larger ones are tried from then on.
    outgrown: Option<Tokens>,
}

/// What a failure allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The same model, after at least this long, or else the next.
    Same(Duration),
    /// The next model.
    Next,
    /// The next model with a larger context.
    Larger,
    /// Nothing.
    Stop(Stop),
}

impl Run {
    /// The decision over `targets` (at least one, the asked model first), to end by `deadline`.
    pub fn new(targets: usize, settings: &FailoverSettings, deadline: Mono) -> Self {
        let further = u32::try_from(targets.saturating_sub(1)).unwrap_or(u32::MAX);
        Self {
            targets,
            current: 0,
            retries_left: settings.max_retries.unwrap_or(further),
            same_model_retries: settings.same_model_retries,
            same_model_left: settings.same_model_retries,
            attempts: 0,
            deadline,
            outgrown: None,
        }
    }

    /// The first step.
    pub fn start(&mut self, now: Mono) -> Step {
        self.attempt(now, now)
    }

    /// The step after the attempt that [`Step::Attempt`] asked for has failed. `random` spreads
    /// the waits.
    pub fn failed(&mut self, failure: Failure, targets: &[Target], now: Mono, random: u64) -> Step {
        match self.verdict(failure) {
            Verdict::Stop(stop) => Step::Stop(stop),
            Verdict::Next => self.next_target(targets, now),
            Verdict::Larger => {
                let window = targets
                    .get(self.current)
                    .and_then(|target| target.context_window);
                self.outgrown = Some(window.unwrap_or(Tokens::ZERO));
                match self.next_target(targets, now) {
                    Step::Stop(Stop::Exhausted) => Step::Stop(Stop::CallerFault),
                    step => step,
                }
            }
            Verdict::Same(at_least) => {
                let not_before = now.after(at_least.saturating_add(self.pause(random)));
                if self.same_model_left == 0 || not_before >= self.deadline {
                    return self.next_target(targets, now);
                }
                self.same_model_left = self.same_model_left.saturating_sub(1);
                self.attempt(not_before, now)
            }
        }
    }

    /// The step after the target of the last step turned out unable to serve the request.
    pub fn skipped(&mut self, targets: &[Target], now: Mono) -> Step {
        self.attempts = self.attempts.saturating_sub(1);
        self.retries_left = self.retries_left.saturating_add(1);
        self.next_target(targets, now)
    }

    /// Whether the current target is not the asked model.
    pub const fn on_fallback(&self) -> bool {
        self.current > 0
    }

    /// When the request ends at the latest.
    pub const fn deadline(&self) -> Mono {
        self.deadline
    }

    fn attempt(&mut self, not_before: Mono, now: Mono) -> Step {
        if now >= self.deadline {
            return Step::Stop(Stop::Deadline);
        }
        if self.attempts >= ATTEMPTS {
            return Step::Stop(Stop::RetriesUsed);
        }
        self.attempts = self.attempts.saturating_add(1);
        Step::Attempt {
            target: self.current,
            not_before,
        }
    }

    fn next_target(&mut self, targets: &[Target], now: Mono) -> Step {
        let larger = |index: &usize| match self.outgrown {
            None => true,
            Some(window) => targets
                .get(*index)
                .and_then(|target| target.context_window)
                .is_some_and(|other| other > window),
        };
        let Some(next) = (self.current.saturating_add(1)..self.targets).find(larger) else {
            return Step::Stop(Stop::Exhausted);
        };
        let Some(left) = self.retries_left.checked_sub(1) else {
            return Step::Stop(Stop::RetriesUsed);
        };
        self.retries_left = left;
        self.current = next;
        self.same_model_left = self.same_model_retries;
        self.attempt(now, now)
    }

    fn pause(&self, random: u64) -> Duration {
        let retry = self.same_model_retries.saturating_sub(self.same_model_left);
        full_jitter(RETRY_FIRST, RETRY_LONGEST, retry, random)
    }

    fn verdict(&self, failure: Failure) -> Verdict {
        match failure {
            Failure::Reset => Verdict::Same(Duration::ZERO),
            Failure::Connect
            | Failure::FirstTokenTimeout
            | Failure::IdleTimeout
            | Failure::TooSlow
            | Failure::Truncated
            | Failure::Malformed
            | Failure::TooLarge => Verdict::Next,
            Failure::Deadline => Verdict::Stop(Stop::Deadline),
            Failure::Refused {
                status,
                refusal,
                retry_after,
            } => self.refused(status, refusal, retry_after),
        }
    }

    fn refused(&self, status: u16, refusal: Refusal, retry_after: Option<Duration>) -> Verdict {
        match refusal {
            Refusal::RateLimited => match retry_after {
                Some(wait) if wait <= RETRY_AFTER_SAME_MODEL => Verdict::Same(wait),
                _ => Verdict::Next,
            },
            Refusal::Unavailable => match (status, retry_after) {
                (500 | 502, None) => Verdict::Same(Duration::ZERO),
                (500 | 502, Some(wait)) if wait <= RETRY_AFTER_SAME_MODEL => Verdict::Same(wait),
                _ => Verdict::Next,
            },
            Refusal::QuotaExhausted | Refusal::Credentials | Refusal::ModelMissing => Verdict::Next,
            Refusal::ContextLength => Verdict::Larger,
            Refusal::Request if self.on_fallback() => Verdict::Next,
            Refusal::Request | Refusal::ContentFilter => Verdict::Stop(Stop::CallerFault),
        }
    }
}

#[cfg(test)]
mod tests;
