//! The record of a request: made when it is accepted, handed in once, whatever becomes of it.
//!
//! A request whose caller leaves is recorded too: the record is handed in when it is dropped.

use std::sync::Arc;
use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::price::{Quote, cost};
use agix_core::time::{Mono, Wall};
use agix_core::usage::{Cost, PriceSource, Usage, UsageRecord, UsageSource};

use crate::plan::{Plan, Target};
use crate::shared::Shared;
use crate::snapshot::Compiled;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Record {
    shared: Arc<Shared>,
    compiled: Arc<Compiled>,
    plan: Arc<Plan>,
    agent: AgentName,
    request_id: String,
    accepted: Mono,
    accepted_at: Wall,
    pub(crate) attempts: u32,
    /// Time spent waiting for providers and for retries.
    pub(crate) waited: Duration,
    /// The target that answers, and what it billed so far.
    answered: Option<(usize, Bill)>,
    ending: Ending,
}

/// What an answer costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) usage: Usage,
    pub(crate) source: UsageSource,
    pub(crate) cost: Cost,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The caller went before the end. What a record says until it is told otherwise.
    CallerLeft,
    /// With a whole answer.
    Answered,
    /// No provider gave one.
    Failed,
}

impl Bill {
    /// The bill for `usage` at the target's prices.
    pub(crate) fn of(target: &Target, (usage, source): (Usage, UsageSource)) -> Self {
        let cost = match &target.quote {
            Quote::Priced { tariff, source } => match cost(tariff, &usage) {
                Ok(amount) => Cost::Known(amount, *source),
                Err(error) => {
                    tracing::error!(model = %target.model, %error, "a request's cost is unknown");
                    Cost::Unknown
                }
            },
            Quote::Unknown | Quote::Denied => Cost::Unknown,
        };
        Self {
            usage,
            source,
            cost,
        }
    }
}

impl Record {
    /// A record of a request that was just accepted.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        compiled: &Arc<Compiled>,
        plan: &Arc<Plan>,
        agent: AgentName,
        request_id: &str,
        accepted: Mono,
    ) -> Self {
        Self {
            accepted_at: shared.clock.wall(),
            shared: Arc::clone(shared),
            compiled: Arc::clone(compiled),
            plan: Arc::clone(plan),
            agent,
            request_id: request_id.to_owned(),
            accepted,
            attempts: 0,
            waited: Duration::ZERO,
            answered: None,
            ending: Ending::CallerLeft,
        }
    }

    /// Notes what the answering target billed so far.
    pub(crate) fn bill(&mut self, target: usize, bill: Bill) {
        self.answered = Some((target, bill));
    }

    /// Hands the record in.
    pub(crate) fn end(mut self, ending: Ending) {
        self.ending = ending;
    }

    fn count(&self) {
        let metrics = &self.plan.metrics;
        match self.ending {
            Ending::Answered => metrics.answered.inc(),
            Ending::Failed => metrics.failed.inc(),
            Ending::CallerLeft => metrics.left.inc(),
        };
        let lasted = self.shared.clock.mono().since(self.accepted);
        self.shared.metrics.duration.observe(lasted.as_secs_f64());
        let Some((place, bill)) = &self.answered else {
            return;
        };
        let Some(target) = self.plan.targets.get(*place) else {
            return;
        };
        let metrics = &target.metrics;
        if *place > 0 && self.ending == Ending::Answered {
            metrics.failovers.inc();
        }
        metrics.input_tokens.inc_by(bill.usage.total_input().get());
        metrics
            .output_tokens
            .inc_by(bill.usage.total_output().get());
        match bill.cost {
            Cost::Known(amount, _) => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a gauge for people, not the books"
                )]
                metrics.cost.inc_by(amount.as_nanos() as f64 / 1e9);
            }
            Cost::Unknown => {
                metrics.unpriced.inc();
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.count();
        let bill = self.answered.map(|(_, bill)| bill);
        let answered_by = self
            .answered
            .and_then(|(place, _)| self.plan.targets.get(place))
            .map(|target| (target.model.clone(), target.provider.name.clone()));
        self.shared.sink.record(UsageRecord {
            request_id: std::mem::take(&mut self.request_id),
            accepted_at: self.accepted_at,
            agent: self.agent.clone(),
            model_asked: self.plan.asked.clone(),
            answered_by,
            attempts: self.attempts,
            usage: bill.map(|bill| bill.usage).unwrap_or_default(),
            usage_source: bill.map_or(UsageSource::Reported, |bill| bill.source),
            cost: bill.map_or(
                Cost::Known(agix_core::units::NanoUsd::ZERO, PriceSource::Policy),
                |bill| bill.cost,
            ),
            revision: self.compiled.revision,
            caller_left: self.ending == Ending::CallerLeft,
        });
    }
}
