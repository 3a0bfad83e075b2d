//! Spans of the calls that people and their programs make, for a collector.
//!
//! Rules this module keeps:
//! - Whether a call is sampled is said by its caller's trace, else by the policy's share; where it goes
//!   and how much may wait, by the environment variables of OpenTelemetry. A collector that is away
//!   delays no call.
//! - A span says which method was called and how that ended, and nothing of what was said.
//! - Streams that proxies keep open, and what proxies say each second, are no spans.

use agix_core::causes::with_causes;
use agix_core::limits::TRACE_FLUSH_TIME;
use agix_telemetry::Way;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use tonic::Code;
use tonic::service::Routes;
use tracing::{error, warn};

use crate::access;
use crate::repository::{Repository, RevisionInfo};
use crate::store::AnyStore;

/// How these programs are named to a collector, unless the environment says otherwise.
const SERVICE: &str = "agix-control-plane";

/// Services of which each call is one of a person, or of a program in a person's place.
const WATCHED: [&str; 7] = [
    agix_proto::v1::policy_admin_server::SERVICE_NAME,
    agix_proto::v1::fleet_server::SERVICE_NAME,
    agix_proto::v1::ledger_admin_server::SERVICE_NAME,
    agix_proto::v1::webhook_admin_server::SERVICE_NAME,
    agix_proto::v1::audit_admin_server::SERVICE_NAME,
    agix_proto::v1::state_admin_server::SERVICE_NAME,
    agix_proto::v1::traffic_server::SERVICE_NAME,
];

/// The way to the collector.
#[derive(Debug, Clone)]
pub(crate) struct Spans {
    provider: SdkTracerProvider,
}

#[derive(Debug, Clone)]
struct Watch {
    tracer: SdkTracer,
    repository: Repository<AnyStore>,
}

struct Headers<'a>(&'a HeaderMap);

impl Spans {
    /// The way that the environment tells, unless it says that there is none. Nobody is connected to
    /// before there is something to send. Called within a runtime, which must outlive it.
    fn from_environment() -> Option<Self> {
        let Way { exporter, resource } = match Way::from_environment(SERVICE, None) {
            Ok(way) => way?,
            Err(cause) => {
                let cause = with_causes(&cause);
                error!(error = cause, "there are no traces");
                return None;
            }
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            // What is not to be sampled is no span at all.
            .with_sampler(Sampler::AlwaysOn)
            .build();
        Some(Self { provider })
    }

    /// The same services, watched if there is a way to a collector.
    pub(crate) fn watch(
        routes: Routes,
        repository: &Repository<AnyStore>,
    ) -> (Routes, Option<Self>) {
        let Some(spans) = Self::from_environment() else {
            return (routes, None);
        };
        let watch = Watch {
            tracer: spans.provider.tracer("agix"),
            repository: repository.clone(),
        };
        let router = routes.into_axum_router();
        let routes = router.layer(from_fn_with_state(watch, observe)).into();
        (routes, Some(spans))
    }

    /// Sends what waits, for a bounded time. Blocks.
    pub(crate) fn stop(&self) {
        if let Err(cause) = self.provider.shutdown_with_timeout(TRACE_FLUSH_TIME) {
            let cause = with_causes(&cause);
            warn!(error = cause, "the last spans were not exported");
        }
    }
}

impl Watch {
    /// The span of a call, if it is to be one.
    fn begin(&self, request: &Request) -> Option<Span> {
        let path = request.uri().path();
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        // A name that a stranger makes up is none.
        if !WATCHED.contains(&service) || !access::is_known(path) {
            return None;
        }
        let published = self.repository.current()?;
        let settings = &published.policy().tracing;
        let headers = Headers(request.headers());
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        let span = parent.span();
        let caller = span.span_context();
        let sampled = if caller.is_valid() {
            caller.is_sampled()
        } else {
            settings.sample_rate.takes(fastrand::u64(..))
        };
        (settings.enabled && sampled).then(|| {
            self.tracer
                .span_builder(format!("{service}/{method}"))
                .with_kind(SpanKind::Server)
                .with_attributes([
                    KeyValue::new("rpc.system", "grpc"),
                    KeyValue::new("rpc.service", service.to_owned()),
                    KeyValue::new("rpc.method", method.to_owned()),
                    KeyValue::new("agix.policy.revision", revision(published.info())),
                ])
                .start_with_context(&self.tracer, &parent)
        })
    }
}

/// The revision in force, as spans have numbers.
fn revision(info: &RevisionInfo) -> i64 {
    i64::try_from(info.revision.number()).unwrap_or(i64::MAX)
}

/// Answers a call, within its span if it has one. One that its caller gives up ends there.
async fn observe(State(watch): State<Watch>, request: Request, next: Next) -> Response {
    let Some(mut span) = watch.begin(&request) else {
        return next.run(request).await;
    };
    let response = next.run(request).await;
    let code = code(response.headers());
    span.set_attribute(KeyValue::new(
        "rpc.grpc.status_code",
        i64::from(i32::from(code)),
    ));
    if let Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss = code {
        span.set_attribute(KeyValue::new("error.type", code.description()));
        span.set_status(Status::error(code.description()));
    }
    span.end();
    response
}

/// How a call ended. What fails has its status in the head of its answer.
fn code(head: &HeaderMap) -> Code {
    let status = head.get("grpc-status");
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
