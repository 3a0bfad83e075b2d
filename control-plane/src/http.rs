//! Serving a port of HTTP, with every connection bounded.

use std::sync::Arc;

use agix_core::limits::{CONSOLE_CONNECTIONS, CONSOLE_HEAD_BYTES, CONSOLE_HEAD_TIME};
use agix_proto::tls::{Acceptor, Standing};
use axum::Router;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::incoming::{Connection, connections};

/// A port that is listened on, and TLS if it is spoken there.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Acceptor>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    /// To whoever speaks as the port asks.
    pub(crate) all: Router,
    /// And of that to those who should show a certificate and have none.
    pub(crate) open: Router,
}

impl Pages {
    fn of(self, standing: Standing) -> Router {
        let Some(refusal) = standing.refusal() else {
            return self.all;
        };
        let open = match standing {
            Standing::NoCertificate => self.open,
            Standing::Good | Standing::Plaintext => Router::new(),
        };
        open.fallback(move || async move { (StatusCode::BAD_REQUEST, format!("{refusal}\n")) })
    }
}

/// Answers requests until `shutdown`.
pub(crate) async fn serve(
    Port { listener, tls }: Port,
    pages: Pages,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let mut incoming = Box::pin(connections(listener, CONSOLE_CONNECTIONS, tls));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(CONSOLE_HEAD_TIME)
        .max_buf_size(CONSOLE_HEAD_BYTES);
    let builder = Arc::new(builder);
    loop {
        let connection = tokio::select! {
            () = shutdown.cancelled() => return,
            next = incoming.next() => next,
        };
        let Some(Ok(connection)) = connection else {
            return;
        };
        tasks.spawn(answer(
            connection,
            Arc::clone(&builder),
            pages.clone(),
            shutdown.clone(),
        ));
    }
}

async fn answer(
    connection: Connection,
    builder: Arc<http1::Builder>,
    pages: Pages,
    shutdown: CancellationToken,
) {
    let router = pages.of(connection.standing());
    let service = TowerToHyperService::new(router);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(connection), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended");
    }
}
