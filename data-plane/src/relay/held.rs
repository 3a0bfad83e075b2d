//! A stream that is held back until it is whole.
//!
//! The caller sees nothing of a stream that dies, so that another target can answer in its place. It
//! is read under the bounds of any other stream (silence, total time, what is set aside), and may be
//! as large as a plain answer.

use std::task::Poll;
use std::time::Duration;

use agix_core::failover::{Failure, Pace};
use agix_core::limits::UPSTREAM_ANSWER_BYTES;
use agix_core::policy::MinThroughput;
use agix_core::price::Tariff;
use agix_core::units::Tokens;
use agix_core::usage::{Usage, UsageSource};
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::{Opening, next_part, stream_fault, too_slow, with_cost};
use crate::attempt::Fault;
use crate::clock::{Clock, runtime_now};
use crate::dialect::{Finish, StreamItem, StreamItemKind};
use crate::plan::Target;
use crate::quota::{Meter, Room};
use crate::record::{Bill, Ending, Record};
use crate::upstream::UpstreamBody;

/// A whole stream.
#[derive(Debug)]
pub(crate) struct Held {
    items: Vec<StreamItem>,
    billed: (Usage, UsageSource),
    model: Option<String>,
    finish: Option<Finish>,
}

/// What a stream is held back with.
#[derive(Debug)]
pub(crate) struct HoldSettings<'a> {
    pub(crate) tariff: Option<&'a Tariff>,
    /// Bytes of the request, to estimate its tokens where the provider reports none.
    pub(crate) input_bytes: u64,
    pub(crate) tasks: &'a TaskTracker,
    pub(crate) idle: Duration,
    pub(crate) min_throughput: Option<MinThroughput>,
    pub(crate) clock: &'a Clock,
    pub(crate) total: Instant,
}

impl Opening {
    /// Reads the stream to its end.
    pub(crate) async fn hold(
        self,
        record: &mut Record,
        settings: HoldSettings<'_>,
    ) -> Result<Held, Fault> {
        let Self {
            mut upstream,
            mut decoder,
            mut items,
        } = self;
        let mut meter = record
            .reservation()
            .filter(|_| record.has_set_aside())
            .map(|reservation| Meter::new(*reservation));
        let least = settings.min_throughput;
        let mut pace = least.map(|least| Pace::new(least, decoder.output_seen()));
        let mut received = Bytes::new();
        let mut bytes: usize = items.iter().map(|item| item.bytes.len()).sum();
        let fault = loop {
            if decoder.is_done() {
                super::read_tail(upstream, settings.tasks);
                break None;
            }
            let seen = decoder.output_seen();
            let tokens = match room(meter.as_mut(), record, settings.tariff, seen).await {
                Room::For(tokens) => tokens,
                Room::Wait | Room::None => {
                    // First of all: every moment more is billed.
                    drop(upstream);
                    decoder.cut(settings.input_bytes, &mut items);
                    break None;
                }
            };
            if received.is_empty() {
                let waits = |pace: &mut Pace| pace.waits(seen, settings.clock.mono());
                if pace.as_mut().is_some_and(waits) {
                    break Some(too_slow());
                }
                let next = next(&mut upstream, &settings).await;
                if let Some(pace) = &mut pace {
                    pace.came(settings.clock.mono());
                }
                match next {
                    Ok(Some(part)) => received = part,
                    Ok(None) => {
                        let outcome = decoder.finish(&mut items);
                        break outcome.err().map(|fault| stream_fault(&fault));
                    }
                    Err(fault) => break Some(fault),
                }
            }
            let before = items.len();
            let part = next_part(&mut received, tokens);
            if let Err(fault) = decoder.push(part, &mut items) {
                break Some(stream_fault(&fault));
            }
            let more = items.iter().skip(before).map(|item| item.bytes.len());
            bytes = more.fold(bytes, usize::saturating_add);
            if bytes > UPSTREAM_ANSWER_BYTES {
                let message = "the provider's answer is too large to be held back";
                break Some(Fault::new(Failure::TooLarge, message));
            }
        };
        let billed = decoder.billed(settings.input_bytes);
        match fault {
            // What passed is billed, whether anybody saw it or not.
            Some(fault) => Err(fault.billed(billed)),
            None => Ok(Held {
                items,
                billed,
                model: decoder.model().map(str::to_owned),
                finish: decoder.finish_reason(),
            }),
        }
    }
}

impl Held {
    /// The stream as the caller gets it, and its bill. The request is settled with it.
    pub(crate) fn settled(
        self,
        (place, target): (usize, &Target),
        mut record: Record,
    ) -> (Bytes, Bill) {
        let bill = Bill::of(target, self.billed);
        let mut body = BytesMut::new();
        for item in self.items {
            match item.kind {
                StreamItemKind::Idle => {}
                StreamItemKind::Usage => {
                    body.extend_from_slice(&with_cost(item.bytes, Some(bill)));
                }
                StreamItemKind::Data | StreamItemKind::Content | StreamItemKind::Done => {
                    body.extend_from_slice(&item.bytes);
                }
            }
        }
        let body = body.freeze();
        record.bill(place, bill);
        record.watch(|trail| {
            trail.answer(self.model.as_deref(), self.finish);
            trail.says(&body);
        });
        record.end(Ending::Answered);
        (body, bill)
    }
}

/// How much may pass after `seen`; waits for more to be set aside.
async fn room(
    meter: Option<&mut Meter>,
    record: &mut Record,
    tariff: Option<&Tariff>,
    seen: Tokens,
) -> Room {
    const ALL: Room = Room::For(Tokens::new(u64::MAX));
    let (Some(meter), Some(tariff)) = (meter, tariff) else {
        return ALL;
    };
    let Some(pass) = record.pass_mut() else {
        return ALL;
    };
    std::future::poll_fn(|cx| match meter.poll(cx, pass, tariff, seen) {
        Room::Wait => Poll::Pending,
        room => Poll::Ready(room),
    })
    .await
}

async fn next(
    upstream: &mut UpstreamBody,
    settings: &HoldSettings<'_>,
) -> Result<Option<Bytes>, Fault> {
    let idle = runtime_now() + settings.idle;
    let until = settings.total.min(idle);
    match timeout_at(until, upstream.data()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(part))) => Ok(Some(part)),
        Ok(Some(Err(_broken))) => {
            let message = "the provider's stream broke off";
            Err(Fault::new(Failure::Truncated, message))
        }
        Err(_elapsed) if until < idle => {
            let message = "the request's time is used up";
            Err(Fault::new(Failure::Deadline, message))
        }
        Err(_elapsed) => {
            let message = "the provider's stream stalled";
            Err(Fault::new(Failure::IdleTimeout, message))
        }
    }
}
