//! The HTTP side of the mock provider: one accept loop, one task per connection.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::behaviour::{Behaviour, Script};
use super::body::{Broken, Steps};
use super::ledger::{Call, Ledger};
use super::rendering::{Accepted, Refused, Rendering};
use super::reply::{Answer, Reply};
use super::staging::{Staged, stage};
use super::{anthropic, completions, gemini, openai};

/// Scripts, replies and the book: what all connections share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    models: Arc<Mutex<HashMap<String, Model>>>,
    /// The only key taken; unset: any.
    key: Arc<OnceLock<String>>,
}

#[derive(Debug, Default)]
struct Model {
    script: Script,
    reply: Reply,
}

/// What `POST /_mock/script` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptRequest {
    model: String,
    #[serde(default)]
    steps: std::collections::VecDeque<Behaviour>,
    #[serde(default)]
    then: Behaviour,
    reply: Option<Reply>,
}

/// Which protocol an endpoint speaks.
#[derive(Debug, Clone, Copy)]
enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Messages,
    /// Google's; whether it is a stream stands in the path.
    Content {
        stream: bool,
    },
}

/// A request the provider took, and how to answer it.
struct Taken {
    request: Accepted,
    /// Inputs and base64, of an embeddings request.
    embeddings: Option<(usize, bool)>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            ledger: Ledger::new(),
            models: Arc::default(),
            key: Arc::default(),
        }
    }

    fn models(&self) -> MutexGuard<'_, HashMap<String, Model>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self, model: &str, script: Script) {
        self.models().entry(model.to_owned()).or_default().script = script;
    }

    pub(super) fn reply(&self, model: &str, reply: Reply) {
        self.models().entry(model.to_owned()).or_default().reply = reply;
    }

    pub(super) fn accept_only(&self, key: &str) {
        // The first key stays.
        drop(self.key.set(key.to_owned()));
    }

    fn key(&self) -> Option<&str> {
        self.key.get().map(String::as_str)
    }

    fn next(&self, model: &str) -> (Behaviour, Reply) {
        let mut models = self.models();
        let found = models
            .get_mut(model)
            .map(|model| (model.script.next(), model.reply.clone()));
        drop(models);
        found.unwrap_or_default()
    }
}

