//! A collector of traces: the server that OpenTelemetry's own protocol files describe, which keeps
//! what it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A collector on a thread of its own. Dropped, it is gone.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Spans,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    /// What it is called.
    pub name: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The span it is part of; empty for the first of a trace.
    pub parent: String,
    /// Whose side of a call it is.
    pub kind: SpanKind,
    /// Nanoseconds since 1970.
    pub began: u64,
    /// Nanoseconds since 1970.
    pub ended: u64,
    /// Whether it failed.
    pub is_error: bool,
    /// What it says.
    pub attributes: BTreeMap<String, Value>,
    /// What happened meanwhile.
    pub events: Vec<(String, BTreeMap<String, Value>)>,
    /// What it says of the process.
    pub process: BTreeMap<String, Value>,
}

type Spans = Arc<Mutex<Vec<Span>>>;

struct Service(Spans);

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// No port or no thread can be had.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("its address");
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener).expect("a socket")
        };
        let (spans, stop) = (Spans::default(), CancellationToken::new());
        let serving = Server::builder()
            .add_service(TraceServiceServer::new(Service(Arc::clone(&spans))))
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener),
                stop.clone().cancelled_owned(),
            );
        let thread = std::thread::Builder::new()
            .name("collector".to_owned())
            .spawn(move || runtime.block_on(serving).expect("the collector serves"))
            .expect("a thread");
        Self {
            address,
            spans,
            stop,
            thread: Some(thread),
        }
    }

    /// What makes a program of agix send its spans here, often.
    pub fn environment(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// All that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The spans of one trace.
    pub fn trace(&self, trace: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == trace);
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It failed if the test did.
            drop(thread.join());
        }
    }
}

impl Span {
    /// What it says under that name; null if nothing.
    pub fn says(&self, name: &str) -> Value {
        self.attributes.get(name).cloned().unwrap_or_default()
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of_process in request.into_inner().resource_spans {
            let process = of_process.resource.unwrap_or_default();
            let process = attributes(process.attributes);
            let spans = of_process
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            for span in spans {
                let kind = span.kind();
                let events = span.events.into_iter();
                kept.push(Span {
                    kind,
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    began: span.start_time_unix_nano,
                    ended: span.end_time_unix_nano,
                    is_error: span.status.is_some_and(|status| status.code == 2),
                    attributes: attributes(span.attributes),
                    events: events
                        .map(|event| (event.name, attributes(event.attributes)))
                        .collect(),
                    process: process.clone(),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    bytes.iter().flat_map(digits).flatten().collect()
}

fn attributes(said: Vec<KeyValue>) -> BTreeMap<String, Value> {
    said.into_iter()
        .map(|one| (one.key, one.value.map_or(Value::Null, value)))
        .collect()
}

fn value(any: AnyValue) -> Value {
    match any.value {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::BoolValue(flag)) => json!(flag),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::DoubleValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(list)) => list.values.into_iter().map(value).collect(),
        other => json!(format!("{other:?}")),
    }
}
