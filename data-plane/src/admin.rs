//! The admin port: `/livez`, `/readyz`, `/metrics`.
//!
//! A proxy is ready when it has a policy to serve by, has heard its ledger, and is not shutting down.
//! It stays ready while the control plane is away, and becomes so without it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agix_core::exposition::negotiated;
use agix_core::id::Revision;
use agix_core::limits::ADMIN_HANDSHAKES;
use agix_proto::tls::{Acceptor, Standing, Wire};
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// The port, and TLS if it is spoken there.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    tls: Option<Acceptor>,
    /// Connections that are becoming encrypted.
    handshakes: FuturesUnordered<Handshake>,
}

type Handshake = Pin<Box<dyn Future<Output = io::Result<(Wire, Standing)>> + Send>>;

/// How the connection of a request stands.
#[derive(Debug, Clone, Copy)]
struct Peer(Standing);

impl Port {
    pub(crate) fn new(listener: TcpListener, tls: Option<Acceptor>) -> Self {
        Self {
            listener,
            tls,
            handshakes: FuturesUnordered::new(),
        }
    }
}

impl Listener for Port {
    type Io = Wire;
    type Addr = Standing;

    async fn accept(&mut self) -> (Wire, Standing) {
        loop {
            tokio::select! {
                accepted = Listener::accept(&mut self.listener),
                    if self.handshakes.len() < ADMIN_HANDSHAKES =>
                {
                    let (stream, _peer) = accepted;
                    let Some(tls) = self.tls.clone() else {
                        return (Wire::Plain(stream), Standing::Good);
                    };
                    self.handshakes.push(Box::pin(async move { tls.accept(stream).await }));
                }
                Some(encrypted) = self.handshakes.next(), if !self.handshakes.is_empty() => {
                    match encrypted {
                        Ok(encrypted) => return encrypted,
                        Err(error) => tracing::debug!(%error, "a connection was refused"),
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Standing> {
        Ok(Standing::Good)
    }
}

impl Connected<IncomingStream<'_, Port>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Serves the admin port until `stop`. Probes without a certificate learn no more than that all is well.
pub(crate) async fn serve(port: Port, shared: Arc<Shared>, stop: CancellationToken) {
    let metrics = get(metrics).layer(from_fn(with_certificate));
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", metrics)
        .layer(from_fn(encrypted))
        .with_state(shared)
        .into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(port, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the admin port ended");
    }
}

async fn encrypted(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    match peer.0 {
        Standing::Plaintext => turned_away(peer),
        Standing::Good | Standing::NoCertificate => next.run(request).await,
    }
}

async fn with_certificate(
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match peer.0 {
        Standing::Good => next.run(request).await,
        Standing::Plaintext | Standing::NoCertificate => turned_away(peer),
    }
}

fn turned_away(peer: Peer) -> Response {
    let refusal = peer.0.refusal().unwrap_or_default();
    let close = [(header::CONNECTION, "close")];
    (StatusCode::BAD_REQUEST, close, format!("{refusal}\n")).into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    if shared.draining.load(Ordering::Relaxed) {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting down\n".to_owned(),
        );
    }
    match shared.compiled.load().revision {
        Revision::NONE => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no policy yet: the control plane has not sent one\n".to_owned(),
        ),
        _ if !shared.quota.is_ready() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no word of the ledger yet: limits and budgets cannot be checked\n".to_owned(),
        ),
        revision => (
            StatusCode::OK,
            format!("ready: policy revision {revision}\n"),
        ),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    match shared.metrics.text(shared.clock.mono()) {
        Ok(text) => {
            let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
            let (kind, text) = negotiated(accept, text);
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
