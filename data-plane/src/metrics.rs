//! Counters for `/metrics`.
//!
//! Labels name only what the policy or the price catalogue knows; everything else is counted as
//! `other`, so that strangers cannot grow the number of series. Requests count through handles
//! kept in their plan and never look a label up.

mod agents;
mod gen_ai;
mod watch;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use agix_core::id::{ModelName, ProviderName, Revision};
use agix_core::lease;
use agix_core::time::Mono;
use agix_core::units::NanoUsd;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use agents::{AgentCounters, AgentMetrics};
pub(crate) use gen_ai::{Answered, CallMetrics, GenAiMetrics};
pub(crate) use watch::{AuditMetrics, TraceMetrics};

/// A counter of dollars.
type Dollars = Counter<f64, AtomicU64>;

const OTHER: &str = "other";

const DURATION_BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 20.48, 81.92, 327.68, 655.36,
];
const OVERHEAD_BUCKETS: [f64; 10] = [
    0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelOutcome {
    model: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabel {
    model: String,
    provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptFailure {
    model: String,
    provider: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailoverReason {
    model: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabel {
    model: String,
    provider: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AdmissionOutcome {
    outcome: &'static str,
}

/// Counters of limits and budgets.
#[derive(Debug, Clone)]
pub(crate) struct QuotaMetrics {
    admissions: Family<AdmissionOutcome, Counter>,
    /// Requests of agents that nothing limits.
    pub(crate) unlimited: Counter,
    /// Requests for which everything was at hand.
    pub(crate) at_hand: Counter,
    /// Requests that waited for the ledger and were let in.
    pub(crate) waited: Counter,
    pub(crate) parked: Gauge,
    pub(crate) ledger_connected: Gauge,
    pub(crate) streams_ended: Counter,
    overruns: Counter,
    overrun_usd: Dollars,
}

/// All counters of a proxy.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<ModelOutcome, Counter>,
    attempts: Family<TargetLabel, Counter>,
    attempt_failures: Family<AttemptFailure, Counter>,
    failovers: Family<TargetLabel, Counter>,
    tokens: Family<TokenLabel, Counter>,
    cost: Family<TargetLabel, Dollars>,
    unpriced: Family<TargetLabel, Counter>,
    breaker_open: Family<TargetLabel, Gauge>,
    refusals: Family<Refusal, Counter>,
    /// Requests that made no further attempt because too many of others failed.
    pub(crate) retries_withheld: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) total: Counter,
    pub(crate) duration: Histogram,
    pub(crate) overhead: Histogram,
    pub(crate) revision: Gauge,
    pub(crate) control_plane_connected: Gauge,
    pub(crate) revisions_refused: Counter,
    pub(crate) quota: QuotaMetrics,
    pub(crate) traces: TraceMetrics,
    pub(crate) audit: AuditMetrics,
    pub(crate) agents: AgentMetrics,
    /// Under names that are not agix's own.
    pub(crate) gen_ai: GenAiMetrics,
    named_elsewhere: Registry,
    failover_reasons: Family<FailoverReason, Counter>,
    first_token: Family<TargetLabel, Histogram, fn() -> Histogram>,
    age: Gauge,
    /// When the policy was put in force, in nanoseconds of the proxy's clock.
    in_force_since: AtomicU64,
}

/// Counters of one asked model.
#[derive(Debug, Clone)]
pub(crate) struct ModelMetrics {
    pub(crate) answered: Counter,
    pub(crate) failed: Counter,
    pub(crate) refused: Counter,
    pub(crate) left: Counter,
    /// How the model is called here.
    pub(crate) model: String,
}

/// Counters of one target.
#[derive(Debug, Clone)]
pub(crate) struct TargetMetrics {
    pub(crate) attempts: Counter,
    /// Answers this target gave in place of the asked model.
    pub(crate) failovers: Counter,
    pub(crate) input_tokens: Counter,
    pub(crate) output_tokens: Counter,
    pub(crate) cost: Dollars,
    pub(crate) unpriced: Counter,
    /// 1 while the target is left alone.
    pub(crate) breaker_open: Gauge,
    /// Time to the first content of a stream.
    pub(crate) first_token: Histogram,
    chats: OnceLock<CallMetrics>,
    embeddings: OnceLock<CallMetrics>,
    counts: OnceLock<CallMetrics>,
    model: String,
    provider: String,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All counters at zero, registered under their names.
    pub(crate) fn new() -> Self {
        let mut named_elsewhere = Registry::default();
        let metrics = Self {
            gen_ai: GenAiMetrics::registered(&mut named_elsewhere),
            named_elsewhere,
            agents: AgentMetrics::default(),
            failover_reasons: Family::default(),
            first_token: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            age: Gauge::default(),
            in_force_since: AtomicU64::new(0),
            registry: Registry::with_prefix("agix"),
            requests: Family::default(),
            attempts: Family::default(),
            attempt_failures: Family::default(),
            failovers: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            unpriced: Family::default(),
            breaker_open: Family::default(),
            refusals: Family::default(),
            retries_withheld: Counter::default(),
            in_flight: Gauge::default(),
            total: Counter::default(),
            duration: Histogram::new(DURATION_BUCKETS),
            overhead: Histogram::new(OVERHEAD_BUCKETS),
            revision: Gauge::default(),
            control_plane_connected: Gauge::default(),
            revisions_refused: Counter::default(),
            quota: QuotaMetrics::new(),
            traces: TraceMetrics::new(),
            audit: AuditMetrics::new(),
        };
        metrics.registered()
    }

    fn register_attempts(&mut self) {
        let r = &mut self.registry;
        r.register(
            "failover_reasons",
            "Answers given by a fallback, by asked model and why the last one before it failed",
            self.failover_reasons.clone(),
        );
        r.register_with_unit(
            "time_to_first_token",
            "Time from a request's head to the first content of its stream",
            Unit::Seconds,
            self.first_token.clone(),
        );
        r.register_with_unit(
            "policy_age",
            "Time since the policy in use was put in force here",
            Unit::Seconds,
            self.age.clone(),
        );
        r.register("attempts", "Calls of providers", self.attempts.clone());
        r.register(
            "attempt_failures",
            "Calls of providers that failed, by reason",
            self.attempt_failures.clone(),
        );
        r.register(
            "breaker_open",
            "1 while a target fails too much and is left alone",
            self.breaker_open.clone(),
        );
        r.register(
            "retries_withheld",
            "Requests that made no further attempt because too many of others failed",
            self.retries_withheld.clone(),
        );
    }

    fn registered(mut self) -> Self {
        self.register_attempts();
        let r = &mut self.registry;
        r.register(
            "requests",
            "Finished requests by asked model",
            self.requests.clone(),
        );
        r.register(
            "failovers",
            "Answers given by a fallback, by the model that answered",
            self.failovers.clone(),
        );
        r.register("tokens", "Tokens billed", self.tokens.clone());
        r.register(
            "cost_usd",
            "Cost of finished requests in dollars",
            self.cost.clone(),
        );
        r.register(
            "unpriced_requests",
            "Finished requests whose cost nobody knows",
            self.unpriced.clone(),
        );
        r.register(
            "refusals",
            "Requests refused by the proxy itself",
            self.refusals.clone(),
        );
        r.register(
            "in_flight",
            "Requests being answered",
            self.in_flight.clone(),
        );
        r.register("accepted_requests", "Requests accepted", self.total.clone());
        r.register_with_unit(
            "request_duration",
            "Time from the end of a request's head to the end of its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        r.register_with_unit(
            "overhead",
            "Time of a request that was not spent waiting for a provider or the caller",
            Unit::Seconds,
            self.overhead.clone(),
        );
        r.register(
            "policy_revision",
            "Policy revision in use",
            self.revision.clone(),
        );
        r.register(
            "control_plane_connected",
            "Whether the policy stream is up",
            self.control_plane_connected.clone(),
        );
        r.register(
            "policy_revisions_refused",
            "Policy revisions this proxy refused",
            self.revisions_refused.clone(),
        );
        self.quota.register(r);
        self.traces.register(r);
        self.audit.register(r);
        self.agents.register(r);
        self
    }

    /// The text that `/metrics` answers.
    pub(crate) fn text(&self, now: Mono) -> Result<String, fmt::Error> {
        let since = Mono::from_nanos(self.in_force_since.load(Ordering::Relaxed));
        let age = now.since(since).as_secs();
        self.age.set(i64::try_from(age).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &self.named_elsewhere)?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// A policy was put in force.
    pub(crate) fn in_force(&self, revision: Revision, now: Mono) {
        let number = i64::try_from(revision.number()).unwrap_or(i64::MAX);
        self.revision.set(number);
        self.in_force_since.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Counts an answer of a fallback by what led to it.
    pub(crate) fn failed_over(&self, asked: &ModelMetrics, reason: &'static str) {
        let model = asked.model.clone();
        let label = FailoverReason { model, reason };
        self.failover_reasons.get_or_create(&label).inc();
    }

    /// The counters of an asked model.
    pub(crate) fn model(&self, model: &ModelName, known: bool) -> ModelMetrics {
        let counter = |outcome| {
            let label = ModelOutcome {
                model: label(model, known),
                outcome,
            };
            self.requests.get_or_create(&label).clone()
        };
        ModelMetrics {
            answered: counter("answered"),
            failed: counter("failed"),
            refused: counter("refused"),
            left: counter("caller_left"),
            model: label(model, known),
        }
    }

    /// The counters of a target.
    pub(crate) fn target(
        &self,
        model: &ModelName,
        provider: &ProviderName,
        known: bool,
    ) -> TargetMetrics {
        let label = TargetLabel {
            model: label(model, known),
            provider: provider.to_string(),
        };
        let tokens = |kind| {
            let TargetLabel { model, provider } = label.clone();
            self.tokens
                .get_or_create(&TokenLabel {
                    model,
                    provider,
                    kind,
                })
                .clone()
        };
        TargetMetrics {
            attempts: self.attempts.get_or_create(&label).clone(),
            failovers: self.failovers.get_or_create(&label).clone(),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
            cost: self.cost.get_or_create(&label).clone(),
            unpriced: self.unpriced.get_or_create(&label).clone(),
            breaker_open: self.breaker_open.get_or_create(&label).clone(),
            first_token: self.first_token.get_or_create(&label).clone(),
            chats: OnceLock::new(),
            embeddings: OnceLock::new(),
            counts: OnceLock::new(),
            model: label.model,
            provider: label.provider,
        }
    }

    /// Counts a failed call.
    pub(crate) fn attempt_failed(&self, target: &TargetMetrics, reason: &'static str) {
        let label = AttemptFailure {
            model: target.model.clone(),
            provider: target.provider.clone(),
            reason,
        };
        self.attempt_failures.get_or_create(&label).inc();
    }

    /// Counts a request that the proxy refused itself.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Refusal { reason }).inc();
    }
}

impl TargetMetrics {
    /// Those under the names of the conventions.
    pub(crate) fn calls(&self, operation: &'static str, all: &GenAiMetrics) -> &CallMetrics {
        let kept = match operation {
            "chat" => &self.chats,
            "embeddings" => &self.embeddings,
            _ => &self.counts,
        };
        kept.get_or_init(|| all.of(operation, &self.provider, &self.model))
    }
}

impl QuotaMetrics {
    fn new() -> Self {
        let admissions: Family<AdmissionOutcome, Counter> = Family::default();
        let of = |outcome| {
            let label = AdmissionOutcome { outcome };
            admissions.get_or_create(&label).clone()
        };
        Self {
            unlimited: of("unlimited"),
            at_hand: of("at_hand"),
            waited: of("waited"),
            parked: Gauge::default(),
            ledger_connected: Gauge::default(),
            streams_ended: Counter::default(),
            overruns: Counter::default(),
            overrun_usd: Counter::default(),
            admissions,
        }
    }

    fn register(&self, r: &mut Registry) {
        r.register(
            "admissions",
            "Requests by how it was decided whether they may begin",
            self.admissions.clone(),
        );
        r.register(
            "waiting_requests",
            "Requests and streams waiting for the ledger",
            self.parked.clone(),
        );
        r.register(
            "ledger_connected",
            "Whether the ledger can be asked",
            self.ledger_connected.clone(),
        );
        r.register(
            "streams_ended_by_budget",
            "Streams ended because their budget was used up",
            self.streams_ended.clone(),
        );
        r.register(
            "overruns",
            "Requests that cost more than was set aside for them",
            self.overruns.clone(),
        );
        r.register(
            "overrun_usd",
            "What they cost beyond that, in dollars",
            self.overrun_usd.clone(),
        );
    }

    /// Counts a request that was not let in.
    pub(crate) fn refused(&self, refused: &lease::Refused) {
        let outcome = match refused {
            lease::Refused::Limit { .. } => "rate_limited",
            lease::Refused::Budget { .. } => "over_budget",
            lease::Refused::Undecided => "undecided",
            lease::Refused::Crowded => "crowded",
        };
        let label = AdmissionOutcome { outcome };
        self.admissions.get_or_create(&label).inc();
    }

    /// Counts a request that cost so much more than was set aside.
    pub(crate) fn overrun(&self, more: NanoUsd) {
        self.overruns.inc();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge for people, not the books"
        )]
        self.overrun_usd.inc_by(more.as_nanos() as f64 / 1e9);
    }
}

fn label(model: &ModelName, known: bool) -> String {
    if known {
        model.as_str().to_owned()
    } else {
        OTHER.to_owned()
    }
}
