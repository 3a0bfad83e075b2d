//! The way of the ledger's messages to one stream: bounded, and never waited for.
//!
//! A stream that does not take its messages is ended. That does no harm: messages tell states, and
//! its proxy goes on where it was on a new stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use agix_core::limits::QUOTA_QUEUE;
use agix_core::quota::FromLedger;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Why the ledger ends a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamEnd {
    /// Another control plane has the ledger, or this one starts over.
    #[error("this control plane does not own the ledger any more; connect again")]
    Lost,
    /// The control plane stops.
    #[error("the control plane is stopping")]
    Stopping,
    /// Messages were not taken in time.
    #[error("{QUOTA_QUEUE} messages of the ledger were not read")]
    Slow,
    /// The proxy said something that cannot be used.
    #[error("the message cannot be used: {0}")]
    Invalid(Arc<str>),
}

type Item = Result<FromLedger, StreamEnd>;

/// The ledger's end.
#[derive(Debug)]
pub(super) struct Outlet {
    messages: mpsc::Sender<Item>,
    /// Keeps room for the reason of the end.
    farewell: mpsc::OwnedPermit<Item>,
    /// Tells the stream's reader that it is over.
    _over: DropGuard,
}

/// The stream's end.
#[derive(Debug)]
pub struct Listener {
    messages: mpsc::Receiver<Item>,
}

/// The streams of one owner.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    streams: BTreeMap<u64, Outlet>,
}

impl Outlet {
    /// Both ends; `over` is cancelled when the ledger ends the stream.
    pub(super) fn new(over: CancellationToken) -> Option<(Self, Listener)> {
        let (sender, receiver) = mpsc::channel(QUOTA_QUEUE.saturating_add(1));
        let outlet = Self {
            farewell: sender.clone().try_reserve_owned().ok()?,
            messages: sender,
            _over: over.drop_guard(),
        };
        Some((outlet, Listener { messages: receiver }))
    }
}

impl Stream for Listener {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.messages.poll_recv(cx)
    }
}

impl Outlets {
    pub(super) fn open(&mut self, stream: u64, outlet: Outlet) {
        self.streams.insert(stream, outlet);
    }

    /// Sends a message; false: the stream is over, and was so or could not take it.
    pub(super) fn send(&mut self, stream: u64, message: FromLedger) -> bool {
        let Some(outlet) = self.streams.get(&stream) else {
            return false;
        };
        match outlet.messages.try_send(Ok(message)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.end(stream, StreamEnd::Slow);
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.close(stream);
                false
            }
        }
    }

    /// Ends a stream for a reason.
    pub(super) fn end(&mut self, stream: u64, reason: StreamEnd) {
        if let Some(outlet) = self.streams.remove(&stream) {
            outlet.farewell.send(Err(reason));
        }
    }

    /// Lets go of a stream that has ended.
    pub(super) fn close(&mut self, stream: u64) {
        self.streams.remove(&stream);
    }

    /// Whether the stream goes on.
    pub(super) fn has(&self, stream: u64) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Ends all streams.
    pub(super) fn end_all(&mut self, reason: &StreamEnd) {
        for outlet in std::mem::take(&mut self.streams).into_values() {
            outlet.farewell.send(Err(reason.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use agix_core::quota::SessionId;
    use futures_util::StreamExt as _;

    use super::*;

    fn message(number: u64) -> FromLedger {
        FromLedger::Closed {
            session: SessionId::new(number),
        }
    }

    #[tokio::test]
    async fn a_stream_that_does_not_read_is_ended_and_told_why() {
        let over = CancellationToken::new();
        let (outlet, listener) = Outlet::new(over.clone()).unwrap();
        let mut outlets = Outlets::default();
        outlets.open(1, outlet);
        let mut sent = 0;
        while outlets.send(1, message(sent)) {
            sent += 1;
        }
        assert_eq!(sent, u64::try_from(QUOTA_QUEUE).unwrap());
        assert!(over.is_cancelled() && !outlets.send(1, message(sent)));
        let told: Vec<_> = listener.collect().await;
        assert_eq!(told.len(), QUOTA_QUEUE + 1);
        assert_eq!(told.first(), Some(&Ok(message(0))));
        assert_eq!(told.last(), Some(&Err(StreamEnd::Slow)));
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_is_let_go_of() {
        let (outlet, listener) = Outlet::new(CancellationToken::new()).unwrap();
        let mut outlets = Outlets::default();
        outlets.open(1, outlet);
        drop(listener);
        assert!(!outlets.send(1, message(1)));
        assert!(!outlets.has(1));
    }
}
