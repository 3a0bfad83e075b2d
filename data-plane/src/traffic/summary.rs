//! A finished request as it is told of: who, what, how it ended, and why it went where it went.

use agix_core::id::{AgentName, Revision};
use agix_core::limits::TRAFFIC_STEPS;
use agix_core::units::NanoUsd;
use agix_core::usage::Cost;
use agix_proto::v1::{RequestStep, RequestSummary};

use crate::trail::{Call, Origin, Told};

/// The summary of a request.
pub(super) fn of(told: &Told<'_>) -> RequestSummary {
    let facts = told.facts;
    let call = facts.call.as_ref();
    let target = call.and_then(|call| call.plan.targets.get(call.answered?));
    let bill = call.and_then(|call| call.bill);
    let usage = bill.map(|bill| bill.usage).unwrap_or_default();
    let webhook = match &told.head.origin {
        Origin::Webhook { name, .. } => name.clone(),
        Origin::Caller { .. } => String::new(),
    };
    RequestSummary {
        request_id: told.head.ids.request().to_owned(),
        trace_id: format!("{:032x}", told.head.trace.id),
        proxy_id: String::new(),
        began_unix_ms: told.head.began_at.as_millis(),
        duration_ms: millis(told.ended.since(told.head.began)),
        agent: text(facts.agent.as_ref().map(AgentName::as_str)),
        model_asked: text(call.map(|call| call.plan.asked.as_str())),
        model_answered: text(target.map(|target| target.model.as_str())),
        provider: text(target.map(|target| target.provider.name.as_str())),
        outcome: told.outcome().to_owned(),
        reason: text(facts.refused),
        status: facts.status.map_or(0, u32::from),
        stream: call.is_some_and(|call| call.stream),
        steps: call.map(steps).unwrap_or_default(),
        input_tokens: usage.total_input().get(),
        output_tokens: usage.total_output().get(),
        cost_nano_usd: match bill.map(|bill| bill.cost) {
            Some(Cost::Known(amount, _)) => Some(amount.as_nanos()),
            Some(Cost::Unknown) => None,
            None => Some(NanoUsd::ZERO.as_nanos()),
        },
        revision: facts.revision.map_or(0, Revision::number),
        webhook,
    }
}

/// The targets that were tried or passed over, in the order in which that was.
fn steps(call: &Call) -> Vec<RequestStep> {
    let tried = call.tries.iter().filter_map(|one| {
        let target = call.plan.targets.get(one.place)?;
        let (reason, status) = one.fault.unwrap_or(("", None));
        let ended = one.ended.or(call.ended).unwrap_or(one.began);
        let step = RequestStep {
            model: target.model.to_string(),
            provider: target.provider.name.to_string(),
            outcome: call.outcome(one).to_owned(),
            reason: reason.to_owned(),
            status: status.map_or(0, u32::from),
            duration_ms: millis(ended.since(one.began)),
        };
        Some((one.began, step))
    });
    let skipped = call.skipped.iter().filter_map(|(place, reason, at)| {
        let target = call.plan.targets.get(*place)?;
        let step = RequestStep {
            model: target.model.to_string(),
            provider: target.provider.name.to_string(),
            outcome: "skipped".to_owned(),
            reason: reason.to_string(),
            status: 0,
            duration_ms: 0,
        };
        Some((*at, step))
    });
    let mut steps: Vec<_> = tried.chain(skipped).take(TRAFFIC_STEPS).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(_, step)| step).collect()
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
