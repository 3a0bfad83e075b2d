//! Relaying a stream to the caller as it arrives.
//!
//! Rules this module keeps:
//! - Nothing is sent before the provider's first content was read ([`Opening`]): an error that comes
//!   before it, be it right behind the beginning, can still be failed over from.
//! - A stream that dies ends with an error event in the caller's protocol and without the
//!   terminator, so that no client takes it for whole.
//! - Nothing is read from the provider while the caller does not read.
//! - Dropping the body cancels the provider's call.
//! - A stream that would outrun what can be set aside for it is ended as a bound on its length would
//!   end it, and the provider's call with it. It is billed for what was sent.

mod held;

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use agix_core::failover::{Failure, Pace};
use agix_core::limits::STREAM_TAIL_TIME;
use agix_core::policy::{BreakerSettings, MinThroughput};
use agix_core::units::Tokens;
use agix_core::usage::Cost;
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use crate::attempt::Fault;
use crate::clock::runtime_now;
use crate::dialect::{StreamDecoder, StreamFault, StreamItem, StreamItemKind};
use crate::front::refusal::Voice;
use crate::plan::Plan;
use crate::quota::{Meter, Room};
use crate::record::{Bill, Ending, Record};
use crate::trail::Trail;
use crate::upstream::UpstreamBody;
use crate::worker::Worker;

pub(crate) use held::{Held, HoldSettings};

/// A stream of which the first content has arrived.
#[derive(Debug)]
pub(crate) struct Opening {
    upstream: UpstreamBody,
    decoder: StreamDecoder,
    items: Vec<StreamItem>,
}

/// A stream on its way to the caller.
#[derive(Debug)]
pub(crate) struct RelayBody {
    upstream: UpstreamBody,
    decoder: StreamDecoder,
    /// Received and not yet decoded.
    received: Bytes,
    /// Present if the stream has to keep within what is set aside for it.
    meter: Option<Meter>,
    /// Decoded and not yet handed on.
    items: Vec<StreamItem>,
    ready: VecDeque<Bytes>,
    ended: bool,
    clockwork: Clockwork,
    /// Present if the policy sets a least for it.
    pace: Option<Pace>,
    ledger: Ledger,
}

/// What a relay runs with.
#[derive(Debug)]
pub(crate) struct RelaySettings {
    pub(crate) worker: Arc<Worker>,
    pub(crate) plan: Arc<Plan>,
    /// How the caller is told of an error.
    pub(crate) voice: Voice,
    /// The answering target's place in the plan.
    pub(crate) target: usize,
    /// Bytes of the request, to estimate its tokens where the provider reports none.
    pub(crate) input_bytes: u64,
    pub(crate) idle: Duration,
    pub(crate) min_throughput: Option<MinThroughput>,
    pub(crate) total: Instant,
    pub(crate) breaker: BreakerSettings,
}

