//! The record of a request: made when it is accepted, handed in once, whatever becomes of it.
//!
//! A request whose caller leaves is recorded and settled too: that is done when the record is
//! dropped. Nobody knows what a provider bills for a call that was given up, so of a stream what
//! passed is billed, and of a call that had said nothing yet all that was set aside.

use std::sync::Arc;
use std::time::Duration;

use agix_core::failover::Failure;
use agix_core::id::AgentName;
use agix_core::price::{Quote, cost};
use agix_core::time::{Mono, Wall};
use agix_core::units::NanoUsd;
use agix_core::usage::{Cost, PriceSource, Usage, UsageRecord, UsageSource};

use crate::attempt::{Ask, Fault};
use crate::dialect;
use crate::metrics::Answered;
use crate::plan::{Plan, Target};
use crate::quota::{Charge, Pass, Reservation};
use crate::shared::Shared;
use crate::snapshot::Compiled;
use crate::traffic;
use crate::trail::Trail;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Record {
    shared: Arc<Shared>,
    compiled: Arc<Compiled>,
    plan: Arc<Plan>,
    agent: AgentName,
    /// Present once the request was let in.
    pass: Option<Pass>,
    request_id: String,
    /// Bytes of the request.
    input_bytes: u64,
    accepted: Mono,
    accepted_at: Wall,
    trail: Option<Arc<Trail>>,
    pub(crate) attempts: u32,
    /// The call that is being made, and what is set aside for it.
    under_way: Option<(usize, Reservation)>,
    /// When it began.
    call_began: Mono,
    operation: &'static str,
    is_stream: bool,
    /// Time from the request's head to the first content of its stream.
    first_content: Option<Duration>,
    /// Why the last attempt that failed did.
    last_fault: Option<&'static str>,
    /// What failed attempts billed all the same.
    failed: Vec<(usize, Bill)>,
    /// Time spent waiting for providers and for retries.
    pub(crate) waited: Duration,
    /// The target that answers, and what it billed so far.
    answered: Option<(usize, Bill)>,
    ending: Ending,
}

/// What a record is of.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The request's own id.
    id: &'a str,
    bytes: u64,
    operation: &'static str,
    is_stream: bool,
    trail: Option<Arc<Trail>>,
}

