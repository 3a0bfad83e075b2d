//! Requests and cost by agent. Only agents that the policy names have a name here, and only so many
//! pairs of agent and model; everything else is counted as `other`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use agix_core::id::AgentName;
use agix_core::limits::METRIC_PAIRS;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Dollars, OTHER};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabel {
    agent: String,
    model: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentLabel {
    agent: String,
}

/// Counters by agent.
#[derive(Clone, Default)]
pub(crate) struct AgentMetrics {
    requests: Family<RequestLabel, Counter>,
    cost: Family<AgentLabel, Dollars>,
    /// The pairs of agent and model that have a name.
    named: Arc<Mutex<BTreeSet<(String, String)>>>,
}

/// Counters of one agent's requests for one model.
#[derive(Debug, Clone)]
pub(crate) struct AgentCounters {
    pub(crate) answered: Counter,
    pub(crate) failed: Counter,
    pub(crate) refused: Counter,
    pub(crate) left: Counter,
    pub(crate) cost: Dollars,
}

impl fmt::Debug for AgentMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentMetrics").finish_non_exhaustive()
    }
}

impl AgentMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "agent_requests",
            "Finished requests by agent of the policy and asked model",
            self.requests.clone(),
        );
        r.register(
            "agent_cost_usd",
            "Cost of finished requests in dollars, by agent of the policy",
            self.cost.clone(),
        );
    }

    /// The counters of an agent's requests for a model, as that model is called here. `agent` is
    /// nothing for one that the policy does not name.
    pub(crate) fn of(&self, agent: Option<&AgentName>, model: &str) -> AgentCounters {
        let agent = agent.map_or(OTHER, AgentName::as_str);
        let pair = (agent.to_owned(), model.to_owned());
        let (agent, model) = if self.has_room(&pair) {
            pair
        } else {
            (OTHER.to_owned(), OTHER.to_owned())
        };
        let counter = |outcome| {
            let label = RequestLabel {
                agent: agent.clone(),
                model: model.clone(),
                outcome,
            };
            self.requests.get_or_create(&label).clone()
        };
        AgentCounters {
            answered: counter("answered"),
            failed: counter("failed"),
            refused: counter("refused"),
            left: counter("caller_left"),
            cost: self
                .cost
                .get_or_create(&AgentLabel {
                    agent: agent.clone(),
                })
                .clone(),
        }
    }

    fn has_room(&self, pair: &(String, String)) -> bool {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.contains(pair) {
            return true;
        }
        let fits = named.len() < METRIC_PAIRS;
        if fits {
            named.insert(pair.clone());
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_agents_are_counted_together() {
        let metrics = AgentMetrics::default();
        for number in 0..METRIC_PAIRS + 10 {
            let agent = AgentName::new(&format!("agent-{number}")).unwrap();
            metrics.of(Some(&agent), "model").answered.inc();
        }
        assert_eq!(metrics.named.lock().unwrap().len(), METRIC_PAIRS);
        assert_eq!(metrics.of(None, "unheard-of").answered.get(), 10);
    }
}
