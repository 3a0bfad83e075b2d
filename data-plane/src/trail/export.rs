//! Sending spans to a collector, over OTLP.
//!
//! What is sent where, and how much may wait, is said by the environment variables of OpenTelemetry;
//! what is sampled is said by the policy. Spans wait in a queue of a bounded length and are lost
//! beyond it; a collector that is away costs no request anything.

use std::env;
use std::fmt;
use std::time::Duration;

use agix_core::causes::with_causes;
use agix_core::id::ProxyId;
use agix_core::limits::{TRACE_FLUSH_TIME, TRACE_QUEUE};
use agix_telemetry::Way;
use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _,
};

use crate::metrics::TraceMetrics;

/// How a proxy is named to a collector, unless the environment says otherwise.
const SERVICE: &str = "agix-proxy";
/// Says how many spans may wait.
const QUEUE_VARIABLE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";

/// The way to the collector.
pub(crate) struct Tracer {
    processor: BatchSpanProcessor,
    metrics: TraceMetrics,
    scope: InstrumentationScope,
}

/// An exporter whose successes and failures are counted.
#[derive(Debug)]
struct Counted {
    exporter: Otlp,
    metrics: TraceMetrics,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

impl Tracer {
    /// The way that the environment tells, unless it says that there is none. Nobody is connected
    /// to before there is something to send. Called within a runtime, which must outlive it.
    pub(crate) fn from_environment(proxy: &ProxyId, metrics: TraceMetrics) -> Option<Self> {
        let Way { exporter, resource } = match Way::from_environment(SERVICE, Some(proxy.as_str()))
        {
            Ok(way) => way?,
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "there are no traces");
                return None;
            }
        };
        let counted = Counted {
            exporter,
            metrics: metrics.clone(),
        };
        let config = match env::var_os(QUEUE_VARIABLE) {
            Some(_) => BatchConfigBuilder::default(),
            None => BatchConfigBuilder::default().with_max_queue_size(TRACE_QUEUE),
        };
        let mut processor = BatchSpanProcessor::new(counted, config.build());
        processor.set_resource(&resource);
        let version = env!("CARGO_PKG_VERSION");
        Some(Self {
            processor,
            metrics,
            scope: InstrumentationScope::builder("agix")
                .with_version(version)
                .build(),
        })
    }

    /// Takes a span, or loses it if too many wait.
    pub(super) fn take(&self, span: SpanData) {
        self.metrics.recorded.inc();
        self.processor.on_end(SpanData {
            instrumentation_scope: self.scope.clone(),
            ..span
        });
    }

    /// Sends what waits, for a bounded time. Blocks.
    pub(crate) fn stop(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(TRACE_FLUSH_TIME) {
            let error = with_causes(&error);
            tracing::warn!(error, "the last spans were not exported");
        }
    }
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let exported = self.exporter.export(batch).await;
        match &exported {
            Ok(()) => self.metrics.exported.inc_by(spans),
            Err(error) => {
                tracing::debug!(%error, spans, "spans were not exported");
                self.metrics.failed.inc_by(spans)
            }
        };
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