/// Serves until `stop` is cancelled, then drops the connections.
pub(super) async fn serve(listener: TcpListener, shared: Shared, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        drop(stream.set_nodelay(true));
        let shared = shared.clone();
        let stop = stop.clone();
        connections.spawn(async move {
            let reset = Arc::new(AtomicBool::new(false));
            let io = Connection {
                io: TokioIo::new(stream),
                reset: Arc::clone(&reset),
            };
            let service = service_fn(|request| answer(request, shared.clone(), Arc::clone(&reset)));
            let connection = http1::Builder::new()
                .max_buf_size(1024 * 1024)
                .serve_connection(io, service);
            tokio::select! {
                // A broken connection is what scripts are for.
                ended = connection => drop(ended),
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Shared,
    reset: Arc<AtomicBool>,
) -> Result<Response<Steps>, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if head.uri.path().starts_with("/_mock/") {
        let staged = control(&head, &body, &shared);
        let unlisted = Shared::new().ledger.open(&head, &[]);
        unlisted.status(staged.status);
        return respond(staged, unlisted, reset);
    }
    let call = shared.ledger.open(&head, &body);
    let id = HeaderValue::try_from(format!("req_mock{:06}", call.number()));
    let name = match head.uri.path() {
        "/v1/messages" => "request-id",
        _ => "x-request-id",
    };
    let mut response = meet(&head, &body, &shared, call, reset).await?;
    let id = id.map_err(http::Error::from)?;
    response.headers_mut().insert(name, id);
    Ok(response)
}

/// Answers a call of the provider's API, as the script of its model says.
async fn meet(
    head: &http::request::Parts,
    body: &Bytes,
    shared: &Shared,
    mut call: Call,
    reset: Arc<AtomicBool>,
) -> Result<Response<Steps>, Broken> {
    let endpoint = match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/chat/completions") => Endpoint::Chat,
        (&Method::POST, "/v1/completions") => Endpoint::Completions,
        (&Method::POST, "/v1/embeddings") => Endpoint::Embeddings,
        (&Method::POST, "/v1/messages") => Endpoint::Messages,
        (&Method::POST, "/v1/messages/count_tokens") => {
            let counted = anthropic::count_tokens(&head.headers, shared.key(), body);
            return respond(counted.into(), call, reset);
        }
        (&Method::GET, "/v1/models") => return respond(models(head, shared.key()), call, reset),
        (&Method::POST, path) if gemini::call_of(path).is_some_and(|(_, stream)| !stream) => {
            Endpoint::Content { stream: false }
        }
        (&Method::POST, path) if gemini::call_of(path).is_some() => {
            Endpoint::Content { stream: true }
        }
        (method, path) => {
            let message = format!("Invalid URL ({method} {path})");
            let body = json!({ "error": { "message": message, "type": "invalid_request_error" } });
            return respond(Refused::new(404, body).into(), call, reset);
        }
    };
    let taken = match take(endpoint, head, body, shared.key()) {
        Ok(taken) => taken,
        Err(refused) => return respond(refused.into(), call, reset),
    };
    let (behaviour, reply) = shared.next(&taken.request.model);
    let answer = Answer::new(&taken.request, &reply, call.number());
    call.meets(&behaviour, answer.usage);
    if reply.head_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.head_ms)).await;
    }
    match &behaviour {
        Behaviour::ResetBeforeHeaders => {
            reset.store(true, Ordering::Relaxed);
            call.broken();
            Err(Broken::Scripted)
        }
        Behaviour::SilenceBeforeHeaders => std::future::pending().await,
        Behaviour::Redirect { to } => {
            let mut staged = Staged::from(Refused::new(307, Value::Null));
            staged.headers.push(("location", to.clone()));
            respond(staged, call, reset)
        }
        Behaviour::Status(_)
        | Behaviour::RateLimited { .. }
        | Behaviour::QuotaExhausted
        | Behaviour::SpendLimit
        | Behaviour::ContextLength
        | Behaviour::ContentFilter => {
            let refused = refusal(endpoint, &behaviour, &taken.request.model);
            respond(refused.into(), call, reset)
        }
        _ => {
            let rendering = render(endpoint, &answer, &taken, &behaviour);
            let pause = Duration::from_millis(if taken.request.stream {
                reply.piece_ms
            } else {
                0
            });
            respond(stage(&behaviour, &rendering, pause), call, reset)
        }
    }
}

fn take(
    endpoint: Endpoint,
    head: &http::request::Parts,
    body: &[u8],
    key: Option<&str>,
) -> Result<Taken, Refused> {
    let plain = |request| Taken {
        request,
        embeddings: None,
    };
    match endpoint {
        Endpoint::Chat => {
            openai::check_key(&head.headers, key)?;
            openai::accept_chat(body).map(plain)
        }
        Endpoint::Completions => {
            openai::check_key(&head.headers, key)?;
            completions::accept(body).map(plain)
        }
        Endpoint::Messages => {
            anthropic::check_key(&head.headers, key)?;
            anthropic::accept(body).map(plain)
        }
        Endpoint::Content { stream } => {
            gemini::check_key(&head.headers, key)?;
            let (model, _) = gemini::call_of(head.uri.path()).unwrap_or_default();
            gemini::accept(model, stream, body).map(plain)
        }
        Endpoint::Embeddings => {
            openai::check_key(&head.headers, key)?;
            let (request, inputs, base64) = openai::accept_embeddings(body)?;
            Ok(Taken {
                request,
                embeddings: Some((inputs, base64)),
            })
        }
    }
}

