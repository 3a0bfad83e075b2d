//! Making reports: which agents are in one, and how large it may get.

use std::sync::Arc;

use agix_core::lease::SessionEffect;
use agix_core::limits::{REPORT_AGENTS, REPORT_ROWS, REPORT_USES, REPORTS_AWAITED};
use agix_core::quota::{AgentReport, PastReport, UsageReport};
use agix_core::time::Mono;

use super::Driver;
use crate::quota::Gate;

/// A report that is being made.
#[derive(Debug, Default)]
struct Draft {
    agents: Vec<AgentReport>,
    usage: Vec<UsageReport>,
    past: Vec<PastReport>,
    uses: usize,
    /// Gates that told usage or past spend.
    told: Vec<Arc<Gate>>,
}

impl Driver {
    /// Looks at the gates that are due: decides who has waited too long, and reports if the ledger
    /// can hear it.
    pub(super) fn report_due(&mut self, now: Mono) -> Vec<SessionEffect> {
        if self.session.is_open() {
            return self.report(now);
        }
        // Nobody hears it. What is to be told is told when the stream is there again.
        while let Some(gate) = self.schedule.take(now) {
            gate.decide_overdue();
            gate.act(|state, _, now| state.look(false, now));
        }
        Vec::new()
    }

    /// Reports the gates that are due, and says that the proxy is alive.
    pub(super) fn report(&mut self, now: Mono) -> Vec<SessionEffect> {
        let number = self.session.next_number();
        let mut draft = Draft::default();
        while !draft.is_full() {
            let Some(gate) = self.schedule.take(now) else {
                break;
            };
            gate.decide_overdue();
            draft.add(&gate, number);
        }
        let Draft {
            agents,
            usage,
            past,
            uses: _,
            told,
        } = draft;
        let Some(report) = self.session.report(agents, usage, past, now) else {
            return Vec::new();
        };
        if !told.is_empty() {
            self.told.insert(number, told);
        }
        // What is not confirmed is told again, under another number.
        while self.told.len() > REPORTS_AWAITED {
            self.told.pop_first();
        }
        vec![SessionEffect::Say(report)]
    }
}

impl Draft {
    fn is_full(&self) -> bool {
        self.agents.len() >= REPORT_AGENTS
            || self.uses >= REPORT_USES
            || self.usage.len() >= REPORT_ROWS / 2
            || self.past.len() >= REPORT_ROWS / 2
    }

    fn add(&mut self, gate: &Arc<Gate>, number: u64) {
        let (report, usage, past) = gate.act(|state, _, now| {
            state.look(true, now);
            let agent = &mut state.agent;
            (
                agent.report(now),
                agent.usage_report(number, now),
                agent.past_report(number, now),
            )
        });
        let pools = [&report.requests, &report.tokens, &report.slots];
        self.uses = pools
            .into_iter()
            .flatten()
            .fold(self.uses, |sum, pool| sum.saturating_add(pool.uses.len()));
        if !(usage.is_empty() && past.is_empty()) {
            self.told.push(Arc::clone(gate));
        }
        self.agents.push(report);
        self.usage.extend(usage);
        self.past.extend(past);
    }
}
