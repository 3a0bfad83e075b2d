//! Where the ledger is asked: by streams of proxies, and by operators.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agix_core::id::AgentName;
use agix_core::ledger::{Ledger, LedgerTime};
use agix_core::limits::LEDGER_ANSWER_TIME;
use agix_core::quota::{Term, ToLedger};
use agix_core::time::Wall;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::outlet::{Listener, Outlet, StreamEnd};
use crate::store::StoreRevision;

/// The way to the ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LedgerDesk {
    standing: watch::Receiver<Standing>,
    streams: Arc<AtomicU64>,
}

/// Whether this control plane has the ledger.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    /// It is being read.
    Starting,
    /// Somebody else has it.
    Elsewhere(Arc<str>),
    /// Here it is asked.
    Owned(mpsc::Sender<Request>),
    /// Nobody has it: the control plane stops.
    Stopped,
}

/// Why the ledger does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// It is being read from the store.
    #[error("the ledger is not ready: its log is being read, or cannot be")]
    Starting,
    /// Another control plane has it.
    #[error("the ledger is owned by the control plane at {0}; connect there")]
    Elsewhere(Arc<str>),
    /// It is silent.
    #[error("the ledger does not answer; perhaps its store cannot be written")]
    Silent,
    /// The control plane stops.
    #[error("the control plane is stopping")]
    Stopping,
}

/// What the owner of the ledger is asked.
pub(super) enum Request {
    /// A stream began.
    Open { stream: u64, outlet: Outlet },
    /// A proxy says something.
    Said { stream: u64, message: ToLedger },
    /// A stream is over; for a reason of this side, if there is one.
    Gone {
        stream: u64,
        reason: Option<StreamEnd>,
    },
    /// An operator corrects what was spent.
    Adjust {
        adjustment: Adjustment,
        reply: oneshot::Sender<Adjusted>,
    },
    /// Somebody wants to know something.
    Ask(Question),
}

/// What is asked, and where the answer goes.
pub(super) type Question = Box<dyn FnOnce(&View<'_>) + Send>;

/// What can be looked at: nothing of it is uncommitted.
#[derive(Debug)]
pub struct View<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// Its term.
    pub term: Term,
    /// Its time.
    pub now: LedgerTime,
    /// The wall clock.
    pub wall: Wall,
    /// As of when the store has all of it.
    pub revision: StoreRevision,
}

/// A correction of what an agent spent today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// Tells a repetition from another correction.
    pub id: u64,
    /// The agent.
    pub agent: AgentName,
    /// Nano-dollars more spent; negative for less.
    pub nanos: i64,
    /// Who.
    pub author: String,
    /// Why.
    pub message: String,
}

/// What became of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjusted {
    /// It is in the log.
    Booked,
    /// It was before.
    BookedBefore,
    /// The agent has no budget.
    NoBudget,
    /// It is too large to be counted with what was corrected before.
    Refused,
}

/// A stream of one proxy, as its reader has it.
#[derive(Debug)]
pub struct Speaker {
    stream: u64,
    over: CancellationToken,
    requests: mpsc::Sender<Request>,
}

impl LedgerDesk {
    pub(super) fn new(standing: watch::Receiver<Standing>) -> Self {
        Self {
            standing,
            streams: Arc::default(),
        }
    }

    /// Begins a stream: what its proxy says goes in here, what the ledger says comes out there.
    pub async fn open(&self) -> Result<(Speaker, Listener), NotServed> {
        let requests = self.owner().await?;
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let over = CancellationToken::new();
        let (outlet, listener) = Outlet::new(over.clone()).ok_or(NotServed::Silent)?;
        ask(&requests, Request::Open { stream, outlet }).await?;
        let speaker = Speaker {
            stream,
            over,
            requests,
        };
        Ok((speaker, listener))
    }

    /// Looks at the ledger. Its owner does nothing else meanwhile: a question is short.
    pub async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, NotServed> {
        let requests = self.owner().await?;
        let (reply, answer) = oneshot::channel();
        let asked = Box::new(move |view: &View<'_>| {
            if !reply.is_closed() {
                // Whoever asked may have left just now.
                drop(reply.send(question(view)));
            }
        });
        ask(&requests, Request::Ask(asked)).await?;
        self.answer(answer).await
    }

    /// Corrects what an agent spent today. Can be repeated.
    pub async fn adjust(&self, adjustment: Adjustment) -> Result<Adjusted, NotServed> {
        let requests = self.owner().await?;
        let (reply, answer) = oneshot::channel();
        ask(&requests, Request::Adjust { adjustment, reply }).await?;
        self.answer(answer).await
    }

    /// Whom to ask; waits a while for a ledger that is being read.
    async fn owner(&self) -> Result<mpsc::Sender<Request>, NotServed> {
        let mut standing = self.standing.clone();
        let settled = standing.wait_for(|it| !matches!(it, Standing::Starting));
        let standing = match timeout(LEDGER_ANSWER_TIME, settled).await {
            Ok(Ok(standing)) => standing.clone(),
            Ok(Err(_closed)) => Standing::Stopped,
            Err(_late) => Standing::Starting,
        };
        match standing {
            Standing::Owned(requests) => Ok(requests),
            Standing::Elsewhere(owner) => Err(NotServed::Elsewhere(owner)),
            Standing::Starting => Err(NotServed::Starting),
            Standing::Stopped => Err(NotServed::Stopping),
        }
    }

    async fn answer<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, NotServed> {
        match timeout(LEDGER_ANSWER_TIME, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            // The owner is gone without an answer.
            Ok(Err(_gone)) => Err(NotServed::Starting),
            Err(_late) => Err(NotServed::Silent),
        }
    }
}

async fn ask(requests: &mpsc::Sender<Request>, request: Request) -> Result<(), NotServed> {
    match timeout(LEDGER_ANSWER_TIME, requests.send(request)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(NotServed::Starting),
        Err(_late) => Err(NotServed::Silent),
    }
}

impl Speaker {
    /// Tells the ledger what the proxy says; waits for room. False: the stream is over.
    pub async fn say(&self, message: ToLedger) -> bool {
        let stream = self.stream;
        let said = self.requests.send(Request::Said { stream, message });
        matches!(self.over.run_until_cancelled(said).await, Some(Ok(())))
    }

    /// Waits until the ledger has ended the stream.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Ends the stream; for a reason that the proxy is told, if there is one.
    pub async fn leave(self, reason: Option<StreamEnd>) {
        let stream = self.stream;
        let gone = self.requests.send(Request::Gone { stream, reason });
        // A ledger that is over has let go of it.
        drop(self.over.run_until_cancelled(gone).await);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Open { .. } => "Open",
            Self::Said { .. } => "Said",
            Self::Gone { .. } => "Gone",
            Self::Adjust { .. } => "Adjust",
            Self::Ask(_) => "Ask",
        };
        f.write_str(name)
    }
}