/// The time bounds of a stream, with one timer for both.
#[derive(Debug)]
struct Clockwork {
    idle: Duration,
    total: Instant,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The books of a stream.
#[derive(Debug)]
struct Ledger {
    settings: RelaySettings,
    /// Present until the stream has ended.
    record: Option<Record>,
}

impl Opening {
    /// Reads up to the first content.
    pub(crate) async fn read(
        mut upstream: UpstreamBody,
        mut decoder: StreamDecoder,
        until: Instant,
        input_bytes: u64,
    ) -> Result<Self, Fault> {
        let mut items = Vec::new();
        // A provider that says what it bills before it fails bills that.
        let failed = |fault: Fault, decoder: &StreamDecoder| match decoder.usage() {
            Some(_) => fault.billed(decoder.billed(input_bytes)),
            None => fault,
        };
        loop {
            let part = match timeout_at(until, upstream.data()).await {
                Err(_elapsed) => {
                    let message = "the provider's stream did not begin in time";
                    let fault = Fault::new(Failure::FirstTokenTimeout, message);
                    return Err(failed(fault, &decoder));
                }
                Ok(None) => {
                    let finished = decoder.finish(&mut items);
                    finished.map_err(|fault| failed(stream_fault(&fault), &decoder))?;
                    return Ok(Self {
                        upstream,
                        decoder,
                        items,
                    });
                }
                Ok(Some(Err(_broken))) => {
                    let message = "the provider's stream broke off before its first content";
                    let fault = Fault::new(Failure::Truncated, message);
                    return Err(failed(fault, &decoder));
                }
                Ok(Some(Ok(part))) => part,
            };
            let pushed = decoder.push(part, &mut items);
            pushed.map_err(|fault| failed(stream_fault(&fault), &decoder))?;
            items.retain(|item| item.kind != StreamItemKind::Idle);
            if items
                .iter()
                .any(|item| item.kind >= StreamItemKind::Content)
            {
                return Ok(Self {
                    upstream,
                    decoder,
                    items,
                });
            }
        }
    }
}

impl RelayBody {
    /// The rest of an opened stream.
    pub(crate) fn new(opening: Opening, record: Record, settings: RelaySettings) -> Self {
        let Opening {
            upstream,
            decoder,
            items,
        } = opening;
        let meter = record
            .reservation()
            .filter(|_| record.has_set_aside())
            .map(|reservation| Meter::new(*reservation));
        let pace = settings
            .min_throughput
            .map(|least| Pace::new(least, decoder.output_seen()));
        let mut relay = Self {
            pace,
            upstream,
            decoder,
            received: Bytes::new(),
            meter,
            items,
            ready: VecDeque::new(),
            ended: false,
            clockwork: Clockwork {
                idle: settings.idle,
                total: settings.total,
                last: runtime_now(),
                timer: None,
            },
            ledger: Ledger {
                settings,
                record: Some(record),
            },
        };
        relay.hand_on();
        relay
    }

    /// The next bytes for the caller; none at the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                self.ledger.watch(|trail| trail.says(&bytes));
                return Poll::Ready(Some(bytes));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match self.room(cx) {
                Room::For(tokens) if !self.received.is_empty() => {
                    let part = next_part(&mut self.received, tokens);
                    self.decode(part);
                }
                Room::For(_) => ready!(self.receive(cx)),
                Room::Wait => {
                    // The provider is not read meanwhile, so that it is not it who is silent.
                    self.clockwork.last = runtime_now();
                    return Poll::Pending;
                }
                Room::None => self.cut(),
            }
        }
    }

    /// How much may pass.
    fn room(&mut self, cx: &mut Context<'_>) -> Room {
        let Some(meter) = &mut self.meter else {
            return Room::For(Tokens::new(u64::MAX));
        };
        let settings = &self.ledger.settings;
        let target = settings.plan.targets.get(settings.target);
        let tariff = target.and_then(|target| target.tariff());
        let record = self.ledger.record.as_mut();
        match record.and_then(|record| record.pass_mut()).zip(tariff) {
            Some((pass, tariff)) => meter.poll(cx, pass, tariff, self.decoder.output_seen()),
            None => Room::For(Tokens::new(u64::MAX)),
        }
    }

    /// Takes the provider's next bytes, or its end.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.upstream.poll_data(cx) {
            Poll::Pending => {
                let clock = &self.ledger.settings.worker.shared.clock;
                let seen = &self.decoder;
                let waits = |pace: &mut Pace| pace.waits(seen.output_seen(), clock.mono());
                if self.pace.as_mut().is_some_and(waits) {
                    self.fail(&too_slow());
                    return Poll::Ready(());
                }
                let fault = ready!(self.clockwork.poll(cx));
                self.fail(&fault);
            }
            Poll::Ready(Some(Ok(part))) => {
                self.clockwork.last = runtime_now();
                self.received = part;
                if let Some(pace) = &mut self.pace {
                    pace.came(self.ledger.settings.worker.shared.clock.mono());
                }
            }
            Poll::Ready(Some(Err(_broken))) => {
                let message = "the provider's stream broke off";
                self.fail(&Fault::new(Failure::Truncated, message));
            }
            Poll::Ready(None) => {
                let outcome = self.decoder.finish(&mut self.items);
                self.hand_on();
                match outcome {
                    Ok(()) => self.complete(),
                    Err(fault) => self.fail(&stream_fault(&fault)),
                }
            }
        }
        Poll::Ready(())
    }

    fn decode(&mut self, part: Bytes) {
        let outcome = self.decoder.push(part, &mut self.items);
        self.hand_on();
        if let Err(fault) = outcome {
            self.fail(&stream_fault(&fault));
        }
    }

    /// Ends the stream where it is, as a bound on its length would.
    fn cut(&mut self) {
        let settings = &self.ledger.settings;
        settings.worker.shared.metrics.quota.streams_ended.inc();
        // First of all: every moment more is billed.
        self.upstream = UpstreamBody::Whole(None);
        self.received = Bytes::new();
        self.decoder.cut(settings.input_bytes, &mut self.items);
        self.hand_on();
        self.complete();
    }

    /// Hands decoded items on.
    fn hand_on(&mut self) {
        for item in std::mem::take(&mut self.items) {
            match item.kind {
                StreamItemKind::Usage => {
                    let bill = self.ledger.bill(&self.decoder);
                    self.ready.push_back(with_cost(item.bytes, bill));
                }
                StreamItemKind::Idle | StreamItemKind::Data | StreamItemKind::Content => {
                    self.ready.push_back(item.bytes);
                }
                StreamItemKind::Done => {
                    self.ready.push_back(item.bytes);
                    self.complete();
                    self.release();
                }
            }
        }
    }

    fn complete(&mut self) {
        self.ended = true;
        self.received = Bytes::new();
        self.ledger.close(&self.decoder, Ending::Answered);
    }

    fn fail(&mut self, fault: &Fault) {
        if self.ended {
            return;
        }
        self.ended = true;
        let settings = &self.ledger.settings;
        if let Some(target) = settings.plan.targets.get(settings.target) {
            let metrics = &settings.worker.shared.metrics;
            metrics.attempt_failed(&target.metrics, fault.reason());
            let now = settings.worker.shared.clock.mono();
            let opened = target.breaker.failed(fault.failure, &settings.breaker, now);
            tracing::debug!(
                provider = %target.provider.name,
                model = %target.model,
                reason = fault.reason(),
                message = fault.message,
                opened,
                "a stream died"
            );
        }
        self.ledger.watch(|trail| trail.failed(fault));
        let code = fault.code.as_deref().unwrap_or(fault.reason());
        let message = format!("The answer is not complete: {}", fault.message);
        let told = self.decoder.broken_off(&message, code);
        let event = told.unwrap_or_else(|| settings.voice.event(&message, code));
        self.ready.push_back(event);
        self.upstream = UpstreamBody::Whole(None);
        self.ledger.close(&self.decoder, Ending::Failed);
    }

    fn release(&mut self) {
        let upstream = std::mem::replace(&mut self.upstream, UpstreamBody::Whole(None));
        read_tail(upstream, &self.ledger.settings.worker.tasks);
    }
}

