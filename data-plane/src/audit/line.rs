//! A record as a line of JSON.
//!
//! The line is made while its request still holds the thread, so nothing is copied for it that can be
//! written where it belongs.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::net::SocketAddr;

use agix_core::id::{AgentName, ProxyId, Revision};
use agix_core::time::Wall;
use agix_core::units::NanoUsd;
use agix_core::usage::{Cost, UsageSource};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::record::Bill;
use crate::trail::{Call, Origin, Told};

#[derive(Serialize)]
struct Line<'a, W> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: Text<Moment<'a>>,
    proxy: &'a str,
    #[serde(flatten)]
    what: W,
}

#[derive(Serialize)]
struct Lost {
    records: u64,
}

#[derive(Serialize)]
struct Finished<'a> {
    request_id: &'a str,
    trace_id: Text<Hex>,
    agent: Option<&'a str>,
    from: Option<Text<SocketAddr>>,
    endpoint: Option<Text<Endpoint>>,
    webhook: Option<&'a str>,
    model_asked: Option<&'a str>,
    model_answered: Option<&'a str>,
    provider: Option<&'a str>,
    stream: bool,
    decision: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    status: Option<u16>,
    attempts: Attempts<'a>,
    tokens: Option<Tokens>,
    /// Null if nobody knows.
    cost_usd: Option<Box<RawValue>>,
    cost_nano_usd: Option<u64>,
    duration_ms: u64,
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
}

#[derive(Serialize)]
struct Attempt<'a> {
    model: &'a str,
    provider: &'a str,
    outcome: &'static str,
    reason: Option<&'a str>,
    status: Option<u16>,
    duration_ms: Option<u64>,
}

#[derive(Serialize)]
struct Tokens {
    input: u64,
    cached_input: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    estimated: bool,
}

#[derive(Serialize)]
struct Content<'a> {
    request: Cow<'a, str>,
    answer: Cow<'a, str>,
    /// Whether either is longer than is kept.
    cut: bool,
}

/// A value as the text it is shown by, written where it belongs.
struct Text<T>(T);

/// A trace's id.
struct Hex(u128);

/// What was called.
struct Endpoint {
    method: &'static str,
    route: &'static str,
}

/// The second of the last record, as text: most records are of the same one as the record before.
#[derive(Debug, Default)]
pub(super) struct Second {
    number: i64,
    text: String,
}

/// A moment, of which the second is known as text.
struct Moment<'a> {
    second: &'a str,
    millis: i64,
}

/// What was tried and passed over.
struct Attempts<'a>(Option<&'a Call>);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method)?;
        f.write_str(" ")?;
        f.write_str(self.route)
    }
}

impl Display for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}Z", self.second, self.millis)
    }
}

impl Second {
    /// The moment `at`.
    fn moment(&mut self, at: Wall) -> Moment<'_> {
        let millis = at.as_millis();
        let number = millis.div_euclid(1_000);
        if self.text.is_empty() || self.number != number {
            let time = Timestamp::from_second(number).unwrap_or_default();
            self.number = number;
            self.text = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        Moment {
            second: &self.text,
            millis: millis.rem_euclid(1_000),
        }
    }
}

impl Serialize for Attempts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(call) => serializer.collect_seq(attempts(call)),
            None => serializer.collect_seq::<[(); 0]>([]),
        }
    }
}

