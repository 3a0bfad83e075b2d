//! The admin port: `/livez`, `/readyz`, `/metrics`.
//!
//! A proxy is ready when it has a policy to serve by, has heard its ledger, and is not shutting down.
//! It stays ready while the control plane is away, and becomes so without it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agix_core::exposition::negotiated;
use agix_core::id::Revision;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// Serves the admin port until `stop`.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(shared);
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the admin port ended");
    }
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
