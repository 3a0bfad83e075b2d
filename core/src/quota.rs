//! What a proxy and the ledger say to each other about rights.
//!
//! Rules the protocol keeps:
//! - Every message tells a state, not a change: counts are cumulative over a session, so that loss,
//!   repetition and reordering are harmless.
//! - A *session* is one incarnation of one proxy and the identity that rights are booked on. A
//!   *lease* is the time for which they may be used; each report that the ledger confirms begins it
//!   anew, counted on the proxy's clock from before the report was sent.
//! - Of a use only its age is told, never a time of some clock.
//! - Money belongs to the day in which it was reserved, in the agent's time zone.

mod day;
mod message;
mod terms;

pub use day::{Day, InvalidDay, Month};
pub use message::{
    AgentReport, AgentUpdate, Denial, FromLedger, Hello, Limit, MoneyReport, MoneyUpdate,
    PastReport, PeriodStanding, PoolReport, PoolUpdate, PurseReport, PurseUpdate, Report, Standing,
    ToLedger, Update, UsageReport, Use,
};
pub use terms::{Terms, Window};

use std::fmt;

/// Names a session. Given by the ledger, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

/// The term of a ledger's owner: larger than that of every owner before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Term(u64);

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pool {
    /// Requests: one permit is charged in the minute and in the hour.
    Requests,
    /// Tokens of a minute.
    Tokens,
    /// Requests at one moment.
    Slots,
}

impl Pool {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Slots];
}

impl SessionId {
    /// The session numbered `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Term {
    /// The term numbered `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
