//! The spans of a trail: the request, asking a model, and each attempt.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agix_core::policy::Api;
use agix_core::time::Mono;
use agix_core::units::NanoUsd;
use agix_core::usage::{Cost, UsageSource};
use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::attributes as name;
use super::{Call, Facts, Head, Origin, Told, Try};
use crate::dialect::Finish;
use crate::plan::Target;
use crate::record::{Bill, Ending};

/// All spans of a head.
pub(super) fn of(told: &Told<'_>) -> Vec<SpanData> {
    let (head, facts) = (told.head, told.facts);
    let mut spans = vec![request(head, facts, told.ended)];
    if let Some(call) = &facts.call {
        let ended = call.ended.unwrap_or(told.ended);
        spans.push(asking(head, facts, call, ended));
        let tries = call.tries.iter().zip(1..);
        spans.extend(tries.map(|(one, number)| attempt(head, call, (one, number), ended)));
    }
    spans
}

/// The whole request.
fn request(head: &Head, facts: &Facts, now: Mono) -> SpanData {
    let mut attributes = Attributes::default();
    let (kind, title) = match &head.origin {
        Origin::Caller { method, route, .. } => {
            attributes.set(name::HTTP_METHOD, *method);
            attributes.set(name::URL_SCHEME, "http");
            attributes.may_set(name::HTTP_ROUTE, *route);
            let title =
                route.map_or_else(|| (*method).to_owned(), |route| format!("{method} {route}"));
            (SpanKind::Server, title)
        }
        Origin::Webhook { name, execution } => {
            attributes.set(name::WEBHOOK, name.clone());
            attributes.set(name::EXECUTION, execution.to_string());
            (SpanKind::Consumer, format!("webhook {name}"))
        }
    };
    attributes.set(name::REQUEST_ID, head.ids.request().to_owned());
    attributes.may_set(name::HTTP_STATUS, facts.status.map(i64::from));
    attributes.may_set(name::REASON, facts.refused);
    attributes.common(facts);
    let is_broken = facts.status.is_none_or(|status| status < 400);
    let is_error = facts.status.is_some_and(|status| status >= 500)
        || facts
            .call
            .as_ref()
            .is_some_and(|call| is_broken && call.ending == Ending::Failed);
    let status = if is_error {
        let kind = facts.refused.unwrap_or("stream_broken");
        attributes.set(name::ERROR_TYPE, kind);
        Status::error(kind)
    } else {
        Status::Unset
    };
    SpanData {
        name: title.into(),
        status,
        parent_span_is_remote: head.trace.parent.is_some(),
        ..span(
            head,
            (head.trace.root, head.trace.parent.unwrap_or_default()),
            (kind, (head.began, now)),
            attributes,
        )
    }
}

/// Asking a model, whoever answers.
fn asking(head: &Head, facts: &Facts, call: &Call, ended: Mono) -> SpanData {
    let target = |place: usize| call.plan.targets.get(place);
    let answering = call.answered.and_then(target);
    let last = call.tries.last().and_then(|last| target(last.place));
    let mut attributes = Attributes::default();
    attributes.set(name::OPERATION, call.operation);
    attributes.set(name::REQUEST_MODEL, call.plan.asked.to_string());
    attributes.set(name::REQUEST_STREAM, call.stream);
    attributes.may_set(name::REQUEST_MAX_TOKENS, call.output_bound.map(integer));
    if let Some(target) = answering.or(last).or_else(|| target(0)) {
        attributes.set(name::PROVIDER_NAME, provider_name(target));
    }
    if let Some(target) = answering {
        let model = call.model.as_ref().unwrap_or(&target.upstream_model);
        attributes.set(name::RESPONSE_MODEL, model.clone());
        attributes.set(name::MODEL, target.model.to_string());
        attributes.set(name::PROVIDER, target.provider.name.to_string());
    }
    attributes.may_set(name::FINISH_REASONS, call.finish.map(finish));
    let first = call.first_content.map(|first| first.since(call.began));
    attributes.may_set(
        name::TIME_TO_FIRST_CHUNK,
        first.map(|first| first.as_secs_f64()),
    );
    if let Some(bill) = &call.bill {
        attributes.bill(bill);
    }
    attributes.set(name::ATTEMPTS, count(call.tries.len()));
    attributes.set(name::FAILOVER, call.answered.is_some_and(|place| place > 0));
    attributes.set(name::OUTCOME, outcome(call.ending));
    attributes.common(facts);
    let status = if call.ending == Ending::Failed {
        let fault = call.tries.last().and_then(|last| last.fault);
        let kind = fault.map(|(reason, _)| reason).or(facts.refused);
        let kind = kind.unwrap_or("refused");
        attributes.set(name::ERROR_TYPE, kind);
        Status::error(kind)
    } else {
        Status::Unset
    };
    let skipped = call.skipped.iter().filter_map(|(place, reason, when)| {
        let skipped = target(*place)?;
        let said = vec![
            KeyValue::new(name::MODEL, skipped.model.to_string()),
            KeyValue::new(name::PROVIDER, skipped.provider.name.to_string()),
            KeyValue::new(name::REASON, reason.clone().into_owned()),
        ];
        Some(Event::new("agix.target.skipped", head.time(*when), said, 0))
    });
    let mut events = SpanEvents::default();
    events.events = skipped.collect();
    SpanData {
        name: format!("{} {}", call.operation, call.plan.asked).into(),
        events,
        status,
        ..span(
            head,
            (head.trace.call, head.trace.root),
            (SpanKind::Client, (call.began, ended)),
            attributes,
        )
    }
}

