//! The books of one agent.

use std::collections::{BTreeMap, BTreeSet};

use super::{Corrupt, Purse, add};
use crate::ledger::{AlertPeriod, LedgerTime};
use crate::planted::{self, Bug};
use crate::quota::{Day, Month, Pool, SessionId, Terms, Window};
use crate::rate::{Cooling, release_of};
use crate::units::{AlertPercent, NanoUsd};

/// Everything booked for one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentBooks {
    /// Its limits.
    pub terms: Terms,
    /// Requests used in the last minute.
    pub minute: Cooling,
    /// Requests used in the last hour.
    pub hour: Cooling,
    /// Tokens used in the last minute.
    pub tokens: Cooling,
    /// Permits by session.
    pub requests_held: BTreeMap<SessionId, Holding>,
    /// Tokens by session.
    pub tokens_held: BTreeMap<SessionId, Holding>,
    /// Places by session.
    pub slots_held: BTreeMap<SessionId, Holding>,
    /// The day to which new money belongs; it never goes back.
    pub day: Option<Day>,
    /// Money by day.
    pub purses: BTreeMap<Day, Purse>,
    /// Alerts that were raised, with the limit they are about.
    pub alerts: BTreeSet<(AlertPeriod, AlertPercent, NanoUsd)>,
}

/// Rights of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Granted since the session began.
    pub granted: u64,
    /// Used since the session began.
    pub used: u64,
    /// Given back since the session began.
    pub returned: u64,
}

impl Holding {
    /// Granted and neither used nor given back.
    pub const fn held(&self) -> u64 {
        self.granted
            .saturating_sub(self.used)
            .saturating_sub(self.returned)
    }
}

impl AgentBooks {
    /// Rights by session.
    pub const fn pool(&self, pool: Pool) -> &BTreeMap<SessionId, Holding> {
        match pool {
            Pool::Requests => &self.requests_held,
            Pool::Tokens => &self.tokens_held,
            Pool::Slots => &self.slots_held,
        }
    }

    /// The rights of a session.
    pub fn holding(&mut self, pool: Pool, session: SessionId) -> &mut Holding {
        let held = match pool {
            Pool::Requests => &mut self.requests_held,
            Pool::Tokens => &mut self.tokens_held,
            Pool::Slots => &mut self.slots_held,
        };
        held.entry(session).or_default()
    }

    /// Whether a session has or had rights of a kind.
    pub(super) fn holds(&self, pool: Pool, session: SessionId) -> bool {
        self.pool(pool).contains_key(&session)
    }

    /// Whether a session has or had money of a day.
    pub(super) fn has_part(&self, day: Day, session: SessionId) -> bool {
        let purse = self.purses.get(&day);
        purse.is_some_and(|purse| purse.parts.contains_key(&session))
    }

    /// The money of a day.
    pub fn purse(&mut self, day: Day) -> &mut Purse {
        self.purses.entry(day).or_default()
    }

    /// Rights that sessions hold.
    pub fn held(&self, pool: Pool) -> u64 {
        self.pool(pool)
            .values()
            .fold(0, |sum, holding| sum.saturating_add(holding.held()))
    }

    /// Lets go of what has cooled.
    pub fn advance(&mut self, now: LedgerTime) {
        self.minute.advance(now);
        self.hour.advance(now);
        self.tokens.advance(now);
    }

    /// The days of a month that have money.
    pub fn month(&self, month: Month) -> impl Iterator<Item = &Purse> {
        self.purses
            .range(month.first_day()..=month.last_day())
            .map(|(_, purse)| purse)
    }

    pub(super) fn take_use(
        &mut self,
        pool: Pool,
        session: SessionId,
        uses: &[(LedgerTime, u64)],
        returned: u64,
        now: LedgerTime,
    ) -> Result<(), Corrupt> {
        self.advance(now);
        let mut count = 0_u64;
        for (used, many) in uses {
            count = add(count, *many, "uses")?;
            self.cool(pool, *used, *many);
        }
        let holding = self.holding(pool, session);
        holding.used = add(holding.used, count, "used rights")?;
        holding.returned = add(holding.returned, returned, "returned rights")?;
        Ok(())
    }

    /// What a lost session held counts as used at the end of its lease. Places are free with it:
    /// its requests have ended, or are counted nowhere.
    pub(super) fn close(&mut self, session: SessionId, until: LedgerTime) {
        for pool in Pool::ALL {
            let held = self.holding(pool, session).held();
            if !planted::has(Bug::LostSessionForgotten) {
                self.cool(pool, until, held);
            }
        }
        if planted::has(Bug::UnsettledReleased) {
            for part in self.purses.values_mut().map(|it| it.part(session)) {
                part.released = part.granted.saturating_sub(part.spent);
            }
        }
        self.requests_held.remove(&session);
        self.tokens_held.remove(&session);
        self.slots_held.remove(&session);
    }

    /// Sums up what a session that is forgotten has spent.
    pub(super) fn fold(&mut self, session: SessionId) {
        for purse in self.purses.values_mut() {
            purse.fold(session);
        }
    }

    pub(super) fn archive(&mut self, before: Day) {
        self.purses.retain(|day, _| *day >= before);
        self.alerts.retain(|(period, _, _)| match period {
            AlertPeriod::Day(day) => *day >= before,
            AlertPeriod::Month(month) => month.last_day() >= before,
        });
    }

    fn cool(&mut self, pool: Pool, used: LedgerTime, count: u64) {
        match pool {
            Pool::Requests => {
                if let Some(limit) = self.terms.requests_per_minute {
                    let release = release_of(used, Window::Minute, limit);
                    self.minute.add(release, count);
                }
                if let Some(limit) = self.terms.requests_per_hour {
                    let release = release_of(used, Window::Hour, limit);
                    self.hour.add(release, count);
                }
            }
            Pool::Tokens => {
                if let Some(limit) = self.terms.tokens_per_minute {
                    let release = release_of(used, Window::Minute, limit);
                    self.tokens.add(release, count);
                }
            }
            Pool::Slots => {}
        }
    }
}
