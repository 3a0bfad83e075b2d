//! Where the ledger is asked: by streams of proxies, and by operators.

use std::fmt;

use agix_core::id::AgentName;
use agix_core::ledger::{Ledger, LedgerTime};
use agix_core::limits::QUOTA_QUEUE;
use agix_core::quota::{FromLedger, Term, ToLedger};
use agix_core::time::Wall;
use tokio::sync::oneshot;

use crate::owned::{self, Desk, NotServed, Outlet, StreamEnd};
use crate::store::StoreRevision;

/// The way to the ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LedgerDesk(Desk<Request>);

/// What the owner of the ledger is asked.
pub(crate) enum Request {
    /// A stream began.
    Open {
        stream: u64,
        outlet: Outlet<FromLedger>,
    },
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
pub(crate) type Question = Box<dyn FnOnce(&View<'_>) + Send>;

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

impl LedgerDesk {
    pub(super) const fn new(desk: Desk<Request>) -> Self {
        Self(desk)
    }

    /// Where streams of proxies begin.
    pub(crate) const fn desk(&self) -> &Desk<Request> {
        &self.0
    }

    /// Looks at the ledger. Its owner does nothing else meanwhile: a question is short.
    pub async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, NotServed> {
        let ask = |reply: oneshot::Sender<T>| {
            Request::Ask(Box::new(move |view: &View<'_>| {
                if !reply.is_closed() {
                    // Whoever asked may have left just now.
                    drop(reply.send(question(view)));
                }
            }))
        };
        self.0.ask(ask).await
    }

    /// Corrects what an agent spent today. Can be repeated.
    pub async fn adjust(&self, adjustment: Adjustment) -> Result<Adjusted, NotServed> {
        let ask = |reply| Request::Adjust { adjustment, reply };
        self.0.ask(ask).await
    }
}

impl owned::Request for Request {
    type Heard = ToLedger;
    type Told = FromLedger;
    const QUEUE: usize = QUOTA_QUEUE;

    fn open(stream: u64, outlet: Outlet<FromLedger>) -> Self {
        Self::Open { stream, outlet }
    }

    fn said(stream: u64, message: ToLedger) -> Self {
        Self::Said { stream, message }
    }

    fn gone(stream: u64, reason: Option<StreamEnd>) -> Self {
        Self::Gone { stream, reason }
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
