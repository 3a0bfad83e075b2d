//! The messages themselves.

use std::time::Duration;

use crate::id::{AgentName, ModelName, ProxyId};
use crate::quota::{Day, SessionId, Term};
use crate::time::Mono;
use crate::units::NanoUsd;
use crate::usage::UsageTotals;

/// What a proxy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToLedger {
    /// First message of a stream.
    Hello(Hello),
    /// What was used, spent and is wanted.
    Report(Report),
    /// The proxy stops; nothing is under way any more and everything was reported.
    Goodbye {
        /// The session.
        session: SessionId,
    },
}

/// Who asks for rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The proxy, the same over its restarts.
    pub proxy: ProxyId,
    /// Differs with each start of the process.
    pub incarnation: u64,
    /// The session to go on with; absent: a new one.
    pub resume: Option<SessionId>,
    /// When this was said, on the proxy's clock; comes back in the answer.
    pub sent: Mono,
}

/// The state of a session as its proxy sees it. What it does not mention has not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The session.
    pub session: SessionId,
    /// Counts the reports of a session.
    pub number: u64,
    /// When this was said, on the proxy's clock; comes back when it is confirmed.
    pub sent: Mono,
    /// Agents of which something changed or is wanted.
    pub agents: Vec<AgentReport>,
    /// Usage of models, cumulative.
    pub usage: Vec<UsageReport>,
    /// What sessions before this one spent.
    pub past: Vec<PastReport>,
}

/// The state of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentReport {
    /// The agent.
    pub agent: AgentName,
    /// Permits for requests; absent if they are not counted.
    pub requests: Option<PoolReport>,
    /// Tokens; absent if they are not counted.
    pub tokens: Option<PoolReport>,
    /// Requests at one moment; absent if they are not counted.
    pub slots: Option<PoolReport>,
    /// Money; absent if the agent has no budget.
    pub money: Option<MoneyReport>,
    /// The last recall that was followed.
    pub recall_seen: u64,
}

/// Rights of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolReport {
    /// Used since the session began.
    pub used: u64,
    /// Given back unused since the session began.
    pub returned: u64,
    /// When the last uses were, oldest first: at least those the ledger has not confirmed.
    pub uses: Vec<Use>,
    /// Set aside for requests under way: neither used nor idle.
    pub reserved: u64,
    /// What requests are waiting for.
    pub waiting: u64,
    /// What the next moments will probably take.
    pub want: u64,
}

/// Uses at about one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// How long ago the latest of them was.
    pub age: Duration,
    /// How many.
    pub count: u64,
}

/// The money of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MoneyReport {
    /// Days of which something was spent or is held.
    pub purses: Vec<PurseReport>,
    /// What requests are waiting for, all together.
    pub waiting: NanoUsd,
    /// What the first of them needs.
    pub first: NanoUsd,
    /// What the next moments will probably take.
    pub want: NanoUsd,
}

/// The money of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurseReport {
    /// The day.
    pub day: Day,
    /// Spent since the session began.
    pub spent: NanoUsd,
    /// Given back unspent since the session began.
    pub released: NanoUsd,
    /// Set aside for requests under way.
    pub reserved: NanoUsd,
}

/// What one agent used of one model since the session began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// The session that counted it; perhaps a closed one.
    pub session: SessionId,
    /// The agent.
    pub agent: AgentName,
    /// The model that answered.
    pub model: ModelName,
    /// The day of the agent's budget; absent without one: the day of the report, UTC.
    pub day: Option<Day>,
    /// The sums.
    pub totals: UsageTotals,
}

/// What a closed session spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastReport {
    /// The closed session.
    pub session: SessionId,
    /// The agent.
    pub agent: AgentName,
    /// The day.
    pub day: Day,
    /// Spent since that session began.
    pub spent: NanoUsd,
    /// Nothing of it is under way any more: what is left of its money is free.
    pub last: bool,
    /// Part of it is the worst case of calls whose end nobody saw.
    pub estimated: bool,
}

/// What the ledger says. Everything in it is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromLedger {
    /// The session to report under; the lease has begun.
    Welcome {
        /// The ledger's term.
        term: Term,
        /// The session.
        session: SessionId,
        /// Whether it is the one the proxy asked to go on with.
        resumed: bool,
        /// [`Hello::sent`].
        sent: Mono,
    },
    /// The session is over; its proxy says hello for a new one.
    Closed {
        /// The session.
        session: SessionId,
    },
    /// The state of the session as the ledger sees it.
    Update(Update),
}

/// The state of a session as the ledger sees it. What it does not mention has not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The ledger's term.
    pub term: Term,
    /// The session.
    pub session: SessionId,
    /// [`Report::sent`] of the report whose lease is confirmed.
    pub sent: Option<Mono>,
    /// Reports that were taken in: their usage and their past need not be told again.
    pub confirmed: Vec<u64>,
    /// Agents.
    pub agents: Vec<AgentUpdate>,
}

/// The state of one agent as the ledger sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentUpdate {
    /// The agent.
    pub agent: AgentName,
    /// Permits for requests.
    pub requests: Option<PoolUpdate>,
    /// Tokens.
    pub tokens: Option<PoolUpdate>,
    /// Requests at one moment.
    pub slots: Option<PoolUpdate>,
    /// Money.
    pub money: Option<MoneyUpdate>,
    /// The last recall: what is idle is to be given back.
    pub recall: u64,
}

/// Rights of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolUpdate {
    /// Granted since the session began.
    pub granted: u64,
    /// Uses taken in since the session began.
    pub used: u64,
    /// Why waiting requests get nothing.
    pub denial: Option<Denial>,
}

/// A limit on requests or tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Requests in any 60 seconds.
    RequestsPerMinute,
    /// Requests in any 3,600 seconds.
    RequestsPerHour,
    /// Tokens in any 60 seconds.
    TokensPerMinute,
    /// Requests at one moment.
    Concurrent,
}

/// A limit is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Which one.
    pub limit: Limit,
    /// How much it allows.
    pub allows: u64,
    /// When asking again makes sense.
    pub again: Duration,
    /// When the next rights become free that were promised to nobody else, soonest first; at least
    /// one.
    pub releases: Vec<Duration>,
}

/// The money of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyUpdate {
    /// The day to which new reservations belong.
    pub today: Day,
    /// When that day ends.
    pub ends_in: Duration,
    /// Days this session has money of.
    pub purses: Vec<PurseUpdate>,
    /// How the agent stands in the whole fleet.
    pub standing: Standing,
}

/// The money of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurseUpdate {
    /// The day.
    pub day: Day,
    /// Granted since the session began.
    pub granted: NanoUsd,
    /// Spend taken in since the session began.
    pub spent: NanoUsd,
}

/// Limits on spend and what was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The day; absent without a daily limit.
    pub day: Option<PeriodStanding>,
    /// The month; absent without a monthly limit.
    pub month: Option<PeriodStanding>,
}

/// One limit on spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodStanding {
    /// The limit.
    pub limit: NanoUsd,
    /// Confirmed spend.
    pub spent: NanoUsd,
    /// Set aside for lost sessions that may have spent it.
    pub unsettled: NanoUsd,
    /// Set aside for live sessions; what they do not spend comes back.
    pub held: NanoUsd,
    /// When the period ends.
    pub resets_in: Duration,
}

impl PeriodStanding {
    /// What could be spent if everything that live sessions hold came back.
    pub const fn room(&self) -> NanoUsd {
        self.limit
            .saturating_sub(self.spent)
            .saturating_sub(self.unsettled)
    }
}
