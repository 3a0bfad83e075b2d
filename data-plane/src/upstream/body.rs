//! The body of a provider's answer, as it arrives.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use tokio::time::Sleep;

use crate::dialect::SimulatedStream;

/// The bytes of an answer on their way.
#[derive(Debug)]
pub(crate) enum UpstreamBody {
    /// From a provider.
    Http(reqwest::Body),
    /// From a script, at its pace.
    Simulated(Box<Simulated>),
    /// All there is.
    Whole(Option<Bytes>),
}

/// The answer broke off.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct BrokenBody(#[source] reqwest::Error);

/// A scripted stream.
#[derive(Debug)]
pub(crate) struct Simulated {
    stream: SimulatedStream,
    /// What comes next, and when.
    next: Option<(Pin<Box<Sleep>>, Bytes)>,
}

impl Simulated {
    pub(crate) fn new(stream: SimulatedStream) -> Self {
        Self { stream, next: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if self.next.is_none() {
            let Some((delay, bytes)) = self.stream.next() else {
                return Poll::Ready(None);
            };
            self.next = Some((Box::pin(tokio::time::sleep(delay)), bytes));
        }
        if let Some((sleep, _)) = &mut self.next {
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.next.take().map(|(_, bytes)| Ok(bytes)))
    }
}

impl UpstreamBody {
    /// The next bytes; none at the end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Self::Simulated(simulated) => simulated.poll(cx),
            Self::Http(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(BrokenBody(error)))),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                }
            },
        }
    }

    /// As [`UpstreamBody::poll_data`], to wait for.
    pub(crate) async fn data(&mut self) -> Option<Result<Bytes, BrokenBody>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }
}
