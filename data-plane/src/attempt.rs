//! The attempts of one request: carries out what `agix_core::failover` decides.
//!
//! Rules this module keeps:
//! - A whole answer is read and understood, and of a stream the first content, before the caller is
//!   sent a status: until then any fault may still lead to the next target.
//! - Every attempt, and every target that was passed over, is reported with its reason.
//! - Before an attempt begins, the most it can cost is set aside; a target that is too dear for what
//!   is left of the budget is passed over.

mod once;
mod report;

use std::sync::Arc;

use agix_core::failover::{Failure, Run, Step, Stop};
use agix_core::id::{AgentName, ModelName};
use agix_core::lease::Need;
use agix_core::policy::StreamRescue;
use agix_core::time::Mono;
use agix_core::units::Tokens;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::time::timeout_at;

use crate::clock;
use crate::dialect::{Answer, Caller, ChatRequest, EmbeddingsRequest};
use crate::front::reply::Ids;
use crate::plan::{Plan, Target};
use crate::quota::{self, Gate, Reservation};
use crate::record::Record;
use crate::relay::{Held, HoldSettings, Opening};
use crate::snapshot::Compiled;
use crate::trail;
use crate::worker::Worker;

pub(crate) use report::{AttemptReport, Fault, NotAllowed, Skip, words_of};

/// What the caller asks.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A conversation.
    Chat(ChatRequest),
    /// Embeddings. Never sent to another model: their numbers would mean something else.
    Embeddings(EmbeddingsRequest),
    /// How many tokens a conversation has. Asked of its own model alone.
    Tokens(ChatRequest),
}

/// A request, and what it runs with.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a Arc<Worker>,
    pub(crate) compiled: &'a Arc<Compiled>,
    pub(crate) plan: &'a Arc<Plan>,
    pub(crate) agent: &'a AgentName,
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) ask: &'a Ask,
    pub(crate) ids: &'a Ids,
    /// The caller's headers that go to a provider of its own dialect.
    pub(crate) forwarded: &'a HeaderMap,
    /// Targets that a drill says have failed.
    pub(crate) drill: &'a [String],
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
    /// What became of the targets before it.
    pub(crate) before: Vec<AttemptReport>,
}

/// What an attempt gained.
#[derive(Debug)]
pub(crate) enum Gain {
    /// All of the answer.
    Whole(Answer),
    /// The beginning of a stream.
    Stream(Box<Opening>),
    /// All of a stream.
    Held(Held),
}

/// No attempt gave an answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) stop: Stop,
    /// The last failure; absent if no target could be tried.
    pub(crate) last: Option<Fault>,
    pub(crate) attempts: Vec<AttemptReport>,
    /// The last target that limits or budget kept out.
    pub(crate) not_allowed: Option<NotAllowed>,
}

impl Ask {
    /// The request as it came.
    pub(crate) fn body(&self) -> &Bytes {
        match self {
            Self::Chat(chat) | Self::Tokens(chat) => chat.body(),
            Self::Embeddings(ask) => ask.body(),
        }
    }

    /// Bytes of the request.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.body().len()).unwrap_or(u64::MAX)
    }

    /// The most input tokens it can come to.
    fn input_bound(&self) -> Tokens {
        match self {
            Self::Chat(chat) => chat.input_bound(),
            Self::Embeddings(ask) => ask.input_bound(),
            // Counting is not billed.
            Self::Tokens(_) => Tokens::ZERO,
        }
    }

    /// What is asked for, by the conventions for generative AI.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::Chat(chat) => match chat.caller() {
                Caller::Completions => "text_completion",
                Caller::Chat | Caller::Messages | Caller::Responses => "chat",
            },
            Self::Embeddings(_) => "embeddings",
            Self::Tokens(_) => "count_tokens",
        }
    }

    /// Whether the answer is to be a stream.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Chat(chat) if chat.stream())
    }

    /// Whose dialect it is in.
    pub(crate) fn caller(&self) -> Caller {
        match self {
            Self::Chat(chat) | Self::Tokens(chat) => chat.caller(),
            Self::Embeddings(_) => Caller::Chat,
        }
    }

    /// The model asked for.
    pub(crate) fn model(&self) -> &ModelName {
        match self {
            Self::Chat(chat) | Self::Tokens(chat) => chat.model(),
            Self::Embeddings(ask) => ask.model(),
        }
    }
}

/// What becomes of the targets of one request, as they are tried.
#[derive(Debug, Default)]
struct Course {
    last: Option<Fault>,
    attempts: Vec<AttemptReport>,
    not_allowed: Option<NotAllowed>,
}