/// One attempt at one target. It has no operation: calls of models are counted by their spans, and
/// this is a part of one.
fn attempt(head: &Head, call: &Call, (one, number): (&Try, i64), ended: Mono) -> SpanData {
    let mut attributes = Attributes::default();
    attributes.set(name::ATTEMPT, number);
    let mut title = "attempt".to_owned();
    if let Some(target) = call.plan.targets.get(one.place) {
        title = format!("attempt {}", target.model);
        attributes.set(name::PROVIDER_NAME, provider_name(target));
        attributes.set(name::REQUEST_MODEL, target.upstream_model.clone());
        attributes.set(name::MODEL, target.model.to_string());
        attributes.set(name::PROVIDER, target.provider.name.to_string());
        if let Some((address, port)) = target.provider.server() {
            attributes.set(name::HTTP_METHOD, "POST");
            attributes.set(name::SERVER_ADDRESS, address.to_owned());
            attributes.may_set(name::SERVER_PORT, port.map(i64::from));
        }
    }
    let status = match one.fault {
        Some((reason, status)) => {
            attributes.may_set(name::HTTP_STATUS, status.map(i64::from));
            attributes.set(name::FAILOVER_REASON, reason);
            attributes.set(name::ERROR_TYPE, reason);
            Status::error(reason)
        }
        None => Status::Unset,
    };
    attributes.set(name::OUTCOME, call.outcome(one));
    SpanData {
        name: title.into(),
        status,
        ..span(
            head,
            (one.span, head.trace.call),
            (SpanKind::Client, (one.began, one.ended.unwrap_or(ended))),
            attributes,
        )
    }
}

pub(super) fn span(
    head: &Head,
    (id, parent): (u64, u64),
    (kind, (began, ended)): (SpanKind, (Mono, Mono)),
    attributes: Attributes,
) -> SpanData {
    let context = SpanContext::new(
        TraceId::from_bytes(head.trace.id.to_be_bytes()),
        SpanId::from_bytes(id.to_be_bytes()),
        TraceFlags::SAMPLED,
        false,
        opentelemetry::trace::TraceState::NONE,
    );
    SpanData {
        span_context: context,
        parent_span_id: SpanId::from_bytes(parent.to_be_bytes()),
        parent_span_is_remote: false,
        span_kind: kind,
        name: "".into(),
        start_time: head.time(began),
        end_time: head.time(ended),
        attributes: attributes.0,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

impl Head {
    /// A moment on the clock of people.
    fn time(&self, moment: Mono) -> SystemTime {
        let began = u64::try_from(self.began_at.as_millis()).unwrap_or_default();
        let since = Duration::from_millis(began).saturating_add(moment.since(self.began));
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }
}

/// What a span says.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(name, value));
    }

    pub(super) fn may_set(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Who asked, and by which policy.
    fn common(&mut self, facts: &Facts) {
        self.may_set(name::AGENT, facts.agent.as_ref().map(ToString::to_string));
        let revision = facts.revision.map(|revision| integer(revision.number()));
        self.may_set(name::REVISION, revision);
    }

    fn bill(&mut self, bill: &Bill) {
        let usage = &bill.usage;
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        for (name, tokens) in [
            (name::USAGE_INPUT, usage.total_input()),
            (name::USAGE_OUTPUT, usage.total_output()),
            (name::USAGE_CACHE_READ, usage.cached_input),
            (name::USAGE_CACHE_WRITE, written),
            (name::USAGE_REASONING, usage.reasoning),
        ] {
            self.set(name, integer(tokens.get()));
        }
        self.set(name::USAGE_ESTIMATED, bill.source == UsageSource::Estimated);
        match bill.cost {
            Cost::Known(amount, _) => self.set(name::COST, dollars(amount)),
            Cost::Unknown => self.set(name::COST_KNOWN, false),
        }
    }
}

/// The provider's name by the conventions, else its own.
fn provider_name(target: &Target) -> String {
    let own = target.provider.name.as_str();
    match (target.provider.api, own) {
        (Api::Azure, _) => "azure.ai.openai".to_owned(),
        (Api::Gemini, _) => "gcp.gemini".to_owned(),
        (Api::Anthropic, _) => "anthropic".to_owned(),
        (Api::OpenAi | Api::Simulated, own) => own.to_owned(),
    }
}

fn finish(finish: Finish) -> Value {
    let word = match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Other => "other",
    };
    Value::Array(Array::String(vec![StringValue::from(word)]))
}

const fn outcome(ending: Ending) -> &'static str {
    match ending {
        Ending::Answered => "answered",
        Ending::Failed => "failed",
        Ending::CallerLeft => "caller_left",
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number for people, not the books"
)]
fn dollars(amount: NanoUsd) -> f64 {
    amount.as_nanos() as f64 / 1e9
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
