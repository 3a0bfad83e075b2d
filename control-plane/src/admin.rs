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

use crate::clock::Clock;
use crate::fleet::Others;
use crate::http::Pages;
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

/// What the port answers: to probes without a certificate no more than that it is well.
pub(crate) fn pages(admin: Watched) -> Pages {
    let open = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready));
    let all = open.clone().route("/metrics", get(text));
    let admin = Arc::new(admin);
    Pages {
        all: all.with_state(Arc::clone(&admin)),
        open: open.with_state(admin),
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
