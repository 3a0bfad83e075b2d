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
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _,
};

use crate::metrics::TraceMetrics;

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
        let is = |name: &str, value: &str| {
            env::var(name).is_ok_and(|set| set.trim().eq_ignore_ascii_case(value))
        };
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        let exporter = match Otlp::builder().with_tonic().build() {
            Ok(exporter) => exporter,
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(
                    error,
                    "no trace can be exported: look at OTEL_EXPORTER_OTLP_*"
                );
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
        processor.set_resource(&resource(proxy));
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

/// What the spans say of the process: our own words, over them those of the environment.
fn resource(proxy: &ProxyId) -> Resource {
    let own = [
        KeyValue::new("service.name", "agix-proxy"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", proxy.to_string()),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(EnvResourceDetector::new()));
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}
