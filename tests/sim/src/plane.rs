//! A control plane: the driver of the real ledger, as the control plane has it. It takes in what
//! waits, commits what follows from it, and then says what is to be said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::ledger::{Batch, Books, ClockMark, Input, Ledger, LedgerTime, elapsed};
use agix_core::planted::{self, Bug};
use agix_core::quota::{FromLedger, Term, Terms};

use crate::clock::Nanos;

/// One control plane, over all starts of its process.
#[derive(Debug)]
pub struct Plane {
    /// The machine it runs on.
    pub machine: usize,
    /// Whether its process runs.
    pub up: bool,
    /// Counts its starts.
    pub incarnation: u64,
    /// Until when it stands still.
    pub paused_until: Nanos,
    /// Its ledger, if it takes itself for the owner.
    pub shift: Option<Shift>,
}

/// An owner at work.
#[derive(Debug)]
pub struct Shift {
    /// Its term.
    pub term: u64,
    /// The ledger.
    pub ledger: Ledger,
    from: LedgerTime,
    since_boot: u64,
    /// What waits to be taken in.
    pub inputs: VecDeque<Input>,
    /// Streams that are open here.
    pub streams: BTreeSet<u64>,
    /// The batch whose fate is not known yet, and what is said once it is committed.
    pub commit: Option<Commit>,
    /// The newest policy it has.
    pub version: usize,
    /// Its next planned wake-up.
    pub wake: Option<Nanos>,
    /// Tells the latest plan to wake it from older ones.
    pub wakes: u64,
    /// Counts rounds, for checks now and then.
    pub rounds: u64,
}

/// A batch that is being committed.
#[derive(Debug)]
pub struct Commit {
    /// The batch.
    pub batch: Arc<Batch>,
    /// What is said afterwards.
    pub messages: Vec<(u64, FromLedger)>,
}

impl Shift {
    /// Begins a term over these books.
    pub fn begin(books: Books, term: u64, mark: &ClockMark) -> Self {
        let passed = match books.number {
            0 => Duration::ZERO,
            _ => elapsed(&books.clock, mark),
        };
        let from = books.time.after(passed);
        Self {
            term,
            ledger: Ledger::new(books, Term::new(term), from),
            from,
            since_boot: mark.since_boot,
            inputs: VecDeque::new(),
            streams: BTreeSet::new(),
            commit: None,
            version: 0,
            wake: None,
            wakes: 0,
            rounds: 0,
        }
    }

    /// Puts the limits of all agents in force.
    pub fn set_policy(&mut self, policy: BTreeMap<AgentName, Terms>, version: usize) {
        self.inputs.push_back(Input::Policy(policy));
        self.version = version;
    }

    /// The ledger's time.
    pub fn time(&self, mark: &ClockMark) -> LedgerTime {
        let passed = mark.since_boot.saturating_sub(self.since_boot);
        self.from.after(Duration::from_nanos(passed))
    }

    /// Takes in what waits; says what can be said at once. Nothing while a batch is being committed.
    pub fn round(&mut self, mark: &ClockMark) -> Vec<(u64, FromLedger)> {
        if self.commit.is_some() {
            return Vec::new();
        }
        self.rounds += 1;
        let now = self.time(mark);
        for input in self.inputs.drain(..) {
            self.ledger.handle(input, now, mark.wall);
        }
        self.ledger.handle_timeout(now, mark.wall);
        let drained = self.ledger.drain(now, *mark);
        let Some(batch) = drained.batch else {
            return drained.messages;
        };
        let (now, later) = if planted::has(Bug::ToldBeforeCommit) {
            (drained.messages, Vec::new())
        } else {
            (Vec::new(), drained.messages)
        };
        self.commit = Some(Commit {
            batch: Arc::new(batch),
            messages: later,
        });
        now
    }

    /// When the ledger has something to do, counted from its time at `mark`; nothing while a batch
    /// is being committed.
    pub fn due_in(&self, mark: &ClockMark) -> Option<Duration> {
        if self.commit.is_some() {
            return None;
        }
        let due = self.ledger.poll_timeout()?;
        Some(due.since(self.time(mark)))
    }
}
