//! The callers' side: one request in, one answer out.
//!
//! Rules this module keeps:
//! - A request that could mean two things (no `Host` or several, another one in its target) is
//!   refused before anything of it is read, and so is one with too large a head. Nothing more is
//!   read from its connection.
//! - Every answer, errors included, carries the request's id.
//! - Errors have the shape of the caller's protocol; only [`refusal`] makes them.

pub(crate) mod body;
mod budget_headers;
pub(crate) mod chat;
mod held;
mod identity;
mod models;
mod path;
mod rate_headers;
pub(crate) mod refusal;
pub(crate) mod reply;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agix_core::limits::HEADER_BYTES;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use crate::dialect::Caller;
use crate::front::path::Path;
use crate::front::refusal::{Refusal, Voice};
use crate::front::reply::{Content, Ids, Open, ReplyBody};
use crate::head;
use crate::listener::guard::Busy;
use crate::traffic;
use crate::trail::{self, Origin, Parent, Trail};
use crate::webhook;
use crate::worker::Worker;

/// An answer before it is sent.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

impl Reply {
    /// A status, and nothing said.
    pub(crate) fn bare(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            content: Content::Whole(Bytes::new()),
        }
    }

    pub(crate) fn json_with(status: StatusCode, body: Bytes) -> Self {
        Self {
            status,
            ..Self::json(body)
        }
    }

    pub(crate) fn json(body: Bytes) -> Self {
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            status: StatusCode::OK,
            headers,
            content: Content::Whole(body),
        }
    }
}

/// What was seen of a request before it is read.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    ids: &'a Ids,
    path: &'a Path<'a>,
    voice: &'a Voice,
    trail: Option<&'a Arc<Trail>>,
}

impl Seen<'_> {
    /// Tells those who watch, if there are any.
    fn watch(&self, tell: impl FnOnce(&Trail)) {
        if let Some(trail) = self.trail {
            tell(trail);
        }
    }
}

/// Answers one request.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    request: Request<Incoming>,
    (busy, peer): (Busy, SocketAddr),
) -> Result<Response<ReplyBody>, Infallible> {
    let mut open = Open::new(&worker.shared, busy);
    let (parts, body) = request.into_parts();
    let parent = trail::parent(&parts.headers);
    let ids = Ids::draw(parent.map(|parent| parent.trace));
    let path = Path::read(parts.uri.path());
    let trail = begin_trail(&worker, (&ids, parent), (&parts.method, &path, peer));
    open.follow(trail.as_ref());
    let voice = Voice::new(path.caller(&parts.headers), ids.clone());
    let seen = Seen {
        ids: &ids,
        path: &path,
        voice: &voice,
        trail: trail.as_ref(),
    };
    let Reply {
        status,
        mut headers,
        content,
    } = match route(&worker, &parts, body, &seen).await {
        Ok(reply) => reply,
        Err(refusal) => {
            if let Some(trail) = &trail {
                trail.refused(refusal.reason);
            }
            worker.shared.metrics.refused(refusal.reason);
            if !refusal.was_tried {
                traffic::one(&worker.shared.traffic.counts.refused);
            }
            tracing::debug!(
                request = ids.request(),
                status = refusal.status().as_u16(),
                reason = refusal.reason,
                "request refused"
            );
            let (status, headers, body) = refusal.into_parts(&voice);
            Reply {
                status,
                headers,
                content: Content::Whole(body),
            }
        }
    };
    if let Some(trail) = &trail {
        trail.status(status.as_u16());
    }
    ids.stamp(&mut headers);
    let mut response = Response::new(ReplyBody::new(content, open));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

async fn route(
    worker: &Arc<Worker>,
    parts: &Parts,
    body: Incoming,
    seen: &Seen<'_>,
) -> Result<Reply, Refusal> {
    let path = seen.path;
    if head::size(&parts.headers) > HEADER_BYTES {
        return Err(Refusal::head_too_large());
    }
    check_target(parts)?;
    let kind = match (path.endpoint, &parts.method) {
        ("/health", &Method::GET | &Method::HEAD) => {
            return Ok(Reply::json(Bytes::from_static(b"{\"status\":\"ok\"}")));
        }
        ("/health", _) => return Err(Refusal::wrong_method("GET")),
        _ if worker.shared.draining.load(Ordering::Relaxed) => return Err(Refusal::draining()),
        ("/chat/completions", &Method::POST) => chat::Kind::Conversation(Caller::Chat),
        ("/messages", &Method::POST) => chat::Kind::Conversation(Caller::Messages),
        ("/responses", &Method::POST) => chat::Kind::Conversation(Caller::Responses),
        ("/completions", &Method::POST) => chat::Kind::Conversation(Caller::Completions),
        ("/messages/count_tokens", &Method::POST) => chat::Kind::Tokens,
        ("/embeddings", &Method::POST) => chat::Kind::Embeddings,
        (
            "/chat/completions"
            | "/messages"
            | "/messages/count_tokens"
            | "/responses"
            | "/completions"
            | "/embeddings",
            _,
        ) => return Err(Refusal::wrong_method("POST")),
        (one, &Method::GET | &Method::DELETE) if one.starts_with("/responses/") => {
            return Err(Refusal::not_stored());
        }
        (one, method) if one.starts_with("/webhooks/") => {
            let name = one.strip_prefix("/webhooks/").unwrap_or_default();
            if *method != Method::POST {
                return Err(Refusal::wrong_method("POST"));
            }
            let patience = chat::caller_patience(&parts.headers);
            let webhook = webhook::Called {
                name,
                patience,
                trail: seen.trail,
            };
            return webhook::receive(worker, parts, body, webhook).await;
        }
        ("/models", &Method::GET) => return models::list(worker, parts, path),
        (one, &Method::GET) if one.starts_with("/models/") => {
            let name = one.strip_prefix("/models/").unwrap_or_default();
            return models::one(worker, parts, path, name);
        }
        ("/models", _) => return Err(Refusal::wrong_method("GET")),
        _ => return Err(Refusal::unknown_path(parts.uri.path())),
    };
    chat::answer(worker, parts, body, seen, kind).await
}

/// The trail of a request, if it leaves one. That the proxy is looked after is nothing to watch.
fn begin_trail(
    worker: &Worker,
    (ids, parent): (&Ids, Option<Parent>),
    (method, path, peer): (&Method, &Path<'_>, SocketAddr),
) -> Option<Arc<Trail>> {
    if path.endpoint == "/health" {
        return None;
    }
    Trail::begin(&worker.shared, ids, parent, || Origin::Caller {
        method: match *method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::HEAD => "HEAD",
            Method::OPTIONS => "OPTIONS",
            _ => "_OTHER",
        },
        route: path.route(),
        peer: Some(peer),
    })
}

/// One host, and the same one wherever it is named.
fn check_target(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::ambiguous(
            "the Host header was sent more than once",
        ));
    }
    if host.is_none() && parts.version >= Version::HTTP_11 {
        return Err(Refusal::ambiguous("the Host header is missing"));
    }
    match (parts.uri.authority(), host) {
        (Some(target), Some(host)) if target.as_str().as_bytes() != host.as_bytes() => Err(
            Refusal::ambiguous("the request's target names another host than its Host header"),
        ),
        _ => Ok(()),
    }
}