impl Course {
    fn stopped(self, stop: Stop) -> Failed {
        Failed {
            stop,
            last: self.last,
            attempts: self.attempts,
            not_allowed: self.not_allowed,
        }
    }

    fn skip(&mut self, record: &Record, (place, target): (usize, &Target), skip: &Skip) {
        record.watch(|trail| trail.skipped(place, skip.reason()));
        self.attempts.push(AttemptReport::skipped(target, skip));
    }
}

impl Exchange<'_> {
    /// Tries the targets until one answers.
    pub(crate) async fn run(&self, record: &mut Record) -> Result<Answered, Failed> {
        let clock = &self.worker.shared.clock;
        let settings = &self.compiled.policy.failover;
        let mut run = Run::new(self.targets(), settings, self.deadline);
        let mut course = Course::default();
        let mut step = run.start(clock.mono());
        loop {
            let (place, not_before) = match step {
                Step::Attempt { target, not_before } => (target, not_before),
                Step::Stop(stop) => return Err(course.stopped(stop)),
            };
            let Some(target) = self.plan.targets.get(place) else {
                return Err(course.stopped(Stop::Exhausted));
            };
            if self.is_withheld(&course) {
                course.skip(record, (place, target), &Skip::RetryBudget);
                return Err(course.stopped(Stop::RetryBudget));
            }
            if let Some(skip) = self.passed_over(place, target) {
                course.skip(record, (place, target), &skip);
                step = run.skipped(&self.plan.facts, clock.mono());
                continue;
            }
            let began = self.wait(not_before).await;
            match self.set_aside(target, record).await {
                Ok(reservation) => record.attempt(place, reservation),
                Err(None) => return Err(course.stopped(Stop::Deadline)),
                Err(Some(no)) => {
                    let hopeless = !no.is_about_money() && !record.is_admitted();
                    course.skip(record, (place, target), &Skip::Budget(no.reason()));
                    course.not_allowed = Some(no);
                    if hopeless {
                        return Err(course.stopped(Stop::Exhausted));
                    }
                    step = run.skipped(&self.plan.facts, clock.mono());
                    continue;
                }
            }
            if course.last.is_none() && self.drill.is_empty() {
                self.worker.shared.retry_budget.request(clock.mono());
            }
            let outcome = self.once_held(target, record).await;
            let ended = clock.mono();
            record.waited = record.waited.saturating_add(ended.since(began));
            match outcome {
                Ok((gain, dropped)) => {
                    record.attempt_answered();
                    target.breaker.answered(&settings.breaker, ended);
                    target.metrics.attempts.inc();
                    return Ok(Answered {
                        target: place,
                        gain,
                        dropped,
                        before: course.attempts,
                    });
                }
                Err(once::Unanswered::Ineligible(reason)) => {
                    record.attempt_not_made();
                    course.skip(record, (place, target), &Skip::Request(reason));
                    step = run.skipped(&self.plan.facts, ended);
                }
                Err(once::Unanswered::Fault(fault)) => {
                    let failure = self.note(record, (target, &fault), (began, ended), &mut course);
                    record.attempt_failed(failure, fault.billed.as_deref().copied());
                    step = run.failed(failure, &self.plan.facts, ended, clock::random());
                    course.last = Some(fault);
                }
            }
        }
    }

    /// What tells the provider of the trace, if the policy wants that.
    fn traceparent(&self, record: &Record) -> Option<HeaderValue> {
        if !self.compiled.policy.tracing.propagate {
            return None;
        }
        match record.trail() {
            Some(trail) => trail.traceparent(),
            None => trail::unsampled(self.ids.trace_number()),
        }
    }

    /// One attempt. A stream that is to be held back is read to its end.
    async fn once_held(
        &self,
        target: &Target,
        record: &mut Record,
    ) -> Result<(Gain, Vec<&'static str>), once::Unanswered> {
        if self
            .drill
            .iter()
            .any(|model| model == target.model.as_str())
        {
            return Err(Fault::drilled().into());
        }
        let (gain, dropped) = self.once(target, self.traceparent(record)).await?;
        let opening = match gain {
            Gain::Stream(opening) if self.is_held_back() => opening,
            gain => return Ok((gain, dropped)),
        };
        let settings = HoldSettings {
            tariff: target.tariff(),
            input_bytes: self.ask.bytes(),
            tasks: &self.worker.tasks,
            idle: self.compiled.policy.failover.timeouts.idle,
            min_throughput: self.compiled.policy.failover.min_throughput,
            clock: &self.worker.shared.clock,
            total: self.worker.shared.clock.instant(self.deadline),
        };
        let held = Box::pin(opening.hold(record, settings)).await?;
        Ok((Gain::Held(held), dropped))
    }

    /// Whether the caller sees nothing of the answer before it is whole.
    pub(crate) fn is_held_back(&self) -> bool {
        self.plan.stream_rescue == StreamRescue::Buffer && self.ask.is_stream()
    }

    /// Sets aside what the target can cost at most; the first time with everything else that the
    /// request needs to begin. Nothing if the request's time is up before that is decided.
    async fn set_aside(
        &self,
        target: &Target,
        record: &mut Record,
    ) -> Result<Reservation, Option<NotAllowed>> {
        if !self.gate.is_limited() {
            if !record.is_admitted() {
                record.admitted(self.gate.let_in());
            }
            return Ok(Reservation::NONE);
        }
        let bounds = quota::most(self.ask, self.ask.input_bound(), target);
        let first = quota::first_step(self.ask, bounds, target);
        let needed = quota::price(target.tariff(), &first);
        let lost = record.lost();
        let decided = async {
            if let Some(pass) = record.pass_mut() {
                return pass.hold(needed, lost).await;
            }
            let tokens = bounds.input.saturating_add(bounds.output).get();
            let need = Need {
                tokens,
                money: needed,
            };
            record.admitted(self.gate.enter(need).await?);
            Ok(())
        };
        let until = self.worker.shared.clock.instant(self.deadline);
        match timeout_at(until, decided).await {
            Ok(Ok(())) => Ok(Reservation { bounds, first }),
            Ok(Err(refused)) => Err(Some(NotAllowed { refused, needed })),
            Err(_elapsed) => Err(None),
        }
    }

    /// Whether the request may make no further attempt, since too many of others failed too.
    fn is_withheld(&self, course: &Course) -> bool {
        let shared = &self.worker.shared;
        let settings = self.compiled.policy.failover.retry_budget;
        // One that failed by its own fault says nothing of how providers are.
        let failed = course.last.as_ref().map(|fault| fault.failure);
        let withheld = failed.is_some_and(Failure::is_of_the_target)
            && !shared.retry_budget.allows(settings, shared.clock.mono());
        if withheld {
            shared.metrics.retries_withheld.inc();
        }
        withheld
    }

    /// Why a target is not even tried.
    fn passed_over(&self, place: usize, target: &Target) -> Option<Skip> {
        self.kept_out(place, target)
            .or_else(|| self.left_alone(place, target))
    }

    /// Why the policy keeps a target out.
    fn kept_out(&self, place: usize, target: &Target) -> Option<Skip> {
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

    /// The targets that this request may go to: what is about one model goes to no other.
    fn targets(&self) -> usize {
        match self.ask {
            Ask::Chat(_) => self.plan.targets.len(),
            Ask::Embeddings(_) | Ask::Tokens(_) => 1,
        }
    }

    /// Whether the target fails too much to be asked now. The last one of a chain is asked all the
    /// same: what may fail is better than an error for certain.
    fn left_alone(&self, place: usize, target: &Target) -> Option<Skip> {
        let settings = &self.compiled.policy.failover.breaker;
        let is_last = place.saturating_add(1) >= self.targets();
        let now = self.worker.shared.clock.mono();
        (!is_last && !target.breaker.admits(settings, now)).then_some(Skip::LeftAlone)
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

    /// Notes a failed attempt wherever it counts, and says what it was.
    fn note(
        &self,
        record: &mut Record,
        (target, fault): (&Target, &Fault),
        (began, ended): (Mono, Mono),
        course: &mut Course,
    ) -> Failure {
        record.fault(fault);
        let shared = &self.worker.shared;
        let failure = self.failure(fault, ended);
        let report = AttemptReport::failed(target, fault, ended.since(began));
        course.attempts.push(report);
        if fault.is_drill {
            return failure;
        }
        target.metrics.attempts.inc();
        shared
            .metrics
            .attempt_failed(&target.metrics, fault.reason());
        self.log(target, fault);
        let settings = &self.compiled.policy.failover.breaker;
        if target.breaker.failed(failure, settings, ended) {
            tracing::warn!(
                provider = %target.provider.name,
                model = %target.model,
                request = self.ids.request(),
                "a target fails too much and is left alone for a while"
            );
        }
        if course.last.is_some() {
            shared.retry_budget.failed(failure, ended);
        }
        failure
    }

    fn log(&self, target: &Target, fault: &Fault) {
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
                request = self.ids.request(),
                reason = fault.reason(),
                message = fault.message,
                "an attempt failed"
            );
        }
    }
}
