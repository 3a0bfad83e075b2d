//! What closed sessions still have to settle, and what models were used.

use std::collections::BTreeMap;

use super::journal::{Note, Noted};
use super::money::Purse;
use crate::id::{AgentName, ModelName};
use crate::planted::{self, Bug};
use crate::quota::{Day, PastReport, SessionId, UsageReport};
use crate::units::NanoUsd;
use crate::usage::UsageTotals;

/// Money of closed sessions.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    purses: BTreeMap<(SessionId, Day), PastPurse>,
    /// Settled since they were written down.
    gone: Vec<(SessionId, Day)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct PastPurse {
    spent: NanoUsd,
    reserved: NanoUsd,
    /// Reservations of calls that have not ended.
    calls: u32,
    /// The report that told the present state.
    told: Option<u64>,
    /// Part of it is the worst case of calls whose end nobody saw.
    estimated: bool,
    /// What of this was written down.
    noted: Option<Noted>,
}

impl PastPurse {
    /// Whether no call can spend of it any more.
    fn is_over(&self) -> bool {
        let calls = self.calls > 0 && !planted::has(Bug::PastForgotten);
        !calls && self.reserved.is_zero()
    }
}

impl Past {
    /// Takes a purse over whose session was closed.
    pub(super) fn take(&mut self, session: SessionId, day: Day, purse: &Purse) {
        let past = PastPurse {
            spent: purse.spent,
            reserved: purse.reserved,
            calls: purse.calls,
            told: None,
            estimated: false,
            noted: purse.noted,
        };
        self.purses.insert((session, day), past);
    }

    /// Takes over what the process before had written down: what it had set aside may be spent.
    pub(super) fn inherit(&mut self, session: SessionId, day: Day, noted: Noted) {
        let past = PastPurse {
            spent: noted.spent.saturating_add(noted.reserved),
            estimated: !noted.reserved.is_zero(),
            noted: Some(noted),
            ..PastPurse::default()
        };
        self.purses.insert((session, day), past);
    }

    /// Hands over what changed since it was written down. What the process before left is written
    /// down as it was found until it is settled.
    pub(super) fn take_notes(&mut self, mut note: impl FnMut(Note)) {
        for ((session, day), past) in &mut self.purses {
            let money = Some(Noted {
                spent: past.spent,
                reserved: past.reserved,
            });
            if past.noted != money && !past.estimated {
                past.noted = money;
                note(Note {
                    session: *session,
                    day: *day,
                    money,
                });
            }
        }
        for (session, day) in self.gone.drain(..) {
            note(Note {
                session,
                day,
                money: None,
            });
        }
    }

    pub(super) fn settle(
        &mut self,
        session: SessionId,
        day: Day,
        reserved: NanoUsd,
        spent: NanoUsd,
    ) {
        let past = self.purses.entry((session, day)).or_default();
        past.reserved = past.reserved.saturating_sub(reserved);
        past.spent = past.spent.saturating_add(spent);
        past.told = None;
    }

    /// Calls that had something set aside have ended.
    pub(super) fn let_go(&mut self, session: SessionId, day: Day, calls: u32) {
        if let Some(past) = self.purses.get_mut(&(session, day)) {
            past.calls = past.calls.saturating_sub(calls);
            past.told = None;
        }
    }

    pub(super) fn is_untold(&self) -> bool {
        self.purses.values().any(|past| past.told.is_none())
    }

    /// Whether something was told and is not confirmed.
    pub(super) fn is_awaited(&self) -> bool {
        self.purses.values().any(|past| past.told.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.purses.is_empty()
    }

    /// What is to be told in report `number`.
    pub(super) fn report(&mut self, agent: &AgentName, number: u64) -> Vec<PastReport> {
        let untold = self
            .purses
            .iter_mut()
            .filter(|(_, past)| past.told.is_none());
        untold
            .map(|((session, day), past)| {
                past.told = Some(number);
                PastReport {
                    session: *session,
                    agent: agent.clone(),
                    day: *day,
                    spent: past.spent,
                    last: past.is_over(),
                    estimated: past.estimated,
                }
            })
            .collect()
    }

    pub(super) fn confirm(&mut self, number: u64) {
        let gone = &mut self.gone;
        self.purses.retain(|key, past| {
            let is_settled = past.told == Some(number) && past.is_over();
            if is_settled && past.noted.is_some() {
                gone.push(*key);
            }
            !is_settled
        });
    }

    /// Whatever was told and not confirmed is told again.
    pub(super) fn repeat(&mut self) {
        for past in self.purses.values_mut() {
            past.told = None;
        }
    }
}

/// Usage by session, model and day.
#[derive(Debug, Clone, Default)]
pub(super) struct UsageBook {
    rows: BTreeMap<(Option<SessionId>, ModelName, Option<Day>), Row>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    totals: UsageTotals,
    told: Option<u64>,
    confirmed: bool,
}

impl UsageBook {
    pub(super) fn count(
        &mut self,
        session: Option<SessionId>,
        model: &ModelName,
        day: Option<Day>,
        more: &UsageTotals,
    ) {
        let row = self.rows.entry((session, model.clone(), day)).or_default();
        row.totals = row.totals.plus(more);
        row.told = None;
        row.confirmed = false;
    }

    /// A new session begins: rows that were counted without one are its own, confirmed ones are
    /// done with.
    pub(super) fn begin(&mut self, session: SessionId) {
        let rows = std::mem::take(&mut self.rows);
        for ((of, model, day), row) in rows {
            if row.confirmed && of != Some(session) {
                continue;
            }
            let row = Row { told: None, ..row };
            self.rows.insert((of.or(Some(session)), model, day), row);
        }
    }

    pub(super) fn is_untold(&self) -> bool {
        self.rows
            .iter()
            .any(|((session, ..), row)| session.is_some() && row.told.is_none() && !row.confirmed)
    }

    /// Whether something was told and is not confirmed.
    pub(super) fn is_awaited(&self) -> bool {
        let mut rows = self.rows.values();
        rows.any(|row| row.told.is_some() && !row.confirmed)
    }

    pub(super) fn report(&mut self, agent: &AgentName, number: u64) -> Vec<UsageReport> {
        let untold = self
            .rows
            .iter_mut()
            .filter(|(_, row)| row.told.is_none() && !row.confirmed);
        untold
            .filter_map(|((session, model, day), row)| {
                let session = (*session)?;
                row.told = Some(number);
                Some(UsageReport {
                    session,
                    agent: agent.clone(),
                    model: model.clone(),
                    day: *day,
                    totals: row.totals,
                })
            })
            .collect()
    }

    pub(super) fn confirm(&mut self, number: u64, current: Option<SessionId>) {
        for row in self.rows.values_mut() {
            row.confirmed |= row.told == Some(number);
        }
        self.rows
            .retain(|(session, ..), row| *session == current || !row.confirmed);
    }

    pub(super) fn repeat(&mut self) {
        for row in self.rows.values_mut() {
            if !row.confirmed {
                row.told = None;
            }
        }
    }

    /// Whether everything counted is in the books.
    pub(super) fn is_settled(&self) -> bool {
        self.rows.values().all(|row| row.confirmed)
    }
}
