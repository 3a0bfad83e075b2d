//! Where the queue is asked: by proxies and by operators.

use std::fmt;

use agix_core::id::{ProxyId, WebhookName};
use agix_core::limits::WEBHOOK_QUEUE;
use agix_core::webhook::execution::{DeliveryKey, Execution, ExecutionId};
use agix_core::webhook::outcome::{Payload, RunResult};
use agix_core::webhook::queue::{Answer, Queue};
use agix_core::webhook::work::{FromQueue, ToQueue};
use tokio::sync::oneshot;

use super::load::{self, LoadError};
use crate::owned::{self, Desk, NotServed, Outlet, StreamEnd};
use crate::store::Store;

/// The way to the queue.
#[derive(Debug, Clone)]
pub(crate) struct WebhookDesk<S> {
    desk: Desk<Request>,
    store: S,
}

/// What a proxy received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) webhook: WebhookName,
    pub(crate) delivery: DeliveryKey,
    /// SHA-256 of the body.
    pub(crate) hash: [u8; 32],
    pub(crate) payload: Payload,
    pub(crate) proxy: ProxyId,
}

/// What the owner of the queue is asked.
pub(crate) enum Request {
    /// A stream began.
    Open {
        stream: u64,
        outlet: Outlet<FromQueue>,
    },
    /// A proxy says something.
    Said { stream: u64, message: ToQueue },
    /// A stream is over; for a reason of this side, if there is one.
    Gone {
        stream: u64,
        reason: Option<StreamEnd>,
    },
    /// Something was received.
    Accept {
        received: Received,
        reply: oneshot::Sender<Answer>,
    },
    /// Somebody waits for a result.
    Await {
        id: ExecutionId,
        reply: oneshot::Sender<Option<Awaited>>,
    },
    /// An operator wants one delivered or run again.
    Replay {
        of: ExecutionId,
        payload: Payload,
        result: Option<RunResult>,
        reply: oneshot::Sender<Answer>,
    },
    /// Somebody wants to know something.
    Ask(Question),
}

/// What is asked, and where the answer goes.
pub(crate) type Question = Box<dyn FnOnce(&Queue) + Send>;

/// An execution that is waited for.
pub(crate) enum Awaited {
    /// It has its result, or will have none.
    There(Box<Execution>),
    /// It comes there when it has.
    Coming(oneshot::Receiver<Execution>),
    /// Too many wait already.
    TooMany,
}

/// Why nothing can be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The queue does not answer.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// What is stored of it cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl<S: Store> WebhookDesk<S> {
    pub(super) const fn new(desk: Desk<Request>, store: S) -> Self {
        Self { desk, store }
    }

    /// Where streams of proxies begin.
    pub(crate) const fn desk(&self) -> &Desk<Request> {
        &self.desk
    }

    /// Takes what was received; answered when it is stored.
    pub(crate) async fn accept(&self, received: Received) -> Result<Answer, NotServed> {
        let ask = |reply| Request::Accept { received, reply };
        self.desk.ask(ask).await
    }

    /// Waits until an execution has its result; none if there is no such execution.
    pub(crate) async fn result_of(&self, id: ExecutionId) -> Result<Option<Awaited>, NotServed> {
        self.desk.ask(|reply| Request::Await { id, reply }).await
    }

    /// Looks at the queue. Its owner does nothing else meanwhile: a question is short.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Queue) -> T + Send + 'static,
    ) -> Result<T, NotServed> {
        let ask = |reply: oneshot::Sender<T>| {
            Request::Ask(Box::new(move |queue: &Queue| {
                if !reply.is_closed() {
                    // Whoever asked may have left just now.
                    drop(reply.send(question(queue)));
                }
            }))
        };
        self.desk.ask(ask).await
    }

    /// Delivers a dead one again, or runs one that has ended once more.
    pub(crate) async fn replay(&self, of: ExecutionId) -> Result<Answer, ReplayError> {
        let Some(payload) = load::payload(&self.store, of).await? else {
            return Ok(Answer::Unknown);
        };
        let result = load::result(&self.store, of).await?;
        let ask = |reply| Request::Replay {
            of,
            payload,
            result,
            reply,
        };
        Ok(self.desk.ask(ask).await?)
    }

    /// What an execution received, as it is stored.
    pub(crate) async fn payload(&self, id: ExecutionId) -> Result<Option<Payload>, LoadError> {
        load::payload(&self.store, id).await
    }

    /// What came of its model call, as it is stored.
    pub(crate) async fn result(&self, id: ExecutionId) -> Result<Option<RunResult>, LoadError> {
        load::result(&self.store, id).await
    }
}

impl owned::Request for Request {
    type Heard = ToQueue;
    type Told = FromQueue;
    const QUEUE: usize = WEBHOOK_QUEUE;

    fn open(stream: u64, outlet: Outlet<FromQueue>) -> Self {
        Self::Open { stream, outlet }
    }

    fn said(stream: u64, message: ToQueue) -> Self {
        Self::Said { stream, message }
    }

    fn gone(stream: u64, reason: Option<StreamEnd>) -> Self {
        Self::Gone { stream, reason }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open { .. } => "Open",
            Self::Said { .. } => "Said",
            Self::Gone { .. } => "Gone",
            Self::Accept { .. } => "Accept",
            Self::Await { .. } => "Await",
            Self::Replay { .. } => "Replay",
            Self::Ask(_) => "Ask",
        })
    }
}
