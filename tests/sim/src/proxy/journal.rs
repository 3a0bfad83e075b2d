//! The small journal of a proxy: what each session spent and set aside, by agent and day. What a
//! process leaves behind is told by the next one.

use std::collections::BTreeMap;

use agix_core::id::AgentName;
use agix_core::limits::TELL_AGAIN;
use agix_core::quota::{Day, PastReport, SessionId};
use agix_core::time::Mono;
use agix_core::units::NanoUsd;

/// The journal.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// The running process's own.
    pub rows: BTreeMap<(SessionId, AgentName, Day), Row>,
    /// Left behind by processes before: with the report that told it.
    pub past: Vec<(PastReport, Option<u64>)>,
    /// When it was told last.
    told: Mono,
}

/// Money of one session, agent and day.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// Spent.
    pub spent: NanoUsd,
    /// Set aside.
    pub reserved: NanoUsd,
}

impl Journal {
    /// The row of a session, an agent and a day.
    pub fn row(&mut self, session: SessionId, agent: &AgentName, day: Day) -> &mut Row {
        self.rows.entry((session, agent.clone(), day)).or_default()
    }

    /// What a process that was killed leaves behind.
    #[must_use]
    pub fn left_behind(self) -> Self {
        let told = self.past.into_iter().map(|(past, _)| (past, None));
        let own = self.rows.into_iter().map(|((session, agent, day), row)| {
            let report = PastReport {
                session,
                agent,
                day,
                spent: row.spent.saturating_add(row.reserved),
                last: true,
                estimated: !row.reserved.is_zero(),
            };
            (report, None)
        });
        Self {
            past: told.chain(own).collect(),
            rows: BTreeMap::new(),
            told: Mono::default(),
        }
    }

    pub(super) fn untold(&mut self, number: u64, now: Mono) -> Vec<PastReport> {
        if now.since(self.told) >= TELL_AGAIN {
            self.repeat();
        }
        if self.past.iter().any(|(_, told)| told.is_none()) {
            self.told = now;
        }
        let untold = self.past.iter_mut().filter(|(_, told)| told.is_none());
        untold
            .map(|(past, told)| {
                *told = Some(number);
                past.clone()
            })
            .collect()
    }

    pub(super) fn confirm(&mut self, number: u64) {
        self.past.retain(|(_, told)| *told != Some(number));
    }

    pub(super) fn repeat(&mut self) {
        for (_, told) in &mut self.past {
            *told = None;
        }
    }

    pub(super) fn is_told(&self) -> bool {
        self.past.is_empty()
    }
}
