//! The money of one agent and one day.

use std::collections::BTreeMap;

use crate::planted::{self, Bug};
use crate::quota::SessionId;
use crate::units::NanoUsd;

/// What was spent and set aside on one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purse {
    /// Spent by sessions that were settled and forgotten.
    pub closed: NanoUsd,
    /// Corrections, in nano-dollars.
    pub adjusted: i64,
    /// Sessions that have or had money.
    pub parts: BTreeMap<SessionId, Part>,
}

/// What one session has and had of a purse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Granted since the session began.
    pub granted: NanoUsd,
    /// Spent since the session began.
    pub spent: NanoUsd,
    /// Given back since the session began.
    pub released: NanoUsd,
    /// Part of the spend is the worst case of calls whose end nobody saw.
    pub estimated: bool,
    /// Nothing more will come.
    pub last: bool,
}

impl Part {
    /// Set aside: granted and neither spent nor given back.
    pub const fn held(&self) -> NanoUsd {
        self.granted
            .saturating_sub(self.spent)
            .saturating_sub(self.released)
    }
}

impl Purse {
    /// What a session has of it.
    pub fn part(&mut self, session: SessionId) -> &mut Part {
        self.parts.entry(session).or_default()
    }

    /// Confirmed spend, corrections included; never less than nothing.
    pub fn spent(&self) -> NanoUsd {
        let parts = self
            .parts
            .values()
            .fold(self.closed, |sum, part| sum.saturating_add(part.spent));
        let nanos = i128::from(parts.as_nanos()).saturating_add(i128::from(self.adjusted));
        NanoUsd::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    /// Set aside for the sessions that `chosen` picks.
    pub fn held(&self, chosen: impl Fn(SessionId) -> bool) -> NanoUsd {
        self.parts
            .iter()
            .filter(|(session, _)| chosen(**session))
            .fold(NanoUsd::ZERO, |sum, (_, part)| {
                sum.saturating_add(part.held())
            })
    }

    /// Takes a report in: sums only grow, so that an old report changes nothing. One that comes after
    /// the last one changes nothing either.
    pub(super) fn settle(
        &mut self,
        session: SessionId,
        spent: NanoUsd,
        released: NanoUsd,
        estimated: bool,
        last: bool,
    ) {
        let part = self.part(session);
        if part.last && !planted::has(Bug::LateReportCounted) {
            return;
        }
        part.spent = match () {
            () if part.last => part.spent.saturating_add(spent),
            () if planted::has(Bug::DebtForgotten) => part.spent.max(spent).min(part.granted),
            () => part.spent.max(spent),
        };
        part.released = part.released.max(released);
        part.estimated |= estimated;
        part.last = last;
        if last {
            let rest = part.granted.saturating_sub(part.spent);
            part.released = part.released.max(rest);
        }
    }

    /// Sums a session up that is forgotten; what it never settled stays.
    pub(super) fn fold(&mut self, session: SessionId) {
        if self.parts.get(&session).is_some_and(|part| part.last)
            && let Some(part) = self.parts.remove(&session)
        {
            self.closed = self.closed.saturating_add(part.spent);
        }
    }
}