impl<'a> Request<'a> {
    /// What is asked under that name.
    pub(crate) fn of(ask: &Ask, id: &'a str, trail: Option<&Arc<Trail>>) -> Self {
        Self {
            id,
            bytes: ask.bytes(),
            operation: ask.operation(),
            is_stream: ask.is_stream(),
            trail: trail.cloned(),
        }
    }
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
        request: Request<'_>,
        accepted: Mono,
    ) -> Self {
        let Request {
            id,
            bytes: input_bytes,
            operation,
            is_stream,
            trail,
        } = request;
        Self {
            accepted_at: shared.clock.wall(),
            shared: Arc::clone(shared),
            compiled: Arc::clone(compiled),
            plan: Arc::clone(plan),
            agent,
            pass: None,
            request_id: id.to_owned(),
            trail,
            input_bytes,
            accepted,
            attempts: 0,
            under_way: None,
            call_began: accepted,
            operation,
            is_stream,
            first_content: None,
            last_fault: None,
            failed: Vec::new(),
            waited: Duration::ZERO,
            answered: None,
            ending: Ending::CallerLeft,
        }
    }

    /// The request's trail, if it leaves one.
    pub(crate) const fn trail(&self) -> Option<&Arc<Trail>> {
        self.trail.as_ref()
    }

    /// Tells those who watch, if there are any.
    pub(crate) fn watch(&self, tell: impl FnOnce(&Trail)) {
        if let Some(trail) = &self.trail {
            tell(trail);
        }
    }

    /// The request was let in.
    pub(crate) fn admitted(&mut self, pass: Pass) {
        self.pass = Some(pass);
    }

    /// Whether the request was let in.
    pub(crate) const fn is_admitted(&self) -> bool {
        self.pass.is_some()
    }

    /// The rights of the request, once it was let in.
    pub(crate) const fn pass_mut(&mut self) -> Option<&mut Pass> {
        self.pass.as_mut()
    }

    /// An attempt at a target begins.
    pub(crate) fn attempt(&mut self, target: usize, reservation: Reservation) {
        self.under_way = Some((target, reservation));
        self.call_began = self.shared.clock.mono();
        self.watch(|trail| trail.tries(target));
    }

    /// It could not be made at all.
    pub(crate) fn attempt_not_made(&mut self) {
        self.under_way = None;
        self.watch(Trail::not_made);
    }

    /// It was answered; what that costs is told with [`Record::bill`].
    pub(crate) fn attempt_answered(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        let since = || self.shared.clock.mono().since(self.accepted);
        self.first_content = self.is_stream.then(since);
        self.watch(Trail::answers);
    }

    /// Why it failed.
    pub(crate) fn fault(&mut self, fault: &Fault) {
        self.last_fault = Some(fault.reason());
        self.watch(|trail| trail.failed(fault));
    }

    /// It failed. A call that was given up because the request's time was up may be billed whole.
    pub(crate) fn attempt_failed(
        &mut self,
        failure: Failure,
        billed: Option<(Usage, UsageSource)>,
    ) {
        self.attempts = self.attempts.saturating_add(1);
        let Some((place, _)) = self.under_way.take() else {
            return;
        };
        let bill = match (billed, failure) {
            (Some(billed), _) => self.plan.targets.get(place).map(|it| Bill::of(it, billed)),
            (None, Failure::Deadline) => self.given_up(place),
            (None, _) => None,
        };
        if let Some(bill) = bill {
            self.failed.push((place, bill));
        }
    }

    /// What is set aside for the call under way.
    pub(crate) const fn reservation(&self) -> Option<&Reservation> {
        match &self.under_way {
            Some((_, reservation)) => Some(reservation),
            None => None,
        }
    }

    /// Whether money is set aside.
    pub(crate) fn has_set_aside(&self) -> bool {
        let pass = self.pass.as_ref();
        pass.is_some_and(|pass| !pass.reserved().is_zero())
    }

    /// Notes what the answering target billed so far.
    pub(crate) fn bill(&mut self, target: usize, bill: Bill) {
        self.under_way = None;
        self.answered = Some((target, bill));
    }

    /// What is spent for failed attempts so far.
    pub(crate) fn lost(&self) -> NanoUsd {
        self.failed.iter().fold(NanoUsd::ZERO, |sum, (_, bill)| {
            sum.saturating_add(amount(bill.cost))
        })
    }

    /// What a call is billed of which nobody knows how far it came.
    fn given_up(&self, place: usize) -> Option<Bill> {
        let target = self.plan.targets.get(place)?;
        let bill = Bill::of(target, dialect::estimated(self.input_bytes, 0));
        let set_aside = self.pass.as_ref().map_or(NanoUsd::ZERO, Pass::reserved);
        let left = set_aside.saturating_sub(self.lost());
        let cost = match bill.cost {
            Cost::Known(least, source) => Cost::Known(least.max(left), source),
            Cost::Unknown => Cost::Unknown,
        };
        Some(Bill { cost, ..bill })
    }

    /// Books everything that was billed and frees what was set aside.
    fn settle(&mut self) {
        let Some(pass) = self.pass.take() else { return };
        let answered = self.answered.iter();
        let charges = self
            .failed
            .iter()
            .chain(answered)
            .filter_map(|(place, bill)| {
                let target = self.plan.targets.get(*place)?;
                Some(Charge {
                    model: target.counted_as.clone(),
                    usage: bill.usage,
                    source: bill.source,
                    cost: bill.cost,
                })
            });
        pass.settle(charges);
    }

    /// Hands the record in.
    pub(crate) fn end(mut self, ending: Ending) {
        self.ending = ending;
    }

    fn count(&self) {
        let (shared, metrics) = (&self.shared, &self.plan.metrics);
        let is_named = self.compiled.names(&self.agent);
        let agent = self.plan.counters(&self.agent, is_named, &shared.metrics);
        let (of_model, of_agent) = match self.ending {
            Ending::Answered => (&metrics.answered, &agent.answered),
            // Nobody was asked: limits, the budget or the policy kept it from every target.
            Ending::Failed if self.attempts == 0 => (&metrics.refused, &agent.refused),
            Ending::Failed => (&metrics.failed, &agent.failed),
            Ending::CallerLeft => (&metrics.left, &agent.left),
        };
        self.count_traffic();
        of_model.inc();
        of_agent.inc();
        let now = shared.clock.mono();
        let request = now.since(self.accepted);
        shared.metrics.duration.observe(request.as_secs_f64());
        for (place, bill) in self.failed.iter().chain(&self.answered) {
            if let Some(target) = self.plan.targets.get(*place) {
                count_bill(target, bill);
                agent.cost.inc_by(dollars(amount(bill.cost)));
            }
        }
        if self.ending == Ending::Answered
            && let Some((place, bill)) = &self.answered
            && let Some(target) = self.plan.targets.get(*place)
        {
            let calls = target.metrics.calls(self.operation, &shared.metrics.gen_ai);
            calls.answered(&Answered {
                usage: &bill.usage,
                call: now.since(self.call_began),
                request,
                first: self.first_content,
            });
            if let Some(first) = self.first_content {
                target.metrics.first_token.observe(first.as_secs_f64());
            }
            if *place > 0 {
                target.metrics.failovers.inc();
                let reason = self.last_fault.unwrap_or("passed_over");
                shared.metrics.failed_over(metrics, reason);
            }
        }
    }
}

