//! Accepting callers' connections.
//!
//! Rules this module keeps:
//! - Connections are bounded; beyond the bound new ones wait in the kernel's queue.
//! - A failing `accept` pauses and goes on; it never ends the proxy.
//! - A caller that is slow to send a request's head, silent on a kept-alive connection, or that
//!   does not read its answer, is let go ([`guard`]).
//! - Where TLS is spoken, nothing else is: whoever tries is told so.
//! - HTTP/1.1 only: HTTP/2 gives a stranger floods that no setting stops.

pub(crate) mod guard;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::{CONNECTIONS, HEADER_BYTES, HEADERS, TURNED_AWAY_TIME};
use agix_proto::tls::{Acceptor, Wire};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::front;
use crate::listener::guard::{Guard, Phase};
use crate::worker::{Pool, Worker};

/// Pause after a failed `accept`, such as when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The port for callers, and TLS if it is spoken there.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Acceptor>,
}

/// A connection on its way to a worker, with the right to be open.
#[derive(Debug)]
pub(crate) struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Acceptor>,
    permit: OwnedSemaphorePermit,
}

/// Accepts connections until `drain` and hands each to the least busy worker.
pub(crate) async fn accept(port: Port, pool: Pool, drain: CancellationToken) {
    let open = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => return,
            accepted = next(&port, &open) => accepted,
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

async fn next(port: &Port, open: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let permit = Arc::clone(open)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = port.listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(Accepted {
        stream: stream.into_std()?,
        peer,
        tls: port.tls.clone(),
        permit,
    })
}

/// Serves one connection until it ends.
pub(crate) async fn serve(worker: Arc<Worker>, accepted: Accepted, drain: CancellationToken) {
    let Accepted {
        stream,
        peer,
        tls,
        permit,
    } = accepted;
    let stream = match tokio::net::TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a connection could not be registered");
            return;
        }
    };
    let stream = match tls {
        None => Wire::Plain(stream),
        Some(tls) => match encrypted(&tls, stream).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%peer, %error, "a caller's connection was refused");
                return;
            }
        },
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

/// The connection of a caller who speaks TLS; whoever does not is told to, and let go.
async fn encrypted(tls: &Acceptor, stream: tokio::net::TcpStream) -> std::io::Result<Wire> {
    let (mut wire, standing) = tls.accept(stream).await?;
    let Some(refusal) = standing.refusal() else {
        return Ok(wire);
    };
    let length = refusal.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{refusal}"
    );
    let told = async {
        // What was said is read first: closed unread, the connection would lose the answer.
        let mut said = [0; 4096];
        let _said: usize = wire.read(&mut said).await?;
        wire.write_all(answer.as_bytes()).await?;
        wire.shutdown().await
    };
    tokio::time::timeout(TURNED_AWAY_TIME, told).await??;
    Err(std::io::Error::other(refusal))
}
