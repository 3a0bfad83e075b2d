//! What the log adds up to.
//!
//! [`Books::apply`] takes facts and decides nothing. A fact that cannot be true of these books, which
//! means that the log is damaged, is refused and changes nothing.

mod agent;
mod purse;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::id::{AgentName, ModelName};
use crate::ledger::{Batch, ClockMark, Entry, LedgerTime};
use crate::limits::ADJUSTMENTS;
use crate::planted::{self, Bug};
use crate::quota::{Day, SessionId};
use crate::units::NanoUsd;
use crate::usage::UsageTotals;

pub use agent::{AgentBooks, Holding};
pub use purse::{Part, Purse};
pub use session::SessionBook;

/// All books of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// The last batch taken in.
    pub number: u64,
    /// The ledger's time then.
    pub time: LedgerTime,
    /// The owner's clocks then.
    pub clock: ClockMark,
    /// The number of the newest session.
    pub sessions_opened: u64,
    /// Sessions, closed ones too until they are forgotten.
    pub sessions: BTreeMap<SessionId, SessionBook>,
    /// Agents that have or had limits. A copy of the books, which a snapshot is made of, shares them
    /// until they change: to copy all of them would hold up everyone who waits.
    pub agents: BTreeMap<AgentName, Arc<AgentBooks>>,
    /// What was used, by day.
    pub usage: BTreeMap<UsageRow, UsageTotals>,
    /// Ids of the newest corrections, oldest first.
    pub adjustments: VecDeque<u64>,
}

/// What a row of usage is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageRow {
    /// The day.
    pub day: Day,
    /// The agent.
    pub agent: AgentName,
    /// The model.
    pub model: ModelName,
}

/// How money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Money {
    /// Confirmed spend, corrections included.
    pub spent: NanoUsd,
    /// Set aside for sessions that live.
    pub escrow: NanoUsd,
    /// Set aside for sessions that are lost and may have spent it.
    pub unsettled: NanoUsd,
}

impl Money {
    /// Everything that counts against a limit.
    pub const fn committed(&self) -> NanoUsd {
        self.spent
            .saturating_add(self.escrow)
            .saturating_add(self.unsettled)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            spent: self.spent.saturating_add(other.spent),
            escrow: self.escrow.saturating_add(other.escrow),
            unsettled: self.unsettled.saturating_add(other.unsettled),
        }
    }
}

/// A fact that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// A batch is missing or out of order.
    #[error("batch {found} follows batch {last}")]
    Order {
        /// The last one taken in.
        last: u64,
        /// The one that came.
        found: u64,
    },
    /// The ledger's time went back.
    #[error("in batch {0} the ledger's time goes back")]
    Time(u64),
    /// It speaks of a session there is not.
    #[error("session {0} is not known")]
    UnknownSession(SessionId),
    /// It gives rights to a session that is over, or opens one again.
    #[error("session {0} is closed")]
    ClosedSession(SessionId),
    /// It speaks of an agent there is not.
    #[error("the agent {0} has no books")]
    UnknownAgent(AgentName),
    /// A count is beyond what can be counted.
    #[error("a count of {0} cannot be counted")]
    Overflow(&'static str),
}

impl Books {
    /// Takes in a batch. An error leaves the books in part changed: they are of no use any more.
    pub fn replay(&mut self, batch: &Batch) -> Result<(), Corrupt> {
        if batch.number != self.number.saturating_add(1) {
            return Err(Corrupt::Order {
                last: self.number,
                found: batch.number,
            });
        }
        if batch.at < self.time {
            return Err(Corrupt::Time(batch.number));
        }
        for entry in &batch.entries {
            self.apply(entry, batch.at)?;
        }
        self.number = batch.number;
        self.time = batch.at;
        self.clock = batch.clock;
        Ok(())
    }