/// Writes the line of a request.
pub(super) fn write(into: &mut Vec<u8>, second: &mut Second, told: &Told<'_>, proxy: &ProxyId) {
    let facts = told.facts;
    let call = facts.call.as_ref();
    let (endpoint, from, webhook) = match &told.head.origin {
        Origin::Caller {
            method,
            route,
            peer,
        } => {
            let endpoint = route.map(|route| Text(Endpoint { method, route }));
            (endpoint, peer.map(Text), None)
        }
        Origin::Webhook { name, .. } => (None, None, Some(name.as_str())),
    };
    let target = call.and_then(|call| call.plan.targets.get(call.answered?));
    let bill = call.and_then(|call| call.bill);
    let cost = match bill.map(|bill| bill.cost) {
        Some(Cost::Known(amount, _)) => Some(amount),
        Some(Cost::Unknown) => None,
        None => Some(NanoUsd::ZERO),
    };
    let asked = Finished {
        request_id: told.head.ids.request(),
        trace_id: Text(Hex(told.head.trace.id)),
        agent: facts.agent.as_ref().map(AgentName::as_str),
        from,
        endpoint,
        webhook,
        model_asked: call.map(|call| call.plan.asked.as_str()),
        model_answered: target.map(|target| target.model.as_str()),
        provider: target.map(|target| target.provider.name.as_str()),
        stream: call.is_some_and(|call| call.stream),
        decision: if told.is_refused() {
            "refused"
        } else {
            "allowed"
        },
        outcome: told.outcome(),
        reason: facts.refused,
        status: facts.status,
        attempts: Attempts(call),
        tokens: bill.as_ref().map(tokens),
        cost_usd: cost.and_then(number),
        cost_nano_usd: cost.map(NanoUsd::as_nanos),
        duration_ms: millis(told.ended.since(told.head.began)),
        revision: facts.revision.map(Revision::number),
        content: facts.content.as_ref().map(|content| {
            let (request, is_cut) = content.request();
            let (answer, too) = content.answer();
            Content {
                request: String::from_utf8_lossy(request),
                answer: String::from_utf8_lossy(answer),
                cut: is_cut || too,
            }
        }),
    };
    let line = Line {
        kind: "request",
        time: Text(second.moment(told.head.began_at)),
        proxy: proxy.as_str(),
        what: asked,
    };
    line.write(into);
}

/// The line that says how many records there are not.
pub(super) fn lost(records: u64, now: Wall, proxy: &ProxyId) -> Vec<u8> {
    let (mut bytes, mut second) = (Vec::new(), Second::default());
    let line = Line {
        kind: "lost",
        time: Text(second.moment(now)),
        proxy: proxy.as_str(),
        what: Lost { records },
    };
    line.write(&mut bytes);
    bytes
}

impl<W: Serialize> Line<'_, W> {
    fn write(&self, into: &mut Vec<u8>) {
        let before = into.len();
        match serde_json::to_writer(&mut *into, self) {
            Ok(()) => into.push(b'\n'),
            // A part of a line is none.
            Err(_) => into.truncate(before),
        }
    }
}

fn attempts(call: &Call) -> impl Iterator<Item = Attempt<'_>> {
    let tried = call.tries.iter().filter_map(|one| {
        let target = call.plan.targets.get(one.place)?;
        Some(Attempt {
            model: target.model.as_str(),
            provider: target.provider.name.as_str(),
            outcome: call.outcome(one),
            reason: one.fault.map(|(reason, _)| reason),
            status: one.fault.and_then(|(_, status)| status),
            duration_ms: Some(millis(
                one.ended
                    .or(call.ended)
                    .unwrap_or(one.began)
                    .since(one.began),
            )),
        })
    });
    let skipped = call.skipped.iter().filter_map(|(place, reason, _)| {
        let target = call.plan.targets.get(*place)?;
        Some(Attempt {
            model: target.model.as_str(),
            provider: target.provider.name.as_str(),
            outcome: "skipped",
            reason: Some(reason),
            status: None,
            duration_ms: None,
        })
    });
    tried.chain(skipped)
}

fn tokens(bill: &Bill) -> Tokens {
    let usage = &bill.usage;
    Tokens {
        input: usage.input.get(),
        cached_input: usage.cached_input.get(),
        cache_write: usage
            .cache_write_5m
            .saturating_add(usage.cache_write_1h)
            .get(),
        output: usage.output.get(),
        reasoning: usage.reasoning.get(),
        estimated: bill.source == UsageSource::Estimated,
    }
}

/// An amount with all its digits.
fn number(amount: NanoUsd) -> Option<Box<RawValue>> {
    RawValue::from_string(amount.to_string()).ok()
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