impl Drop for RelayBody {
    fn drop(&mut self) {
        self.ledger.close(&self.decoder, Ending::CallerLeft);
    }
}

impl Clockwork {
    /// Ready when the provider has been silent, or the request has lasted, for too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let idle = self.last + self.idle;
        let until = self.total.min(idle);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= until {
                let (failure, message) = if until < idle {
                    (Failure::Deadline, "the request's time is used up")
                } else {
                    (Failure::IdleTimeout, "the provider's stream stalled")
                };
                return Poll::Ready(Fault::new(failure, message));
            }
            timer.as_mut().reset(until);
        }
    }
}

impl Ledger {
    fn watch(&self, tell: impl FnOnce(&Trail)) {
        if let Some(record) = &self.record {
            record.watch(tell);
        }
    }

    fn bill(&self, decoder: &StreamDecoder) -> Option<Bill> {
        let target = self.settings.plan.targets.get(self.settings.target)?;
        Some(Bill::of(target, decoder.billed(self.settings.input_bytes)))
    }

    fn close(&mut self, decoder: &StreamDecoder, ending: Ending) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        if let Some(bill) = self.bill(decoder) {
            record.bill(self.settings.target, bill);
        }
        record.watch(|trail| trail.answer(decoder.model(), decoder.finish_reason()));
        record.end(ending);
    }
}

/// Lets the provider's connection be used again: reads what follows the terminator, which is the end
/// of the body and nothing else, without making the caller wait for it.
fn read_tail(mut upstream: UpstreamBody, tasks: &TaskTracker) {
    if let UpstreamBody::Http(_) = upstream {
        tasks.spawn(timeout(STREAM_TAIL_TIME, async move {
            while let Some(Ok(_tail)) = upstream.data().await {}
        }));
    }
}

