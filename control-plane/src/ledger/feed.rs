//! The limits of all agents, as the ledger takes them, from the policy in force.
//!
//! They are put together on a thread that may block: a policy may have a hundred thousand agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use agix_core::id::AgentName;
use agix_core::policy::Policy;
use agix_core::quota::Terms;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::repository::Published;

/// The limits in force, now and from now on.
#[derive(Debug)]
pub(super) struct Feed {
    updates: watch::Receiver<Option<Arc<Published>>>,
    building: Option<JoinHandle<BTreeMap<AgentName, Terms>>>,
}

impl Feed {
    /// The limits of the current policy, if there is one, and of those that follow.
    pub(super) fn new(mut updates: watch::Receiver<Option<Arc<Published>>>) -> Self {
        updates.mark_changed();
        Self {
            updates,
            building: None,
        }
    }

    /// Whether there is a policy at all.
    pub(super) fn has_policy(&self) -> bool {
        self.updates.borrow().is_some()
    }

    /// The next limits. May be cancelled and called again without a loss.
    pub(super) async fn next(&mut self) -> BTreeMap<AgentName, Terms> {
        loop {
            if let Some(building) = &mut self.building {
                let built = building.await;
                self.building = None;
                match built {
                    Ok(terms) => return terms,
                    Err(error) => tracing::error!(%error, "the limits of the policy are not known"),
                }
            }
            if self.updates.changed().await.is_err() {
                // The policy will not change any more.
                return std::future::pending().await;
            }
            let current = self.updates.borrow_and_update().clone();
            self.building = current.map(|current| {
                let policy = Arc::clone(current.policy());
                spawn_blocking(move || terms_of(&policy))
            });
        }
    }
}

/// The limits of all agents that have some.
fn terms_of(policy: &Policy) -> BTreeMap<AgentName, Terms> {
    let agents = policy.rate_limits.keys().chain(policy.budgets.keys());
    agents
        .filter_map(|agent| Some((agent.clone(), Terms::of(policy, agent)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use agix_core::policy::{Budget, Enforcement, RateLimits, TimeZoneName};
    use agix_core::units::RequestLimit;

    use super::*;

    #[test]
    fn an_agent_with_a_budget_alone_has_terms_too() {
        let name = |name: &str| AgentName::new(name).unwrap();
        let limits = RateLimits {
            requests_per_minute: RequestLimit::new(5),
            ..RateLimits::default()
        };
        let budget = Budget {
            daily: None,
            monthly: None,
            alert_at_percent: std::collections::BTreeSet::new(),
            alert_webhook: agix_core::id::WebhookName::budget_alert(),
            timezone: TimeZoneName::default(),
            enforcement: Enforcement::Hard,
            on_outage: None,
        };
        let policy = Policy {
            rate_limits: [(name("a"), limits)].into(),
            budgets: [(name("b"), budget)].into(),
            ..Policy::default()
        };
        let terms = terms_of(&policy);
        assert_eq!(terms.keys().collect::<Vec<_>>(), [&name("a"), &name("b")]);
        assert_eq!(terms[&name("a")].requests_per_minute, Some(5));
    }
}
