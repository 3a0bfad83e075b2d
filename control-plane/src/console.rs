//! The web console: what agixctl shows, for a browser.
//!
//! Rules this module keeps:
//! - A page is made from answers of the control plane's own gRPC services, called in the process with
//!   the visitor's token. So whoever may not see something with agixctl does not see it here, and
//!   there is no second place that decides.
//! - Pages are whole without a script; the one script only fetches them anew. Nothing is loaded from
//!   anywhere else, and the browser is told so.
//! - What changes something is a form of this very site: [`guard`] looks at the host and the origin.
//! - Connections, heads, forms, times and sign-ins are bounded.

mod api;
mod chart;
mod error;
mod form;
mod guard;
mod page;
mod session;
mod view;

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tonic::service::Routes;

use crate::clock::Clock;
pub(crate) use api::Api;
use error::PageError;
use session::Sessions;
use view::Views;

/// What all pages share.
#[derive(Debug)]
pub(crate) struct Console {
    api: Api,
    views: Views,
    sessions: Sessions,
    clock: Clock,
    /// Where the console listens: on loopback it answers only to names of this machine.
    address: SocketAddr,
    /// Whether it speaks TLS, so that browsers are to show their session in nothing else.
    is_encrypted: bool,
}

/// The templates do not fit together: a mistake in the program.
#[derive(Debug, thiserror::Error)]
#[error("the pages of the console cannot be made")]
pub struct BrokenTemplates(#[source] tera::Error);

impl Console {
    /// A console over the services in `routes`.
    pub(crate) fn new(
        routes: Routes,
        clock: Clock,
        (address, is_encrypted): (SocketAddr, bool),
    ) -> Result<Self, BrokenTemplates> {
        Ok(Self {
            api: Api::new(routes),
            views: Views::new().map_err(BrokenTemplates)?,
            sessions: Sessions::new(clock),
            clock,
            address,
            is_encrypted,
        })
    }

    /// All pages.
    pub(crate) fn router(self) -> Router {
        let console = Arc::new(self);
        Router::new()
            .merge(page::router())
            .route("/style.css", get(asset("text/css", STYLE)))
            .route("/live.js", get(asset("text/javascript", LIVE)))
            .route("/icon.svg", get(asset("image/svg+xml", ICON)))
            .route("/livez", get(|| async { "ok\n" }))
            .fallback(|| async { PageError::NoPage })
            .layer(from_fn_with_state(Arc::clone(&console), guard::guard))
            .with_state(console)
    }
}

const STYLE: &str = include_str!("console/asset/style.css");
const LIVE: &str = include_str!("console/asset/live.js");
const ICON: &str = include_str!("console/asset/icon.svg");

/// A file of the program itself: it changes with the program only, so a browser asks again.
fn asset(
    kind: &'static str,
    text: &'static str,
) -> impl Fn() -> Ready<([(HeaderName, &'static str); 2], &'static str)> + Clone {
    move || {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        ready((headers, text))
    }
}
