//! Accepting callers' connections.
//!
//! Rules this module keeps:
//! - Connections are bounded; beyond the bound new ones wait in the kernel's queue.
//! - A failing `accept` pauses and goes on; it never ends the proxy.
//! - A caller that is slow to send a request's head, silent on a kept-alive connection, or that
//!   does not read its answer, is let go ([`guard`]).
//! - HTTP/1.1 only: HTTP/2 gives a stranger floods that no setting stops.

pub(crate) mod guard;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::{CONNECTIONS, HEADER_BYTES, HEADERS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::front;
use crate::listener::guard::{Guard, Phase};
use crate::worker::{Pool, Worker};

/// Pause after a failed `accept`, such as when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection on its way to a worker, with the right to be open.
#[derive(Debug)]
pub(crate) struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

/// Accepts connections until `drain` and hands each to the least busy worker.
pub(crate) async fn accept(listener: TcpListener, pool: Pool, drain: CancellationToken) {
    let open = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => return,
            accepted = next(&listener, &open) => accepted,
        };
        match accepted {
            Ok(accepted) => pool.dispatch(accepted),
            Err(error) => {
                tracing::warn!(%error, "accept failed; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn next(listener: &TcpListener, open: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let permit = Arc::clone(open)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(Accepted {
        stream: stream.into_std()?,
        peer,
        permit,
    })
}

/// Serves one connection until it ends.
pub(crate) async fn serve(worker: Arc<Worker>, accepted: Accepted, drain: CancellationToken) {
    let Accepted {
        stream,
        peer,
        permit,
    } = accepted;
    let stream = match tokio::net::TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a connection could not be registered");
            return;
        }
    };
    let phase = Phase::new();
    let io = TokioIo::new(Guard::new(stream, Arc::clone(&phase)));
    let service = service_fn(|request| {
        let busy = phase.busy();
        front::serve(Arc::clone(&worker), request, (busy, peer))
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a caller's connection ended");
    }
    drop(permit);
}
