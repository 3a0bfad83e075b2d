//! Accepted connections, never more than a bound at once, and encrypted where that was asked for.
//!
//! At the bound the next connection waits in the kernel's queue until another one closes. An error
//! of one connection never ends the listener. A client that is turned away gets a short time to hear
//! why.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use agix_core::limits::{CONTROL_ACCEPT_PAUSE, TURNED_AWAY_TIME};
use agix_proto::tls::{Acceptor, Standing, Wire};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;
use tracing::{info, warn};

/// A connection that counts against the bound while it is open.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    standing: Standing,
    /// When a connection ends that is turned away.
    ends: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// A connection as it was accepted.
struct Arrived {
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
}

/// The connections of `listener`, at most so many at once, as tonic wants them; through `tls`, if it
/// is spoken there.
pub(crate) fn connections(
    listener: TcpListener,
    most: usize,
    tls: Option<Acceptor>,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(most));
    let arrived = stream::unfold((listener, places), |(listener, places)| async move {
        // The semaphore is never closed: without a place there is nothing more to accept.
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let (stream, peer) = accept(&listener).await;
        let arrived = Arrived {
            stream,
            peer,
            place,
        };
        Some((arrived, (listener, places)))
    });
    arrived
        .map(move |arrived| admit(arrived, tls.clone()))
        .buffer_unordered(most)
        .filter_map(|connection| async { connection.map(Ok) })
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    warn!(%peer, %error, "TCP_NODELAY could not be set");
                }
                return (stream, peer);
            }
            Err(error) => {
                // Either this connection is gone already, or the process is out of files; the
                // pause keeps the second case from spinning.
                warn!(%error, "a connection could not be accepted");
                sleep(CONTROL_ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The connection of a client that speaks as it should, or is to be told that it does not.
async fn admit(arrived: Arrived, tls: Option<Acceptor>) -> Option<Connection> {
    let Arrived {
        stream,
        peer,
        place,
    } = arrived;
    let accepted = match tls {
        None => Ok((Wire::Plain(stream), Standing::Good)),
        Some(tls) => tls.accept(stream).await,
    };
    let (wire, standing) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            info!(%peer, %error, "a connection was refused");
            return None;
        }
    };
    let refusal = standing.refusal();
    if let Some(refusal) = refusal {
        info!(%peer, refusal, "a client is turned away");
    }
    Some(Connection {
        wire,
        standing,
        ends: refusal.map(|_| Box::pin(sleep(TURNED_AWAY_TIME))),
        _place: place,
    })
}

impl Connection {
    /// How it stands.
    pub(crate) const fn standing(&self) -> Standing {
        self.standing
    }
}

impl Connected for Connection {
    type ConnectInfo = Standing;

    fn connect_info(&self) -> Standing {
        self.standing
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(ends) = &mut self.ends
            && ends.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.get_mut().wire).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write_vectored(cx, slices)
    }
}
