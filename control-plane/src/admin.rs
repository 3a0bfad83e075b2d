//! The admin port: `/livez`, `/readyz`, `/metrics`.
//!
//! It asks nobody who calls and changes nothing. What it tells (names of agents and what they spend)
//! is for those who run agix, so it is a port of its own, and only there if it was asked for.

mod metrics;

use std::sync::Arc;

use agix_core::exposition::negotiated;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock::Clock;
use crate::fleet::Others;
use crate::ledger::LedgerDesk;
use crate::repository::Repository;
use crate::store::AnyStore;
use crate::webhooks::WebhookDesk;

/// What is told of.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) repository: Repository<AnyStore>,
    pub(crate) fleet: Arc<Others<AnyStore>>,
    pub(crate) ledger: LedgerDesk,
    pub(crate) webhooks: WebhookDesk<AnyStore>,
    pub(crate) clock: Clock,
}

/// Serves the admin port until `shutdown`.
pub(crate) async fn serve(listener: TcpListener, admin: Watched, shutdown: CancellationToken) {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
        .with_state(Arc::new(admin));
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await;
    if let Err(error) = served {
        error!(%error, "the admin port ended");
    }
}

async fn ready(State(admin): State<Arc<Watched>>) -> (StatusCode, String) {
    let revision = admin.repository.current().map(|it| it.info().revision);
    let revision = revision.map_or_else(|| "none".to_owned(), |revision| revision.to_string());
    (
        StatusCode::OK,
        format!("ready: policy revision {revision}\n"),
    )
}

async fn text(State(admin): State<Arc<Watched>>, headers: HeaderMap) -> Response {
    match metrics::text(&admin).await {
        Ok(text) => {
            let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
            let (kind, text) = negotiated(accept, text);
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
