//! Serving the console's port, with every connection bounded.

use std::sync::Arc;

use agix_core::limits::{CONSOLE_CONNECTIONS, CONSOLE_HEAD_BYTES, CONSOLE_HEAD_TIME};
use axum::Router;
use futures_util::StreamExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::incoming::{Connection, connections};

/// Answers browsers until `shutdown`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let mut incoming = Box::pin(connections(listener, CONSOLE_CONNECTIONS));
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
            router.clone(),
            shutdown.clone(),
        ));
    }
}

async fn answer(
    connection: Connection,
    builder: Arc<http1::Builder>,
    router: Router,
    shutdown: CancellationToken,
) {
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
        debug!(%error, "a browser's connection ended");
    }
}
