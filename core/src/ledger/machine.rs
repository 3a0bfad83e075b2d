//! The ledger at work: what it is told, and what it has to say.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::Claims;
use crate::budget::DaySpan;
use crate::id::AgentName;
use crate::ledger::{Batch, Books, ClockMark, Entry, LedgerTime};
use crate::planted::{self, Bug};
use crate::policy::TimeZoneName;
use crate::quota::{Day, FromLedger, Hello, Report, SessionId, Term, Terms};
use crate::time::{Mono, Wall};

/// What happens to a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A proxy says hello on a stream.
    Hello {
        /// The driver's number for the stream: larger than those of streams that began before.
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

/// The ledger of one shard, while it is owned.
#[derive(Debug)]
pub struct Ledger {
    pub(super) books: Books,
    pub(super) term: Term,
    pub(super) policy: BTreeMap<AgentName, Terms>,
    pub(super) claims: BTreeMap<AgentName, Claims>,
    pub(super) streams: BTreeMap<u64, SessionId>,
    pub(super) seats: BTreeMap<SessionId, Seat>,
    /// Facts that are in the books and not yet in the log.
    pub(super) pending: Vec<Entry>,
    /// Answers that are no updates.
    pub(super) answers: Vec<(u64, FromLedger)>,
    /// Agents to look at again, by time.
    pub(super) wakeups: BTreeSet<(LedgerTime, AgentName)>,
    /// Ends of leases.
    pub(super) expiries: BTreeSet<(LedgerTime, SessionId)>,
    pub(super) spans: BTreeMap<TimeZoneName, DaySpan>,
    pub(super) housekeeping_due: LedgerTime,
}

/// A session that has a stream.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) stream: u64,
    /// The newest report taken in.
    pub(super) newest: u64,
    /// Reports taken in that are still to be confirmed.
    pub(super) confirmed: Vec<u64>,
    /// Of the report whose lease is confirmed, to be told.
    pub(super) renewed: Option<Mono>,
    /// Whether there is something to tell.
    pub(super) owed: bool,
    /// Agents to tell of.
    pub(super) agents: BTreeSet<AgentName>,
}

impl Ledger {
    /// A ledger over books that were replayed to their end.
    pub fn new(books: Books, term: Term, now: LedgerTime) -> Self {
        let expiries = books
            .sessions
            .iter()
            .filter(|(_, book)| book.open)
            .map(|(session, book)| (book.until, *session))
            .collect();
        Self {
            books,
            term,
            policy: BTreeMap::new(),
            claims: BTreeMap::new(),
            streams: BTreeMap::new(),
            seats: BTreeMap::new(),
            pending: Vec::new(),
            answers: Vec::new(),
            wakeups: BTreeSet::new(),
            expiries,
            spans: BTreeMap::new(),
            housekeeping_due: now,
        }
    }

    /// Takes an input in. `wall` decides which day it is.
    pub fn handle(&mut self, input: Input, now: LedgerTime, wall: Wall) {
        match input {
            Input::Hello { stream, hello } => self.hello(stream, &hello, now),
            Input::Report { stream, report } => self.report(stream, report, now, wall),
            Input::Goodbye { stream, session } => self.goodbye(stream, session, now),
            Input::Gone { stream } => self.gone(stream),
            Input::Policy(policy) => self.set_policy(policy, now, wall),
            Input::Adjust {
                id,
                agent,
                nanos,
                author,
                message,
            } => {
                if self.is_adjusted(id) {
                    return;
                }
                self.agree_terms(&agent, now);
                let day = self.today(&agent, now, wall);
                let entry = Entry::Adjusted {
                    id,
                    agent: agent.clone(),
                    day,
                    nanos,
                    author,
                    message,
                };
                self.note(entry, now);
                self.raise_alerts(&agent, day, now);
                self.decide(&agent, now, wall);
            }
        }
    }

