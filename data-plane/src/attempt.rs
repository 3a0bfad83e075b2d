//! The attempts of one request: carries out what `agix_core::failover` decides.
//!
//! Rules this module keeps:
//! - A whole answer is read and understood, and of a stream the first event, before the caller is
//!   sent a status: until then any fault may still lead to the next target.
//! - Every attempt, and every target that was passed over, is reported with its reason.

mod once;
mod report;

use std::sync::Arc;

use agix_core::failover::{Failure, Run, Step, Stop};
use agix_core::id::AgentName;
use agix_core::time::Mono;

use crate::clock;
use crate::dialect::{Answer, ChatRequest, EmbeddingsRequest};
use crate::plan::{Plan, Target};
use crate::record::Record;
use crate::relay::Opening;
use crate::snapshot::Compiled;
use crate::worker::Worker;

pub(crate) use report::{AttemptReport, Fault, Skip};

/// What the caller asks.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A conversation.
    Chat(ChatRequest),
    /// Embeddings. Never sent to another model: their numbers would mean something else.
    Embeddings(EmbeddingsRequest),
}

/// A request, and what it runs with.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a Arc<Worker>,
    pub(crate) compiled: &'a Arc<Compiled>,
    pub(crate) plan: &'a Arc<Plan>,
    pub(crate) agent: &'a AgentName,
    pub(crate) ask: &'a Ask,
    pub(crate) request_id: &'a str,
    /// When the request must have ended.
    pub(crate) deadline: Mono,
}

/// An answer, and who gave it.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its place in the plan.
    pub(crate) target: usize,
    pub(crate) gain: Gain,
    /// Parameters the target does not know and that were left out.
    pub(crate) dropped: Vec<&'static str>,
}

/// What an attempt gained.
#[derive(Debug)]
pub(crate) enum Gain {
    /// All of the answer.
    Whole(Answer),
    /// The beginning of a stream.
    Stream(Box<Opening>),
}

/// No attempt gave an answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) stop: Stop,
    /// The last failure; absent if no target could be tried.
    pub(crate) last: Option<Fault>,
    pub(crate) attempts: Vec<AttemptReport>,
}

impl Exchange<'_> {
    /// Tries the targets until one answers.
    pub(crate) async fn run(&self, record: &mut Record) -> Result<Answered, Failed> {
        let clock = &self.worker.shared.clock;
        let targets = match self.ask {
            Ask::Chat(_) => self.plan.targets.len(),
            Ask::Embeddings(_) => 1,
        };
        let mut run = Run::new(targets, &self.compiled.policy.failover, self.deadline);
        let mut attempts = Vec::new();
        let mut last = None;
        let mut step = run.start(clock.mono());
        loop {
            let (place, not_before) = match step {
                Step::Attempt { target, not_before } => (target, not_before),
                Step::Stop(stop) => {
                    return Err(Failed {
                        stop,
                        last,
                        attempts,
                    });
                }
            };
            let Some(target) = self.plan.targets.get(place) else {
                return Err(Failed {
                    stop: Stop::Exhausted,
                    last,
                    attempts,
                });
            };
            if let Some(skip) = self.passed_over(place, target) {
                attempts.push(AttemptReport::skipped(target, skip));
                step = run.skipped(&self.plan.facts, clock.mono());
                continue;
            }
            let began = self.wait(not_before).await;
            let outcome = self.once(target).await;
            let ended = clock.mono();
            record.waited = record.waited.saturating_add(ended.since(began));
            match outcome {
                Ok((gain, dropped)) => {
                    record.attempts = record.attempts.saturating_add(1);
                    target.metrics.attempts.inc();
                    return Ok(Answered {
                        target: place,
                        gain,
                        dropped,
                    });
                }
                Err(once::Unanswered::Ineligible(reason)) => {
                    attempts.push(AttemptReport::skipped(target, Skip::Request(reason)));
                    step = run.skipped(&self.plan.facts, ended);
                }
                Err(once::Unanswered::Fault(fault)) => {
                    record.attempts = record.attempts.saturating_add(1);
                    self.note(target, &fault);
                    attempts.push(AttemptReport::failed(target, &fault, ended.since(began)));
                    let failure = self.failure(&fault, ended);
                    step = run.failed(failure, &self.plan.facts, ended, clock::random());
                    last = Some(fault);
                }
            }
        }
    }

    /// Why a target is not even tried.
    fn passed_over(&self, place: usize, target: &Target) -> Option<Skip> {
        if target.provider.lacks_key {
            return Some(Skip::Configuration("its provider's API key is not set"));
        }
        if place == 0 {
            return None;
        }
        let policy = &self.compiled.policy;
        let entry = policy.agents.get(self.agent);
        if entry.is_some_and(|entry| !entry.allows(&target.model)) {
            return Some(Skip::Configuration("the agent may not use this model"));
        }
        if !target.quote.allows(policy.budgets.contains_key(self.agent)) {
            return Some(Skip::Configuration("the model has no known price"));
        }
        let too_dear = Skip::Configuration("dearer than max_cost_ratio allows");
        target.too_dear.then_some(too_dear)
    }

    /// Waits until an attempt may begin, and says when that was.
    async fn wait(&self, not_before: Mono) -> Mono {
        let clock = &self.worker.shared.clock;
        let now = clock.mono();
        if not_before > now {
            tokio::time::sleep_until(clock.instant(not_before)).await;
            return now;
        }
        now
    }

    /// A failure that came because the request's time was up is a failure of its time.
    fn failure(&self, fault: &Fault, now: Mono) -> Failure {
        if now >= self.deadline {
            Failure::Deadline
        } else {
            fault.failure
        }
    }

    fn note(&self, target: &Target, fault: &Fault) {
        let metrics = &self.worker.shared.metrics;
        target.metrics.attempts.inc();
        metrics.attempt_failed(&target.metrics, fault.reason());
        if fault.is_ours() {
            tracing::error!(
                provider = %target.provider.name,
                model = %target.model,
                reason = fault.reason(),
                message = fault.message,
                "a provider refuses our own key or account"
            );
        } else {
            tracing::debug!(
                provider = %target.provider.name,
                model = %target.model,
                reason = fault.reason(),
                message = fault.message,
                "an attempt failed"
            );
        }
    }
}
