//! The pages. One file each: it calls, and gives its template what there is to show.

mod agents;
mod chains;
mod fleet;
mod overview;
mod policy;
mod requests;
mod rollback;
mod sign_in;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use super::Console;
use super::error::PageError;

type Page = Result<Html<String>, PageError>;

/// The way to each page.
pub(super) fn router() -> Router<Arc<Console>> {
    Router::new()
        .route("/", get(overview::show))
        .route("/agents", get(agents::list))
        .route("/agents/{name}", get(agents::show))
        .route("/policy", get(policy::show))
        .route("/policy/diff", get(policy::diff))
        .route("/policy/{revision}", get(policy::revision))
        .route(
            "/policy/{revision}/rollback",
            get(rollback::ask).post(rollback::carry_out),
        )
        .route("/webhooks", get(webhooks::list))
        .route("/webhooks/{id}", get(webhooks::show))
        .route(
            "/webhooks/{id}/replay",
            get(webhooks::ask_replay).post(webhooks::replay),
        )
        .route("/chains", get(chains::show))
        .route("/requests", get(requests::list))
        .route("/fleet", get(fleet::show))
        .route("/sign-in", get(sign_in::ask).post(sign_in::sign_in))
        .route("/sign-out", axum::routing::post(sign_in::sign_out))
}
