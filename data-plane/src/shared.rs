//! What all workers of a proxy share. Everything here is read without a lock, or counted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use agix_core::failover::RetryBudget;
use agix_core::limits::REQUEST_BYTES_TOTAL;
use agix_core::price::Catalogue;
use agix_core::usage::UsageRecord;
use agix_proto::v1::RequestSummary;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::audit::Auditor;
use crate::breakers::Breakers;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::quota::{Gate, Journal, Quota};
use crate::snapshot::Compiled;
use crate::traffic::Traffic;
use crate::trail::Tracer;
use crate::webhook;

/// Takes the record of each finished request. Called on the request's own thread: it must not
/// block.
pub trait UsageSink: Send + Sync + fmt::Debug {
    /// Takes one record.
    fn record(&self, record: UsageRecord);
}

/// A sink that keeps nothing; the counters of `/metrics` are kept in any case.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

impl UsageSink for NoSink {
    fn record(&self, _record: UsageRecord) {}
}

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) compiled: ArcSwap<Compiled>,
    pub(crate) catalogue: Catalogue,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) traffic: Traffic,
    pub(crate) quota: Arc<Quota>,
    pub(crate) sink: Arc<dyn UsageSink>,
    pub(crate) draining: AtomicBool,
    pub(crate) bodies: BodyMemory,
    /// Absent without a control plane.
    pub(crate) queue: Option<webhook::Queue>,
    pub(crate) breakers: Breakers,
    pub(crate) retry_budget: RetryBudget,
    /// There once a policy has asked for traces.
    pub(crate) tracer: OnceLock<Tracer>,
    /// There once the proxy has started.
    pub(crate) auditor: OnceLock<Auditor>,
}

/// What drivers hear from those who serve requests.
#[derive(Debug)]
pub(crate) struct News {
    /// Agents that need something of the ledger.
    pub(crate) gates: mpsc::Receiver<Arc<Gate>>,
    /// Requests that are to be told of.
    pub(crate) requests: mpsc::Receiver<RequestSummary>,
}

impl Shared {
    /// A proxy without a policy, and what its drivers hear from it.
    pub(crate) fn new(
        catalogue: Catalogue,
        sink: Arc<dyn UsageSink>,
        journal: Option<Journal>,
        webhooks: Option<webhook::Queue>,
    ) -> (Self, News) {
        let clock = Clock::start();
        let metrics = Metrics::new();
        let (quota, gates) = Quota::new(clock, metrics.quota.clone(), journal);
        let (traffic, requests) = Traffic::new();
        let shared = Self {
            compiled: ArcSwap::from_pointee(Compiled::empty()),
            catalogue,
            clock,
            metrics,
            traffic,
            quota: Arc::new(quota),
            sink,
            draining: AtomicBool::new(false),
            bodies: BodyMemory::default(),
            queue: webhooks,
            breakers: Breakers::default(),
            retry_budget: RetryBudget::default(),
            tracer: OnceLock::new(),
            auditor: OnceLock::new(),
        };
        (shared, News { gates, requests })
    }
}

/// The memory that request bodies hold together, bounded by [`REQUEST_BYTES_TOTAL`].
#[derive(Debug, Default)]
pub(crate) struct BodyMemory {
    held: AtomicUsize,
}

/// A part of the body memory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Held {
    /// Nothing yet.
    pub(crate) fn none(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            bytes: 0,
        }
    }

    /// Takes `bytes` more, unless that is more than all requests may hold.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let held = &self.shared.bodies.held;
        let before = held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(bytes);
        before.saturating_add(bytes) <= REQUEST_BYTES_TOTAL
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared
            .bodies
            .held
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