    /// Takes in one fact.
    pub fn apply(&mut self, entry: &Entry, now: LedgerTime) -> Result<(), Corrupt> {
        match entry {
            Entry::SessionOpened { .. } | Entry::Renewed { .. } => self.apply_lease(entry),
            Entry::SessionClosed { session } => self.close(*session),
            Entry::Granted { .. } | Entry::Used { .. } => self.apply_rights(entry, now),
            Entry::DayBegan { .. } | Entry::Escrowed { .. } | Entry::Settled { .. } => {
                self.apply_money(entry)
            }
            Entry::Usage { .. } => self.use_model(entry),
            Entry::Terms { .. } | Entry::Adjusted { .. } | Entry::Alert { .. } => {
                self.apply_policy(entry)
            }
            Entry::Forgotten { session } => self.forget(*session),
            Entry::Archived { before } => {
                for books in self.agents.values_mut() {
                    Arc::make_mut(books).archive(*before);
                }
                Ok(())
            }
            Entry::UsageDropped { before } => {
                self.usage.retain(|row, _| row.day >= *before);
                Ok(())
            }
        }
    }

    fn apply_lease(&mut self, entry: &Entry) -> Result<(), Corrupt> {
        if let Entry::SessionOpened {
            session,
            proxy,
            incarnation,
            until,
        } = entry
        {
            if session.number() <= self.sessions_opened {
                return Err(Corrupt::ClosedSession(*session));
            }
            self.sessions_opened = session.number();
            let book = SessionBook::new(proxy.clone(), *incarnation, *until);
            self.sessions.insert(*session, book);
        }
        if let Entry::Renewed { session, until } = entry {
            let book = self.open_session(*session)?;
            book.until = book.until.max(*until);
        }
        Ok(())
    }

    fn apply_rights(&mut self, entry: &Entry, now: LedgerTime) -> Result<(), Corrupt> {
        if let Entry::Granted {
            session,
            agent,
            pool,
            amount,
        } = entry
        {
            let books = self.books_of(*session, agent, |it| it.holds(*pool, *session))?;
            let holding = books.holding(*pool, *session);
            holding.granted = add(holding.granted, *amount, "granted rights")?;
        }
        if let Entry::Used {
            session,
            agent,
            pool,
            uses,
            returned,
        } = entry
        {
            let books = self.books_of(*session, agent, |it| it.holds(*pool, *session))?;
            books.take_use(*pool, *session, uses, *returned, now)?;
        }
        Ok(())
    }

    fn apply_money(&mut self, entry: &Entry) -> Result<(), Corrupt> {
        if let Entry::DayBegan { agent, day } = entry {
            let books = self.agent(agent)?;
            books.day = books.day.max(Some(*day));
        }
        if let Entry::Escrowed {
            session,
            agent,
            day,
            amount,
        } = entry
        {
            let books = self.books_of(*session, agent, |it| it.has_part(*day, *session))?;
            let part = books.purse(*day).part(*session);
            let granted = part.granted.checked_add(*amount);
            part.granted = granted.ok_or(Corrupt::Overflow("escrow"))?;
        }
        if let Entry::Settled {
            session,
            agent,
            day,
            spent,
            released,
            estimated,
            last,
        } = entry
        {
            let books = self.agents.get_mut(agent).map(Arc::make_mut);
            let books = books.ok_or_else(|| Corrupt::UnknownAgent(agent.clone()))?;
            let session_book = self.sessions.get_mut(session);
            let session_book = session_book.ok_or(Corrupt::UnknownSession(*session))?;
            if !books.has_part(*day, *session) {
                session_book.agents.insert(agent.clone());
            }
            let purse = books.purse(*day);
            purse.settle(*session, *spent, *released, *estimated, *last);
        }
        Ok(())
    }

    fn apply_policy(&mut self, entry: &Entry) -> Result<(), Corrupt> {
        if let Entry::Terms { agent, terms } = entry {
            let books = self.agents.entry(agent.clone()).or_default();
            let books = Arc::make_mut(books);
            books.terms = terms.clone();
            if planted::has(Bug::RefillOnPolicy) {
                (books.minute, books.hour) = Default::default();
            }
        }
        if let Entry::Adjusted {
            id,
            agent,
            day,
            nanos,
            ..
        } = entry
        {
            let purse = self.agent(agent)?.purse(*day);
            let adjusted = purse.adjusted.checked_add(*nanos);
            purse.adjusted = adjusted.ok_or(Corrupt::Overflow("corrections"))?;
            self.adjustments.push_back(*id);
            while self.adjustments.len() > ADJUSTMENTS {
                self.adjustments.pop_front();
            }
        }
        if let Entry::Alert {
            agent,
            period,
            percent,
            limit,
            ..
        } = entry
        {
            let alerts = &mut self.agent(agent)?.alerts;
            alerts.insert((*period, *percent, *limit));
        }
        Ok(())
    }

