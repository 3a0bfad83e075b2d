//! Time bounds of a caller's connection, kept where the bytes pass.
//!
//! hyper's own header timeout also counts the idle time of a kept-alive connection, so that a safe
//! value would close every client's pool after seconds. Here each phase has its own bound, and
//! none costs a timer operation while requests flow: one timer is armed and, when it fires early,
//! armed again.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use agix_core::limits::{HEADER_TIME, KEEP_ALIVE_TIME, WRITE_STALL};
use agix_proto::tls::Wire;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::clock::runtime_now as now;

/// Whether a request is being answered on a connection; shared by its socket and its requests.
#[derive(Debug)]
pub(crate) struct Phase {
    busy: AtomicBool,
}

/// A request being answered; dropped when its answer has ended.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Phase>);

impl Phase {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            busy: AtomicBool::new(false),
        })
    }

    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.store(true, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

/// What a connection waits for while no request is being answered.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    /// A request is being answered.
    Nothing,
    /// The next request, since then.
    Request(Instant),
    /// The rest of a request's head, since then.
    Head(Instant),
}

/// A socket that ends with a time-out when its caller is too slow.
#[derive(Debug)]
pub(crate) struct Guard {
    socket: Wire,
    phase: Arc<Phase>,
    waiting: Waiting,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    stalled: bool,
}

impl Guard {
    pub(crate) fn new(socket: Wire, phase: Arc<Phase>) -> Self {
        Self {
            socket,
            phase,
            waiting: Waiting::Head(now()),
            read_timer: None,
            write_timer: None,
            stalled: false,
        }
    }

    fn received(&mut self) {
        if self.phase.busy.load(Ordering::Relaxed) {
            self.waiting = Waiting::Nothing;
        } else if !matches!(self.waiting, Waiting::Head(_)) {
            self.waiting = Waiting::Head(now());
        }
    }

    /// While nothing arrives: whether the caller has been waited for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase.busy.load(Ordering::Relaxed) {
            self.waiting = Waiting::Nothing;
            return Poll::Pending;
        }
        let until = match self.waiting {
            Waiting::Head(since) => since + HEADER_TIME,
            Waiting::Request(since) => since + KEEP_ALIVE_TIME,
            Waiting::Nothing => {
                let since = now();
                self.waiting = Waiting::Request(since);
                since + KEEP_ALIVE_TIME
            }
        };
        poll_until(&mut self.read_timer, until, cx)
    }

    fn poll_stall<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = false;
            return outcome;
        }
        if !self.stalled {
            self.stalled = true;
            self.write_timer = None;
        }
        let until = match &self.write_timer {
            Some(timer) => timer.deadline(),
            None => now() + WRITE_STALL,
        };
        ready!(poll_until(&mut self.write_timer, until, cx))?;
        Poll::Pending
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.socket).poll_read(cx, buffer) {
            Poll::Ready(outcome) => {
                this.received();
                Poll::Ready(outcome)
            }
            Poll::Pending => this.poll_silence(cx),
        }
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.poll_stall(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.socket).poll_write_vectored(cx, slices);
        this.poll_stall(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

/// Pending until `until`, then an error. Arms `timer` only if it would fire too late.
fn poll_until(
    timer: &mut Option<Pin<Box<Sleep>>>,
    until: Instant,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
    if timer.deadline() > until {
        timer.as_mut().reset(until);
    }
    loop {
        ready!(timer.as_mut().poll(cx));
        if now() + Duration::from_millis(1) >= until {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        timer.as_mut().reset(until);
    }
}
