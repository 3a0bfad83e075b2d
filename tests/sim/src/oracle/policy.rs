//! Which limits held when: a limit that was changed holds until everyone knows of the change, and
//! what was granted before runs out with its lease.

use agix_core::limits::LEASE;
use agix_core::quota::{Terms, Window};

use super::Oracle;
use crate::clock::{HOUR, Nanos, S, nanos};

/// Limits of an agent for some time.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) terms: Terms,
    /// When everyone knew of its successor.
    pub(super) until: Option<Nanos>,
}

impl Oracle {
    /// An agent's limits are changed.
    pub fn changed(&mut self, agent: usize, terms: &Terms) {
        self.versions[agent].push(Version {
            terms: terms.clone(),
            until: None,
        });
    }

    /// Everyone knows of the newest limits.
    pub fn settled(&mut self) {
        let now = self.now;
        for versions in &mut self.versions {
            let last = versions.len() - 1;
            for version in &mut versions[..last] {
                version.until = version.until.or(Some(now));
            }
        }
    }

    /// The most that a window which ends now may hold; nothing if it is not limited.
    pub(super) fn bound(
        &self,
        agent: usize,
        span: Nanos,
        limit: impl Fn(&Terms) -> Option<u64>,
    ) -> Option<u64> {
        let lease = nanos(LEASE) + S;
        let begins = self.now.saturating_sub(span + lease);
        let mut most = Some(0);
        for version in &self.versions[agent] {
            if version.until.is_none_or(|until| until >= begins) {
                most = most.zip(limit(&version.terms)).map(|(a, b)| a.max(b));
            }
        }
        most
    }

    /// The limit on requests of a window, whatever version of the policy it is from. The window is
    /// longer by `lag`.
    pub(super) fn requests_bound(&self, agent: usize, window: Window, lag: Nanos) -> Option<u64> {
        let span = nanos(window.length()) + lag;
        self.bound(agent, span, |terms| match window {
            Window::Minute => terms.requests_per_minute,
            Window::Hour => terms.requests_per_hour,
        })
    }

    /// The highest limit on spend that ever held since `since`; nothing if there was none.
    pub(super) fn money_bound(&self, agent: usize, since: Nanos, monthly: bool) -> Option<u64> {
        self.bound(agent, self.now.saturating_sub(since), |terms| {
            let limit = if monthly { terms.monthly } else { terms.daily };
            limit
                .filter(|_| !terms.soft)
                .map(agix_core::units::NanoUsd::as_nanos)
        })
    }

    /// Whether the agent ever had a budget.
    pub(super) fn had_budget(&self, agent: usize) -> bool {
        self.versions[agent].iter().any(|it| it.terms.has_budget())
    }

    /// The newest limits.
    pub(super) fn newest(&self, agent: usize) -> &Terms {
        let versions = &self.versions[agent];
        &versions[versions.len() - 1].terms
    }

    /// Whether the agent's limits were changed and older ones may still be felt.
    pub fn was_changed_lately(&self, agent: usize) -> bool {
        self.changed_within(agent, HOUR)
    }

    pub(super) fn changed_within(&self, agent: usize, span: Nanos) -> bool {
        let horizon = self.now.saturating_sub(span);
        let felt = |version: &Version| version.until.is_none_or(|until| until >= horizon);
        let versions = &self.versions[agent];
        versions[..versions.len() - 1].iter().any(felt)
    }
}
