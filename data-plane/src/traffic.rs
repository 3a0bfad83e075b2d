//! What the proxy tells the control plane of its traffic, once a second, for people who watch.
//!
//! Rules this module keeps:
//! - A request counts with a few additions and never waits. It is told of one by one only if somebody
//!   watches, and only so many in a second; the draw is made when it begins.
//! - Nothing rests on it: what cannot be told is left out.
//! - Nothing of what was asked and answered is told.

mod summary;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use agix_core::id::ProxyId;
use agix_core::limits::{
    TRAFFIC_BYTES, TRAFFIC_CONTROL_PLANES, TRAFFIC_INTERVAL, TRAFFIC_SAMPLE, TRAFFIC_TIME,
    TRAFFIC_WAITING,
};
use agix_core::units::NanoUsd;
use agix_core::usage::Usage;
use agix_proto::v1::traffic_reports_client::TrafficReportsClient;
use agix_proto::v1::{ReportRequest, RequestSummary, TrafficCounts};
use futures_util::future::join_all;
use prost::Message as _;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::control_line::{Channel, lazily};
use crate::policy_sync::SyncConfig;
use crate::shared::Shared;
use crate::trail::Told;

/// What there is to tell.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) counts: Counts,
    /// Requests that may still be told of in this second.
    places: AtomicU32,
    told: Sender<RequestSummary>,
}

/// Sums since the proxy started.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) caller_left: AtomicU64,
    pub(crate) failovers: AtomicU64,
    attempts: AtomicU64,
    attempts_failed: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    cost: AtomicU64,
}

/// Counts one more.
pub(crate) fn one(count: &AtomicU64) {
    add(count, 1);
}

fn add(count: &AtomicU64, more: u64) {
    if more > 0 {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

impl Counts {
    /// Counts calls of providers, and those of them that failed.
    pub(crate) fn attempts(&self, made: u64, failed: u64) {
        add(&self.attempts, made);
        add(&self.attempts_failed, failed);
    }

    /// Counts what a call billed.
    pub(crate) fn billed(&self, usage: &Usage, cost: NanoUsd) {
        add(&self.input_tokens, usage.total_input().get());
        add(&self.output_tokens, usage.total_output().get());
        add(&self.cost, cost.as_nanos());
    }

    fn read(&self) -> TrafficCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TrafficCounts {
            answered: read(&self.answered),
            failed: read(&self.failed),
            refused: read(&self.refused),
            caller_left: read(&self.caller_left),
            failovers: read(&self.failovers),
            attempts: read(&self.attempts),
            attempts_failed: read(&self.attempts_failed),
            input_tokens: read(&self.input_tokens),
            output_tokens: read(&self.output_tokens),
            cost_nano_usd: read(&self.cost),
        }
    }
}

impl Traffic {
    /// Nothing yet, and where summaries of requests come out.
    pub(crate) fn new() -> (Self, Receiver<RequestSummary>) {
        let (told, summaries) = channel(TRAFFIC_WAITING);
        let traffic = Self {
            counts: Counts::default(),
            places: AtomicU32::new(0),
            told,
        };
        (traffic, summaries)
    }

    /// Whether a request that begins now is to be told of.
    pub(crate) fn takes(&self) -> bool {
        // Without a place, and so mostly, nothing is written that others read.
        self.places.load(Ordering::Relaxed) > 0
            && self
                .places
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
    }

    /// Takes what became of a request.
    pub(crate) fn take(&self, told: &Told<'_>) {
        // What waits beyond the bound is left out.
        drop(self.told.try_send(summary::of(told)));
    }
}

/// Who reports, and to whom.
#[derive(Debug)]
pub(crate) struct Reporter {
    proxy: ProxyId,
    incarnation: u64,
    control_planes: Vec<Channel>,
}

impl Reporter {
    /// The proxy of `config`, which tells all its control planes, so that each can show the whole
    /// fleet. An address that is none is complained of by those who talk with the control plane all
    /// the time.
    pub(crate) fn of(config: &SyncConfig) -> Self {
        let channels = config.endpoints.addresses.iter();
        let credentials = &config.endpoints.credentials;
        let channels = channels.filter_map(|it| lazily(it, credentials).ok());
        Self {
            proxy: config.proxy_id.clone(),
            incarnation: config.incarnation,
            control_planes: channels.take(TRAFFIC_CONTROL_PLANES).collect(),
        }
    }
}

/// Reports until `stop`.
pub(crate) async fn report(
    reporter: Reporter,
    shared: Arc<Shared>,
    mut summaries: Receiver<RequestSummary>,
    stop: CancellationToken,
) {
    let mut ticks = interval(TRAFFIC_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _tick = ticks.tick() => {}
        }
        let request = ReportRequest {
            proxy_id: reporter.proxy.as_str().to_owned(),
            incarnation: reporter.incarnation,
            counts: Some(shared.traffic.counts.read()),
            requests: waiting(&mut summaries),
        };
        let channels = reporter.control_planes.iter();
        let told = channels.map(|it| tell(it.clone(), request.clone()));
        let wanted = tokio::select! {
            () = stop.cancelled() => return,
            wanted = join_all(told) => wanted,
        };
        let most = wanted.into_iter().max().unwrap_or(0);
        shared.traffic.places.store(most, Ordering::Relaxed);
    }
}

/// Tells one control plane, and hears how many requests it wants to be told of. One that is away, or
/// older than this, wants none.
async fn tell(channel: Channel, request: ReportRequest) -> u32 {
    let mut client = TrafficReportsClient::new(channel).max_encoding_message_size(TRAFFIC_BYTES);
    match timeout(TRAFFIC_TIME, client.report(request)).await {
        Ok(Ok(answer)) => answer.into_inner().requests_a_second.min(TRAFFIC_SAMPLE),
        Ok(Err(_)) | Err(_) => 0,
    }
}

/// What waits to be told, as far as it fits into a report.
fn waiting(summaries: &mut Receiver<RequestSummary>) -> Vec<RequestSummary> {
    let mut bytes = 0_usize;
    let mut fitting = Vec::new();
    while let Ok(summary) = summaries.try_recv() {
        bytes = bytes.saturating_add(summary.encoded_len());
        if bytes < TRAFFIC_BYTES / 2 {
            fitting.push(summary);
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_requests_of_a_second_are_told_of() {
        let (traffic, _summaries) = Traffic::new();
        assert!(!traffic.takes(), "nobody watches yet");
        traffic.places.store(2, Ordering::Relaxed);
        assert_eq!(
            [(); 4].map(|()| traffic.takes()),
            [true, true, false, false]
        );
    }

    #[test]
    fn a_report_is_bounded() {
        let (traffic, mut summaries) = Traffic::new();
        let long = RequestSummary {
            reason: "x".repeat(TRAFFIC_BYTES / 8),
            ..RequestSummary::default()
        };
        for _ in 0..TRAFFIC_WAITING + 9 {
            drop(traffic.told.try_send(long.clone()));
        }
        assert_eq!(waiting(&mut summaries).len(), 3);
        assert_eq!(waiting(&mut summaries).len(), 0, "the rest is left out");
    }
}