fn refusal(endpoint: Endpoint, behaviour: &Behaviour, model: &str) -> Refused {
    match endpoint {
        Endpoint::Chat | Endpoint::Completions | Endpoint::Embeddings => {
            openai::refusal(behaviour, model)
        }
        Endpoint::Messages => anthropic::refusal(behaviour, model),
        Endpoint::Content { .. } => gemini::refusal(behaviour, model),
    }
}

fn render(endpoint: Endpoint, answer: &Answer, taken: &Taken, behaviour: &Behaviour) -> Rendering {
    let report = match behaviour {
        Behaviour::Usage(report) => Some(*report),
        _ => None,
    };
    match (endpoint, taken.request.stream, taken.embeddings) {
        (Endpoint::Content { .. }, false, _) => gemini::content(answer, report),
        (Endpoint::Content { .. }, true, _) => gemini::stream(answer, report),
        (Endpoint::Messages, false, _) => anthropic::messages(answer, report),
        (Endpoint::Messages, true, _) => anthropic::messages_stream(answer, report),
        (Endpoint::Completions, false, _) => {
            completions::plain(answer, taken.request.choices, report)
        }
        (Endpoint::Completions, true, _) => completions::stream(answer, &taken.request, report),
        (_, _, Some((inputs, base64))) => openai::embeddings(answer, inputs, base64, report),
        (_, false, None) => openai::chat(answer, taken.request.choices, report),
        (_, true, None) => openai::chat_stream(answer, &taken.request, report),
    }
}

fn models(head: &http::request::Parts, key: Option<&str>) -> Staged {
    let (checked, list) = if head.headers.contains_key("anthropic-version") {
        (
            anthropic::check_key(&head.headers, key),
            anthropic::models(),
        )
    } else {
        (openai::check_key(&head.headers, key), openai::models())
    };
    match checked {
        Ok(()) => Refused::new(200, list).into(),
        Err(refused) => refused.into(),
    }
}

/// The calls of a test: read the book, write a script.
fn control(head: &http::request::Parts, body: &Bytes, shared: &Shared) -> Staged {
    let (status, answer) = match (&head.method, head.uri.path()) {
        (&Method::GET, "/_mock/log") => {
            let from = head
                .uri
                .query()
                .and_then(|query| query.strip_prefix("from="))
                .and_then(|number| number.parse().ok())
                .unwrap_or(0);
            let entries = shared.ledger.entries(from);
            (
                200,
                json!({ "calls": shared.ledger.calls(), "entries": entries }),
            )
        }
        (&Method::POST, "/_mock/script") => match serde_json::from_slice::<ScriptRequest>(body) {
            Ok(request) => {
                let script = Script {
                    steps: request.steps,
                    then: request.then,
                };
                shared.script(&request.model, script);
                if let Some(reply) = request.reply {
                    shared.reply(&request.model, reply);
                }
                (200, json!({ "calls": shared.ledger.calls() }))
            }
            Err(error) => (400, json!({ "error": error.to_string() })),
        },
        _ => (
            404,
            json!({ "error": "GET /_mock/log?from=N or POST /_mock/script" }),
        ),
    };
    Refused::new(status, answer).into()
}

fn respond(staged: Staged, call: Call, reset: Arc<AtomicBool>) -> Result<Response<Steps>, Broken> {
    call.status(staged.status);
    let mut response = Response::new(Steps::new(staged.steps, call, reset));
    *response.status_mut() = StatusCode::from_u16(staged.status).map_err(http::Error::from)?;
    for (name, value) in staged.headers {
        let value = HeaderValue::try_from(value).map_err(http::Error::from)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// A connection that ends with a TCP reset once it was told to.
struct Connection {
    io: TokioIo<TcpStream>,
    reset: Arc<AtomicBool>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            drop(self.io.inner().set_zero_linger());
        }
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A shutdown would send the polite end that a reset is to replace.
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