impl Record {
    /// Counts it among what the control plane is told.
    fn count_traffic(&self) {
        let counts = &self.shared.traffic.counts;
        let attempts = u64::from(self.attempts);
        let answered = self.answered.is_some() && self.ending != Ending::Failed;
        counts.attempts(attempts, attempts.saturating_sub(u64::from(answered)));
        match self.ending {
            Ending::Answered => traffic::one(&counts.answered),
            Ending::CallerLeft => traffic::one(&counts.caller_left),
            // One that no provider was called for counts as refused, where it is refused.
            Ending::Failed if attempts > 0 => traffic::one(&counts.failed),
            Ending::Failed => {}
        }
        if self.ending == Ending::Answered && self.answered.is_some_and(|(place, _)| place > 0) {
            traffic::one(&counts.failovers);
        }
        for (_, bill) in self.failed.iter().chain(&self.answered) {
            counts.billed(&bill.usage, amount(bill.cost));
        }
    }
}

fn count_bill(target: &Target, bill: &Bill) {
    let metrics = &target.metrics;
    metrics.input_tokens.inc_by(bill.usage.total_input().get());
    metrics
        .output_tokens
        .inc_by(bill.usage.total_output().get());
    match bill.cost {
        Cost::Known(amount, _) => {
            metrics.cost.inc_by(dollars(amount));
        }
        Cost::Unknown => {
            metrics.unpriced.inc();
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a counter for people, not the books"
)]
fn dollars(amount: NanoUsd) -> f64 {
    amount.as_nanos() as f64 / 1e9
}

const fn amount(cost: Cost) -> NanoUsd {
    match cost {
        Cost::Known(amount, _) => amount,
        Cost::Unknown => NanoUsd::ZERO,
    }
}

/// The bills of a request as one.
fn sum<'a>(bills: impl Iterator<Item = &'a Bill>) -> Option<Bill> {
    bills.copied().reduce(|sum, bill| Bill {
        usage: sum.usage.plus(&bill.usage),
        source: match (sum.source, bill.source) {
            (UsageSource::Reported, UsageSource::Reported) => UsageSource::Reported,
            _ => UsageSource::Estimated,
        },
        cost: match (sum.cost, bill.cost) {
            (Cost::Known(one, _), Cost::Known(other, source)) => {
                Cost::Known(one.saturating_add(other), source)
            }
            _ => Cost::Unknown,
        },
    })
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some((place, _)) = self.under_way.take()
            && let Some(bill) = self.given_up(place)
        {
            self.failed.push((place, bill));
        }
        self.settle();
        self.count();
        let bill = sum(self
            .failed
            .iter()
            .chain(&self.answered)
            .map(|(_, bill)| bill));
        let answered = self.answered.map(|(place, _)| place);
        self.watch(|trail| trail.asked(answered, bill, self.ending));
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
            cost: bill.map_or(Cost::Known(NanoUsd::ZERO, PriceSource::Policy), |bill| {
                bill.cost
            }),
            revision: self.compiled.revision,
            caller_left: self.ending == Ending::CallerLeft,
        });
    }
}