/// The next part to decode: everything that is surely within `tokens`, else one event.
fn next_part(received: &mut Bytes, tokens: Tokens) -> Bytes {
    let bytes = u64::try_from(received.len()).unwrap_or(u64::MAX);
    // An event has fewer tokens than it has bytes.
    if bytes <= tokens.get() {
        return std::mem::take(received);
    }
    let ends = [&b"\n\n"[..], b"\r\n\r\n"]
        .into_iter()
        .filter_map(|end| Some(memchr::memmem::find(received, end)?.saturating_add(end.len())));
    match ends.min() {
        Some(end) => received.split_to(end),
        None => std::mem::take(received),
    }
}

fn too_slow() -> Fault {
    let message = "the provider's stream was slower than `failover.min_throughput`";
    Fault::new(Failure::TooSlow, message)
}

fn stream_fault(fault: &StreamFault) -> Fault {
    match fault {
        StreamFault::Refused(refused) => Fault::refused(refused.clone()),
        StreamFault::Malformed(_) | StreamFault::TooLarge(_) | StreamFault::Truncated => {
            Fault::new(fault.failure(), fault.to_string())
        }
    }
}

/// The usage event with the cost in it, since a stream's head was sent before it was known.
fn with_cost(event: Bytes, bill: Option<Bill>) -> Bytes {
    const USAGE: &[u8] = b"\"usage\":";
    let Some(Cost::Known(amount, _)) = bill.map(|bill| bill.cost) else {
        return event;
    };
    let Some(place) = memchr::memmem::rfind(&event, USAGE) else {
        return event;
    };
    let (before, usage) = event.split_at(place.saturating_add(USAGE.len()));
    let Some(members) = usage.trim_ascii_start().strip_prefix(b"{") else {
        return event;
    };
    if members.trim_ascii_start().starts_with(b"}") {
        return event;
    }
    let mut priced = BytesMut::with_capacity(event.len().saturating_add(32));
    priced.extend_from_slice(before);
    priced.extend_from_slice(format!("{{\"cost_usd\":{amount},").as_bytes());
    priced.extend_from_slice(members);
    priced.freeze()
}

#[cfg(test)]
mod tests {
    use agix_core::units::NanoUsd;
    use agix_core::usage::{PriceSource, Usage, UsageSource};

    use super::*;

    fn bill(cost: Cost) -> Bill {
        Bill {
            usage: Usage::default(),
            source: UsageSource::Reported,
            cost,
        }
    }

    fn priced(event: &'static str, cost: Cost) -> String {
        let bytes = with_cost(Bytes::from_static(event.as_bytes()), Some(bill(cost)));
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    const EVENT: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";

    #[test]
    fn what_may_not_all_pass_is_taken_event_by_event() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\r\n\r\ndata: c");
        let parts = |tokens| {
            let mut received = chunk.clone();
            let mut parts = Vec::new();
            while !received.is_empty() {
                parts.push(next_part(&mut received, Tokens::new(tokens)));
            }
            parts
        };
        assert_eq!(parts(1_000), std::slice::from_ref(&chunk));
        let events: [&[u8]; 3] = [b"data: a\n\n", b"data: b\r\n\r\n", b"data: c"];
        assert_eq!(parts(1), events);
    }

    #[test]
    fn the_usage_event_tells_the_cost() {
        let cost = Cost::Known(NanoUsd::from_nanos(1_250_000), PriceSource::Catalogue);
        assert_eq!(
            priced(EVENT, cost),
            "data: {\"choices\":[],\"usage\":{\"cost_usd\":0.00125,\"prompt_tokens\":1}}\n\n"
        );
    }

    #[test]
    fn an_unknown_cost_is_not_told_as_zero() {
        assert_eq!(priced(EVENT, Cost::Unknown), EVENT);
    }

    #[test]
    fn an_event_of_another_shape_passes_as_it_is() {
        let cost = Cost::Known(NanoUsd::from_nanos(1), PriceSource::Catalogue);
        for event in [
            "data: {\"usage\":null}\n\n",
            "data: {\"usage\": {} }\n\n",
            "data: x\n\n",
        ] {
            assert_eq!(priced(event, cost), event);
        }
    }
}
