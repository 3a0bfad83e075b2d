//! Letting go of what the books need no more.

use crate::budget::days_before;
use crate::id::AgentName;
use crate::ledger::{Entry, Ledger, LedgerTime};
use crate::limits::{HOUSEKEEPING_INTERVAL, PURSE_DAYS, SESSION_MEMORY, USAGE_DAYS};
use crate::policy::TimeZoneName;
use crate::quota::SessionId;
use crate::time::Wall;

impl Ledger {
    pub(super) fn keep_house(&mut self, now: LedgerTime, wall: Wall) {
        self.housekeeping_due = now.after(HOUSEKEEPING_INTERVAL);
        let today = self.span(&TimeZoneName::default(), wall).day;
        let before = days_before(today, PURSE_DAYS);
        let agents = self.books.agents.values();
        let first_days = agents.filter_map(|books| books.purses.keys().next());
        if first_days.min().is_some_and(|day| *day < before) {
            self.note(Entry::Archived { before }, now);
        }
        let before = days_before(today, USAGE_DAYS);
        let oldest = self.books.usage.keys().next();
        if oldest.is_some_and(|row| row.day < before) {
            self.note(Entry::UsageDropped { before }, now);
        }
        let forgotten: Vec<SessionId> = self
            .books
            .sessions
            .iter()
            .filter(|(_, book)| !book.open && book.until.after(SESSION_MEMORY) < now)
            .map(|(session, _)| *session)
            .collect();
        for session in forgotten {
            self.note(Entry::Forgotten { session }, now);
        }
        let idle: Vec<AgentName> = self
            .claims
            .iter()
            .filter(|(_, claims)| claims.is_idle(now))
            .map(|(agent, _)| agent.clone())
            .collect();
        for agent in idle {
            // A recall that was told is not told again under the same number.
            let recalled = self
                .claims
                .get(&agent)
                .is_some_and(|it| it.recall.number > 0);
            let held = self.books.agents.get(&agent).is_some_and(|books| {
                !books.requests_held.is_empty() || !books.slots_held.is_empty()
            });
            if !recalled && !held {
                self.claims.remove(&agent);
            }
        }
    }
}
