//! Counters of what watches requests: traces and audit records.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpanOutcome {
    outcome: &'static str,
}

/// Counters of traces. What was recorded and neither exported nor failed waits, or was lost.
#[derive(Debug, Clone)]
pub(crate) struct TraceMetrics {
    spans: Family<SpanOutcome, Counter>,
    pub(crate) recorded: Counter,
    pub(crate) exported: Counter,
    pub(crate) failed: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordOutcome {
    outcome: &'static str,
}

/// Counters of audit records.
#[derive(Debug, Clone)]
pub(crate) struct AuditMetrics {
    records: Family<RecordOutcome, Counter>,
    pub(crate) written: Counter,
    pub(crate) lost: Counter,
    pub(crate) waiting: Gauge,
}

impl TraceMetrics {
    pub(super) fn new() -> Self {
        let spans: Family<SpanOutcome, Counter> = Family::default();
        let of = |outcome| spans.get_or_create(&SpanOutcome { outcome }).clone();
        Self {
            recorded: of("recorded"),
            exported: of("exported"),
            failed: of("failed"),
            spans,
        }
    }

    pub(super) fn register(&self, r: &mut Registry) {
        let help = "Spans of sampled requests, by what became of them";
        r.register("spans", help, self.spans.clone());
    }
}

impl AuditMetrics {
    pub(super) fn new() -> Self {
        let records: Family<RecordOutcome, Counter> = Family::default();
        let of = |outcome| records.get_or_create(&RecordOutcome { outcome }).clone();
        Self {
            written: of("written"),
            lost: of("lost"),
            waiting: Gauge::default(),
            records,
        }
    }

    pub(super) fn register(&self, r: &mut Registry) {
        let help = "Audit records of requests, by what became of them";
        r.register("audit_records", help, self.records.clone());
        let help = "Audit records that wait to be written";
        r.register("audit_waiting", help, self.waiting.clone());
    }
}
