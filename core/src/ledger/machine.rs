//! The ledger at work: what it is told, and what it has to say.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::AgentName;
use crate::ledger::{Batch, Books, ClockMark, LedgerTime};
use crate::quota::{FromLedger, Hello, Report, SessionId, Term, Terms};
use crate::time::Wall;
use crate::units::NanoUsd;

/// What happens to a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A proxy says hello on a stream.
    Hello {
        /// The driver's name for the stream.
        stream: u64,
        /// What it says.
        hello: Hello,
    },
    /// A proxy reports on a stream.
    Report {
        /// The stream.
        stream: u64,
        /// What it says.
        report: Report,
    },
    /// A proxy stops.
    Goodbye {
        /// The stream.
        stream: u64,
        /// Its session.
        session: SessionId,
    },
    /// A stream is gone.
    Gone {
        /// The stream.
        stream: u64,
    },
    /// The limits of all agents are now these.
    Policy(BTreeMap<AgentName, Terms>),
    /// An operator corrects what an agent spent today.
    Adjust {
        /// Tells a repetition from another correction.
        id: u64,
        /// The agent.
        agent: AgentName,
        /// Nano-dollars more spent; negative for less.
        nanos: i64,
        /// Who.
        author: String,
        /// Why.
        message: String,
    },
}

/// What a ledger wants done: first the batch is committed, then the messages are sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drained {
    /// To be appended to the log; nothing if nothing happened that the log must know.
    pub batch: Option<Batch>,
    /// What to say, and on which stream.
    pub messages: Vec<(u64, FromLedger)>,
}

/// How an agent stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    /// Its limits.
    pub terms: Terms,
    /// Requests of the last minute: used and held.
    pub minute: (u64, u64),
    /// Requests of the last hour: used and held.
    pub hour: (u64, u64),
    /// Tokens of the last minute: used and held.
    pub tokens: (u64, u64),
    /// Places held.
    pub slots: u64,
    /// When the next request leaves the minute, the hour, and the next token its minute.
    pub next_release: [Option<Duration>; 3],
    /// The day's money.
    pub day: Option<PeriodState>,
    /// The month's money.
    pub month: Option<PeriodState>,
    /// Requests taken in during about the last minute.
    pub recent: u64,
}

/// How the money of a period stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodState {
    /// `2026-11-25` or `2026-11`.
    pub period: String,
    /// The limit.
    pub limit: NanoUsd,
    /// Confirmed spend.
    pub spent: NanoUsd,
    /// Set aside for live sessions.
    pub escrow: NanoUsd,
    /// Set aside for lost sessions.
    pub unsettled: NanoUsd,
    /// When the period ends.
    pub resets_in: Duration,
}

/// The ledger of one shard, while it is owned.
#[derive(Debug)]
pub struct Ledger {
    books: Books,
}

impl Ledger {
    /// A ledger over books that were replayed to their end.
    pub fn new(books: Books, term: Term, now: LedgerTime) -> Self {
        let _ = (term, now);
        Self { books }
    }

    /// Takes an input in. `wall` decides which day it is.
    pub fn handle(&mut self, input: Input, now: LedgerTime, wall: Wall) {
        let _ = (input, now, wall);
    }

    /// When [`Ledger::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<LedgerTime> {
        None
    }

    /// Does what time asks for.
    pub fn handle_timeout(&mut self, now: LedgerTime, wall: Wall) {
        let _ = (now, wall);
    }

    /// What is to be committed and said, as of all inputs so far.
    pub fn drain(&mut self, now: LedgerTime, clock: ClockMark) -> Drained {
        let _ = (now, clock);
        Drained::default()
    }

    /// The books, uncommitted entries included.
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// Whether a correction of this id was booked.
    pub fn is_adjusted(&self, id: u64) -> bool {
        self.books.adjustments.contains(&id)
    }

    /// How an agent stands; nothing if the policy does not limit it.
    pub fn agent(&self, agent: &AgentName, now: LedgerTime, wall: Wall) -> Option<AgentState> {
        let _ = (agent, now, wall);
        None
    }

    /// The agents that the policy limits.
    pub fn agents(&self) -> impl Iterator<Item = &AgentName> {
        self.books.agents.keys()
    }

    /// Sessions with a lease.
    pub fn sessions(&self) -> usize {
        self.books.sessions.values().filter(|it| it.open).count()
    }
}
