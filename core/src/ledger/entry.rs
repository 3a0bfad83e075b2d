//! What the log says. Frozen in meaning: what was written once stays readable.

use std::time::Duration;

use crate::id::{AgentName, ModelName, ProxyId};
use crate::ledger::ClockMark;
use crate::quota::{Day, Month, Pool, SessionId, Terms};
use crate::units::{AlertPercent, NanoUsd};
use crate::usage::UsageTotals;

/// The ledger's own time, in nanoseconds since its log began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LedgerTime(u64);

/// What is committed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the log, from 1.
    pub number: u64,
    /// The ledger's time.
    pub at: LedgerTime,
    /// The owner's clocks at that time, for its successor.
    pub clock: ClockMark,
    /// What happened, in order.
    pub entries: Vec<Entry>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A session began.
    SessionOpened {
        /// The session.
        session: SessionId,
        /// Its proxy.
        proxy: ProxyId,
        /// Which start of the proxy.
        incarnation: u64,
        /// The end of its lease.
        until: LedgerTime,
    },
    /// A lease began anew.
    Renewed {
        /// The session.
        session: SessionId,
        /// The new end.
        until: LedgerTime,
    },
    /// A session is over: its permits cool from the end of its lease, its money is unsettled.
    SessionClosed {
        /// The session.
        session: SessionId,
    },
    /// The limits that hold for an agent from here on.
    Terms {
        /// The agent.
        agent: AgentName,
        /// Its limits.
        terms: Terms,
    },
    /// Rights were granted.
    Granted {
        /// To whom.
        session: SessionId,
        /// For which agent.
        agent: AgentName,
        /// Of which kind.
        pool: Pool,
        /// How many.
        amount: u64,
    },
    /// Rights were used or given back.
    Used {
        /// By whom.
        session: SessionId,
        /// For which agent.
        agent: AgentName,
        /// Of which kind.
        pool: Pool,
        /// How many, and when at the latest.
        uses: Vec<(LedgerTime, u64)>,
        /// How many were given back.
        returned: u64,
    },
    /// A new day began for an agent's money.
    DayBegan {
        /// The agent.
        agent: AgentName,
        /// The day.
        day: Day,
    },
    /// Money was set aside.
    Escrowed {
        /// For whom.
        session: SessionId,
        /// For which agent.
        agent: AgentName,
        /// Of which day.
        day: Day,
        /// How much.
        amount: NanoUsd,
    },
    /// Money was spent or given back.
    Settled {
        /// By whom; of a closed session what it was found to have spent.
        session: SessionId,
        /// For which agent.
        agent: AgentName,
        /// Of which day.
        day: Day,
        /// Spent since the session began.
        spent: NanoUsd,
        /// Given back since the session began.
        released: NanoUsd,
        /// Part of it is the worst case of calls whose end nobody saw.
        estimated: bool,
        /// Nothing more will come: what is still held is free.
        last: bool,
    },
    /// A model was used.
    Usage {
        /// By whom.
        session: SessionId,
        /// For which agent.
        agent: AgentName,
        /// Which model.
        model: ModelName,
        /// The day it is booked on.
        day: Day,
        /// Whether the report named the day.
        budgeted: bool,
        /// The sums since the session began.
        totals: UsageTotals,
    },
    /// An operator corrected what was spent.
    Adjusted {
        /// Tells a repetition from another correction.
        id: u64,
        /// The agent.
        agent: AgentName,
        /// The day.
        day: Day,
        /// Nano-dollars more spent; negative for less.
        nanos: i64,
        /// Who.
        author: String,
        /// Why.
        message: String,
    },
    /// The spend of a period crossed a threshold.
    Alert {
        /// The agent.
        agent: AgentName,
        /// The period.
        period: AlertPeriod,
        /// The threshold.
        percent: AlertPercent,
        /// The limit it is a share of.
        limit: NanoUsd,
        /// The spend.
        spent: NanoUsd,
    },
    /// A closed session needs no more room in the books.
    Forgotten {
        /// The session.
        session: SessionId,
    },
    /// The books of the days before this one are closed for good; usage is kept.
    Archived {
        /// The first day kept.
        before: Day,
    },
    /// The usage of the days before this one is dropped.
    UsageDropped {
        /// The first day kept.
        before: Day,
    },
}

/// The period of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertPeriod {
    /// A day.
    Day(Day),
    /// A month.
    Month(Month),
}

impl LedgerTime {
    /// The time `nanos` nanoseconds after the beginning of the log.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the beginning of the log.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// The time `span` earlier; the beginning if there is none.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// Time from `earlier` to this; none if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The first multiple of `step` that is not before this time.
    #[must_use]
    pub fn up_to(self, step: Duration) -> Self {
        let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
        let steps = self.0.div_ceil(step);
        Self(steps.saturating_mul(step))
    }
}
