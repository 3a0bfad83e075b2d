//! The way of an owner's messages to one stream: bounded, and never waited for.
//!
//! A stream that does not take its messages is ended. That does no harm: messages tell states, and
//! its proxy goes on where it was on a new stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Why an owner ends a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamEnd {
    /// Another control plane is the owner, or this one starts over.
    #[error("this control plane is not the owner any more; connect again")]
    Lost,
    /// The control plane stops.
    #[error("the control plane is stopping")]
    Stopping,
    /// Messages were not taken in time.
    #[error("{0} messages were not read")]
    Slow(usize),
    /// The proxy said nothing for too long.
    #[error("nothing was heard for too long; connect again")]
    Silent,
    /// The proxy said something that cannot be used.
    #[error("the message cannot be used: {0}")]
    Invalid(Arc<str>),
}

/// The owner's end.
#[derive(Debug)]
pub(crate) struct Outlet<M> {
    messages: mpsc::Sender<Result<M, StreamEnd>>,
    queue: usize,
    /// Keeps room for the reason of the end.
    farewell: mpsc::OwnedPermit<Result<M, StreamEnd>>,
    /// Tells the stream's reader that it is over.
    _over: DropGuard,
}

/// The stream's end.
#[derive(Debug)]
pub(crate) struct Listener<M> {
    messages: mpsc::Receiver<Result<M, StreamEnd>>,
}

/// The streams of one owner. When it is over, they end.
#[derive(Debug)]
pub(crate) struct Outlets<M> {
    streams: BTreeMap<u64, Outlet<M>>,
}

impl<M> Default for Outlets<M> {
    fn default() -> Self {
        Self {
            streams: BTreeMap::new(),
        }
    }
}

impl<M> Drop for Outlets<M> {
    fn drop(&mut self) {
        self.end_all(&StreamEnd::Lost);
    }
}

impl<M> Outlet<M> {
    /// Both ends of a stream on which at most `queue` messages wait; `over` is cancelled when the
    /// owner ends it.
    pub(crate) fn new(queue: usize, over: CancellationToken) -> Option<(Self, Listener<M>)> {
        let (sender, receiver) = mpsc::channel(queue.saturating_add(1));
        let outlet = Self {
            farewell: sender.clone().try_reserve_owned().ok()?,
            messages: sender,
            queue,
            _over: over.drop_guard(),
        };
        Some((outlet, Listener { messages: receiver }))
    }
}

impl<M> Stream for Listener<M> {
    type Item = Result<M, StreamEnd>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_recv(cx)
    }
}

impl<M> Outlets<M> {
    pub(crate) fn open(&mut self, stream: u64, outlet: Outlet<M>) {
        self.streams.insert(stream, outlet);
    }

    /// Sends a message; false: the stream is over, and was so or could not take it.
    pub(crate) fn send(&mut self, stream: u64, message: M) -> bool {
        let Some(outlet) = self.streams.get(&stream) else {
            return false;
        };
        match outlet.messages.try_send(Ok(message)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let queue = outlet.queue;
                self.end(stream, StreamEnd::Slow(queue));
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.close(stream);
                false
            }
        }
    }

    /// Ends a stream for a reason.
    pub(crate) fn end(&mut self, stream: u64, reason: StreamEnd) {
        if let Some(outlet) = self.streams.remove(&stream) {
            outlet.farewell.send(Err(reason));
        }
    }

    /// Lets go of a stream that has ended.
    pub(crate) fn close(&mut self, stream: u64) {
        self.streams.remove(&stream);
    }

    /// Whether the stream goes on.
    pub(crate) fn has(&self, stream: u64) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Ends all streams.
    pub(crate) fn end_all(&mut self, reason: &StreamEnd) {
        for outlet in std::mem::take(&mut self.streams).into_values() {
            outlet.farewell.send(Err(reason.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_does_not_read_is_ended_and_told_why() {
        let over = CancellationToken::new();
        let (outlet, listener) = Outlet::new(5, over.clone()).unwrap();
        let mut outlets = Outlets::default();
        outlets.open(1, outlet);
        let mut sent = 0;
        while outlets.send(1, sent) {
            sent += 1;
        }
        assert_eq!(sent, 5);
        assert!(over.is_cancelled() && !outlets.send(1, sent));
        let told: Vec<_> = listener.collect().await;
        let expected = (0..5).map(Ok).chain([Err(StreamEnd::Slow(5))]);
        assert_eq!(told, expected.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_is_let_go_of() {
        let (outlet, listener) = Outlet::new(5, CancellationToken::new()).unwrap();
        let mut outlets = Outlets::default();
        outlets.open(1, outlet);
        drop(listener);
        assert!(!outlets.send(1, 1));
        assert!(!outlets.has(1));
    }

    #[tokio::test]
    async fn streams_end_with_their_owner() {
        let (outlet, listener) = Outlet::<u8>::new(5, CancellationToken::new()).unwrap();
        let mut outlets = Outlets::default();
        outlets.open(1, outlet);
        drop(outlets);
        assert_eq!(listener.collect::<Vec<_>>().await, [Err(StreamEnd::Lost)]);
    }
}