    /// The books of an agent, in which an open session appears from now on.
    fn books_of(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        appears: impl FnOnce(&AgentBooks) -> bool,
    ) -> Result<&mut AgentBooks, Corrupt> {
        let book = match self.sessions.get_mut(&session) {
            Some(book) if book.open => book,
            Some(_) => return Err(Corrupt::ClosedSession(session)),
            None => return Err(Corrupt::UnknownSession(session)),
        };
        let books = self
            .agents
            .get_mut(agent)
            .map(Arc::make_mut)
            .ok_or_else(|| Corrupt::UnknownAgent(agent.clone()))?;
        // With many agents it is dear to look for one in the session's list.
        if !appears(books) {
            book.agents.insert(agent.clone());
        }
        Ok(books)
    }

    /// The rows of usage of one day.
    pub fn rows_of(&self, day: Day) -> impl Iterator<Item = &UsageRow> {
        let first = UsageRow {
            day,
            agent: AgentName::first(),
            model: ModelName::first(),
        };
        self.usage
            .range(first..)
            .map(|(row, _)| row)
            .take_while(move |row| row.day == day)
    }

    /// What was spent of the money of an agent's day, and what is set aside for sessions that live
    /// and for sessions that are lost.
    pub fn money_of(&self, purse: &Purse) -> Money {
        let is_open = |session| self.sessions.get(&session).is_some_and(|book| book.open);
        Money {
            spent: purse.spent(),
            escrow: purse.held(is_open),
            unsettled: purse.held(|session| !is_open(session)),
        }
    }

    fn close(&mut self, session: SessionId) -> Result<(), Corrupt> {
        let book = self.open_session(session)?;
        book.open = false;
        let until = book.until;
        let agents = book.agents.clone();
        for agent in &agents {
            if let Some(books) = self.agents.get_mut(agent) {
                Arc::make_mut(books).close(session, until);
            }
        }
        Ok(())
    }

    /// Drops a closed session; what it never settled stays in the purses as unsettled.
    fn forget(&mut self, session: SessionId) -> Result<(), Corrupt> {
        match self.sessions.get(&session) {
            Some(book) if book.open => Err(Corrupt::Overflow("open sessions")),
            Some(book) => {
                for agent in &book.agents {
                    if let Some(books) = self.agents.get_mut(agent) {
                        Arc::make_mut(books).fold(session);
                    }
                }
                self.sessions.remove(&session);
                Ok(())
            }
            None => Err(Corrupt::UnknownSession(session)),
        }
    }

    fn use_model(&mut self, entry: &Entry) -> Result<(), Corrupt> {
        let Entry::Usage {
            session,
            agent,
            model,
            day,
            budgeted,
            totals,
        } = entry
        else {
            return Ok(());
        };
        let book = self
            .sessions
            .get_mut(session)
            .ok_or(Corrupt::UnknownSession(*session))?;
        let key = (agent.clone(), model.clone(), budgeted.then_some(*day));
        let seen = book.usage.entry(key).or_default();
        // An old report, heard late, has less: sums only grow.
        let more = totals.since(seen);
        *seen = seen.plus(&more);
        let more = if planted::has(Bug::RepetitionCounted) {
            *totals
        } else {
            more
        };
        let row = UsageRow {
            day: *day,
            agent: agent.clone(),
            model: model.clone(),
        };
        let sums = self.usage.entry(row).or_default();
        *sums = sums.plus(&more);
        Ok(())
    }

    fn open_session(&mut self, session: SessionId) -> Result<&mut SessionBook, Corrupt> {
        match self.sessions.get_mut(&session) {
            Some(book) if book.open => Ok(book),
            Some(_) => Err(Corrupt::ClosedSession(session)),
            None => Err(Corrupt::UnknownSession(session)),
        }
    }

    fn agent(&mut self, agent: &AgentName) -> Result<&mut AgentBooks, Corrupt> {
        self.agents
            .get_mut(agent)
            .map(Arc::make_mut)
            .ok_or_else(|| Corrupt::UnknownAgent(agent.clone()))
    }
}

fn add(one: u64, other: u64, what: &'static str) -> Result<u64, Corrupt> {
    one.checked_add(other).ok_or(Corrupt::Overflow(what))
}
