//! The body of an answer: a list of steps, made as they are sent, so that a line of a gibibyte
//! takes no memory.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use super::ledger::Call;

/// One thing the body does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends bytes.
    Send(Bytes),
    /// Sends bytes that carry text, which the provider bills.
    Text(Bytes),
    /// Sends the bytes that many times.
    Repeat(Bytes, u64),
    /// Waits.
    Pause(Duration),
    /// Waits until the caller leaves.
    Silence,
    /// Breaks the connection, after what was sent before has gone out.
    Break(Break),
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// With a TCP reset.
    Reset,
    /// By closing it.
    Close,
}

/// Why a connection ends without a whole answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// On purpose.
    #[error("the script breaks the connection here")]
    Scripted,
    /// The request never came whole.
    #[error("the request broke off")]
    Request(#[from] hyper::Error),
    /// The script asks for a head that HTTP does not allow.
    #[error("the script asks for an illegal head")]
    Head(#[from] http::Error),
}

/// A body that follows its steps and tells the ledger how far it came.
#[derive(Debug)]
pub(super) struct Steps {
    left: VecDeque<Step>,
    call: Call,
    reset: Arc<AtomicBool>,
    pause: Option<Pin<Box<Sleep>>>,
    /// The peer has been given the time to take what was sent before a break.
    flushed: bool,
}

impl Steps {
    /// `reset` makes the connection end with a reset.
    pub(super) fn new(steps: VecDeque<Step>, call: Call, reset: Arc<AtomicBool>) -> Self {
        let mut body = Self {
            left: steps,
            call,
            reset,
            pause: None,
            flushed: false,
        };
        if body.left.is_empty() {
            body.call.finished();
        }
        body
    }

    fn sent(&mut self, bytes: &Bytes, text: bool) {
        self.call.sent(bytes.len(), text);
        if self.left.is_empty() {
            self.call.finished();
        }
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.left.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => {
                    self.sent(&bytes, false);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Text(bytes)) => {
                    self.sent(&bytes, true);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Repeat(_, 0)) => {}
                Some(Step::Repeat(bytes, times)) => {
                    if let Some(left) = times.checked_sub(1) {
                        self.left.push_front(Step::Repeat(bytes.clone(), left));
                    }
                    self.sent(&bytes, false);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Pause(time)) => self.pause = Some(Box::pin(sleep(time))),
                Some(Step::Silence) => {
                    self.left.push_front(Step::Silence);
                    return Poll::Pending;
                }
                Some(Step::Break(how)) => {
                    if !self.flushed {
                        // Pending makes the server write out what it holds.
                        self.flushed = true;
                        self.left.push_front(Step::Break(how));
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    self.reset.store(how == Break::Reset, Ordering::Relaxed);
                    self.call.broken();
                    return Poll::Ready(Some(Err(Broken::Scripted)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.pause.is_none()
    }
}
