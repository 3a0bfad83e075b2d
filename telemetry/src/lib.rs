//! The way of spans to a collector, over OTLP, for both planes.
//!
//! Where spans are sent, and how the process is named, is said by the environment variables of
//! OpenTelemetry. Nobody is connected to before there is something to send.

use std::env;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;

/// Where spans go, and what they say of the process.
#[derive(Debug)]
pub struct Way {
    /// Sends them.
    pub exporter: SpanExporter,
    /// What they say of the process.
    pub resource: Resource,
}

/// What can be set in the environment gives no way.
#[derive(Debug, thiserror::Error)]
#[error("no trace can be exported: look at OTEL_EXPORTER_OTLP_*")]
pub struct NoWay(#[source] ExporterBuildError);

impl Way {
    /// The way that the environment tells for `service`, of which this is `instance`; none if it says
    /// that there is to be none. Called within a runtime, which must outlive it.
    ///
    /// # Errors
    /// The environment's settings contradict each other or cannot be read.
    pub fn from_environment(service: &str, instance: Option<&str>) -> Result<Option<Self>, NoWay> {
        let is = |name: &str, value: &str| {
            env::var(name).is_ok_and(|set| set.trim().eq_ignore_ascii_case(value))
        };
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_tonic().build();
        Ok(Some(Self {
            exporter: exporter.map_err(NoWay)?,
            resource: resource(service, instance),
        }))
    }
}

/// Our own words, over them those of the environment.
fn resource(service: &str, instance: Option<&str>) -> Resource {
    let own = [
        KeyValue::new("service.name", service.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let instance = instance.map(|it| KeyValue::new("service.instance.id", it.to_owned()));
    let resource = Resource::builder_empty()
        .with_attributes(own.into_iter().chain(instance))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}