    /// When [`Ledger::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<LedgerTime> {
        let wakeup = self.wakeups.first().map(|(at, _)| *at);
        let expiry = self.expiries.first().map(|(at, _)| just_after(*at));
        [wakeup, expiry, Some(self.housekeeping_due)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time asks for.
    pub fn handle_timeout(&mut self, now: LedgerTime, wall: Wall) {
        while let Some((at, session)) = self.expiries.first().copied() {
            if just_after(at) > now {
                break;
            }
            self.expiries.pop_first();
            self.expire(session, now, wall);
        }
        while let Some((at, agent)) = self.wakeups.first().cloned() {
            if at > now {
                break;
            }
            self.wakeups.pop_first();
            if let Some(claims) = self.claims.get_mut(&agent) {
                claims.wake = None;
            }
            self.decide(&agent, now, wall);
        }
        if self.housekeeping_due <= now {
            self.keep_house(now, wall);
        }
    }

    /// What is to be committed and said, as of all inputs so far.
    pub fn drain(&mut self, now: LedgerTime, clock: ClockMark) -> Drained {
        // First what is said: to say how money stands may begin a day, and that is a fact.
        let messages = self.messages(now, clock.wall);
        let entries = std::mem::take(&mut self.pending);
        let batch = (!entries.is_empty()).then(|| {
            self.books.number = self.books.number.saturating_add(1);
            self.books.time = self.books.time.max(now);
            self.books.clock = clock;
            Batch {
                number: self.books.number,
                at: self.books.time,
                clock,
                entries,
            }
        });
        Drained { batch, messages }
    }

    /// The books, uncommitted entries included.
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// Whether a correction of this id was booked.
    pub fn is_adjusted(&self, id: u64) -> bool {
        self.books.adjustments.contains(&id)
    }

    /// The agents that the policy limits.
    pub fn agents(&self) -> impl Iterator<Item = &AgentName> {
        self.policy.keys()
    }

    /// Sessions with a lease.
    pub fn sessions(&self) -> usize {
        self.expiries.len()
    }

    /// Books a fact. One that the books refuse is not true and is left out of the log.
    pub(super) fn note(&mut self, entry: Entry, now: LedgerTime) -> bool {
        let taken = self.books.apply(&entry, now).is_ok();
        if taken {
            self.pending.push(entry);
        }
        taken
    }

    /// Has the books know the agent under its present limits.
    pub(super) fn agree_terms(&mut self, agent: &AgentName, now: LedgerTime) {
        let terms = self.policy.get(agent);
        let known = self.books.agents.get(agent);
        let agreed = match (terms, known) {
            (Some(terms), Some(books)) => *terms == books.terms,
            (None, Some(books)) => books.terms == Terms::default(),
            (_, None) => false,
        };
        if !agreed {
            let terms = terms.cloned().unwrap_or_default();
            let agent = agent.clone();
            self.note(Entry::Terms { agent, terms }, now);
        }
    }

    /// The day new money of the agent belongs to. It never goes back, whatever the wall clock does.
    pub(super) fn today(&mut self, agent: &AgentName, now: LedgerTime, wall: Wall) -> Day {
        let books = self.books.agents.get(agent);
        let known = books.and_then(|books| books.day);
        let zone = books.map(|books| books.terms.timezone.clone());
        let day = self.span(&zone.unwrap_or_default(), wall).day;
        match known {
            Some(known) if known >= day && !planted::has(Bug::DayGoesBack) => known,
            Some(known) if known == day => known,
            Some(_) | None => {
                let agent = agent.clone();
                self.note(Entry::DayBegan { agent, day }, now);
                day
            }
        }
    }

    /// The day of a moment in a zone.
    pub(super) fn span(&mut self, zone: &TimeZoneName, wall: Wall) -> DaySpan {
        match self.spans.get(zone) {
            Some(span) if span.begins <= wall && wall < span.ends => *span,
            Some(_) | None => {
                let span = DaySpan::of(zone, wall);
                self.spans.insert(zone.clone(), span);
                span
            }
        }
    }

    /// Has the session told of the agent.
    pub(super) fn owe(&mut self, session: SessionId, agent: &AgentName) {
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.owed = true;
            seat.agents.insert(agent.clone());
        }
    }

    fn set_policy(&mut self, policy: BTreeMap<AgentName, Terms>, now: LedgerTime, wall: Wall) {
        let changed: Vec<AgentName> = self
            .books
            .agents
            .iter()
            .filter(|(agent, books)| {
                let terms = policy.get(*agent);
                terms.map_or(books.terms != Terms::default(), |terms| {
                    *terms != books.terms
                })
            })
            .map(|(agent, _)| agent.clone())
            .collect();
        self.policy = policy;
        for agent in changed {
            self.agree_terms(&agent, now);
            // A limit that was lowered may be passed already.
            let day = self.books.agents.get(&agent).and_then(|books| books.day);
            if let Some(day) = day {
                self.raise_alerts(&agent, day, now);
            }
            // Whoever holds rights learns of it, and gives back what is too much.
            self.claims.entry(agent.clone()).or_default();
            self.tell_holders(&agent);
            self.decide(&agent, now, wall);
        }
    }

    fn tell_holders(&mut self, agent: &AgentName) {
        let holders: Vec<SessionId> = self
            .seats
            .keys()
            .filter(|session| {
                let book = self.books.sessions.get(session);
                book.is_some_and(|book| book.agents.contains(agent))
            })
            .copied()
            .collect();
        for session in holders {
            self.owe(session, agent);
        }
    }
}

/// A lease may be used up to its last moment.
fn just_after(at: LedgerTime) -> LedgerTime {
    LedgerTime::from_nanos(at.as_nanos().saturating_add(1))
}
