//! Where an owner is asked, and whether it is here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agix_core::limits::LEDGER_ANSWER_TIME;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::outlet::{Listener, Outlet, StreamEnd};

/// The way to an owner, which is asked `R`. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Desk<R> {
    what: &'static str,
    standing: watch::Receiver<Standing<R>>,
    streams: Arc<AtomicU64>,
}

/// Whether this control plane is the owner.
#[derive(Debug)]
pub(crate) enum Standing<R> {
    /// What it owns is being read.
    Starting,
    /// Somebody else is.
    Elsewhere(Arc<str>),
    /// Here it is asked.
    Owned(mpsc::Sender<R>),
    /// Nobody is: the control plane stops.
    Stopped,
}

/// Why an owner does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// What it owns is being read from the store.
    #[error("{0} is not ready: it is being read from the store, or cannot be")]
    Starting(&'static str),
    /// Another control plane is the owner.
    #[error("{what} is owned by the control plane at {owner}; connect there")]
    Elsewhere {
        /// What is owned.
        what: &'static str,
        /// By whom.
        owner: Arc<str>,
    },
    /// It is silent.
    #[error("{0} does not answer; perhaps its store cannot be written")]
    Silent(&'static str),
    /// The control plane stops.
    #[error("the control plane is stopping")]
    Stopping,
}

/// What an owner that serves streams of proxies is asked.
pub(crate) trait Request: Send + 'static {
    /// What proxies say.
    type Heard: Send;
    /// What is said to them.
    type Told: Send;
    /// Messages waiting on one stream.
    const QUEUE: usize;

    /// A stream began. Streams that begin later have larger numbers.
    fn open(stream: u64, outlet: Outlet<Self::Told>) -> Self;

    /// A proxy says something.
    fn said(stream: u64, message: Self::Heard) -> Self;

    /// A stream is over; for a reason of this side, if there is one.
    fn gone(stream: u64, reason: Option<StreamEnd>) -> Self;
}

/// A stream of one proxy, as its reader has it.
#[derive(Debug)]
pub(crate) struct Speaker<R> {
    stream: u64,
    over: CancellationToken,
    requests: mpsc::Sender<R>,
}

impl<R> Clone for Desk<R> {
    fn clone(&self) -> Self {
        Self {
            what: self.what,
            standing: self.standing.clone(),
            streams: Arc::clone(&self.streams),
        }
    }
}

impl<R> Clone for Standing<R> {
    fn clone(&self) -> Self {
        match self {
            Self::Starting => Self::Starting,
            Self::Elsewhere(owner) => Self::Elsewhere(Arc::clone(owner)),
            Self::Owned(requests) => Self::Owned(requests.clone()),
            Self::Stopped => Self::Stopped,
        }
    }
}

impl<R> Desk<R> {
    pub(crate) fn new(what: &'static str, standing: watch::Receiver<Standing<R>>) -> Self {
        Self {
            what,
            standing,
            streams: Arc::default(),
        }
    }

    /// Asks something; `question` is given where the answer goes.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> R,
    ) -> Result<T, NotServed> {
        let requests = self.owner().await?;
        let (reply, answer) = oneshot::channel();
        self.send(&requests, question(reply)).await?;
        match timeout(LEDGER_ANSWER_TIME, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            // The owner is gone without an answer.
            Ok(Err(_gone)) => Err(NotServed::Starting(self.what)),
            Err(_late) => Err(NotServed::Silent(self.what)),
        }
    }

    /// Whom to ask; waits a while for an owner that is reading.
    async fn owner(&self) -> Result<mpsc::Sender<R>, NotServed> {
        let mut standing = self.standing.clone();
        let settled = standing.wait_for(|it| !matches!(it, Standing::Starting));
        let standing = match timeout(LEDGER_ANSWER_TIME, settled).await {
            Ok(Ok(standing)) => standing.clone(),
            Ok(Err(_closed)) => Standing::Stopped,
            Err(_late) => Standing::Starting,
        };
        match standing {
            Standing::Owned(requests) => Ok(requests),
            Standing::Elsewhere(owner) => Err(NotServed::Elsewhere {
                what: self.what,
                owner,
            }),
            Standing::Starting => Err(NotServed::Starting(self.what)),
            Standing::Stopped => Err(NotServed::Stopping),
        }
    }

    async fn send(&self, requests: &mpsc::Sender<R>, request: R) -> Result<(), NotServed> {
        match timeout(LEDGER_ANSWER_TIME, requests.send(request)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_gone)) => Err(NotServed::Starting(self.what)),
            Err(_late) => Err(NotServed::Silent(self.what)),
        }
    }
}

impl<R: Request> Desk<R> {
    /// Begins a stream: what its proxy says goes in here, what the owner says comes out there.
    pub(crate) async fn open(&self) -> Result<(Speaker<R>, Listener<R::Told>), NotServed> {
        let requests = self.owner().await?;
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let over = CancellationToken::new();
        let opened = Outlet::new(R::QUEUE, over.clone());
        let (outlet, listener) = opened.ok_or(NotServed::Silent(self.what))?;
        self.send(&requests, R::open(stream, outlet)).await?;
        let speaker = Speaker {
            stream,
            over,
            requests,
        };
        Ok((speaker, listener))
    }
}

impl<R: Request> Speaker<R> {
    /// Tells the owner what the proxy says; waits for room. False: the stream is over.
    pub(crate) async fn say(&self, message: R::Heard) -> bool {
        let said = self.requests.send(R::said(self.stream, message));
        matches!(self.over.run_until_cancelled(said).await, Some(Ok(())))
    }

    /// Waits until the owner has ended the stream.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Ends the stream; for a reason that the proxy is told, if there is one.
    pub(crate) async fn leave(self, reason: Option<StreamEnd>) {
        let gone = self.requests.send(R::gone(self.stream, reason));
        // An owner that is over has let go of it.
        drop(self.over.run_until_cancelled(gone).await);
    }
}
