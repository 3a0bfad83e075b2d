//! The gates by the names of their agents.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use agix_core::id::AgentName;
use agix_core::lease::{Link, Rules};
use agix_core::limits::{AGENT_NEWS, LEDGER_FIRST_TIME, UNLISTED_AGENTS};
use agix_core::policy::{OnOutage, Policy, RateLimits};
use agix_core::quota::Terms;
use agix_core::time::Mono;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::{Gate, Hub, Journal, Left};
use crate::clock::Clock;
use crate::metrics::QuotaMetrics;

/// All gates of a proxy.
#[derive(Debug)]
pub(crate) struct Quota {
    pub(super) hub: Arc<Hub>,
    gates: RwLock<Gates>,
    /// Where agents are counted that have no gate of their own.
    others: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gates {
    by_name: BTreeMap<AgentName, Arc<Gate>>,
    /// How many belong to agents that no policy has named.
    unlisted: usize,
}

/// An agent that the policy names.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) gate: Arc<Gate>,
    pub(crate) limits: Option<RateLimits>,
}

impl Quota {
    /// No gates yet, and where the driver hears of news.
    pub(crate) fn new(
        clock: Clock,
        metrics: QuotaMetrics,
        journal: Option<Journal>,
    ) -> (Self, mpsc::Receiver<Arc<Gate>>) {
        let (news, heard) = mpsc::channel(AGENT_NEWS);
        let hub = Arc::new(Hub {
            link: ArcSwap::from_pointee(Link::default()),
            news,
            missed: AtomicBool::new(false),
            heard: AtomicBool::new(false),
            journal,
            clock,
            metrics,
        });
        // A policy may name an agent so: then both are one.
        let others = Gate::new(AgentName::others(), Rules::default(), &hub);
        let others = Arc::new(others);
        let quota = Self {
            gates: RwLock::new(Gates {
                by_name: BTreeMap::from([(AgentName::others(), Arc::clone(&others))]),
                unlisted: 0,
            }),
            others,
            hub,
        };
        (quota, heard)
    }

    /// Takes over what the process before left open.
    pub(crate) fn inherit(&self, left: Vec<Left>) {
        if !left.is_empty() {
            let entries = left.len();
            tracing::info!(
                entries,
                "the journal tells what the process before left open"
            );
        }
        for one in left {
            self.listed(&one.row.agent).inherit(&one);
        }
    }

    /// Whether requests of agents with limits can be decided: a proxy that has just started waits for
    /// its ledger, but not for long.
    pub(crate) fn is_ready(&self) -> bool {
        let since = self.hub.clock.mono().since(Mono::default());
        self.hub.heard.load(Ordering::Relaxed) || since >= LEDGER_FIRST_TIME
    }

    /// Puts the limits of a policy in force and says where the gates of its agents are.
    pub(crate) fn put_in_force(&self, policy: &Policy) -> HashMap<AgentName, Listed> {
        let names = policy
            .agents
            .keys()
            .chain(policy.rate_limits.keys())
            .chain(policy.budgets.keys())
            .chain([&policy.identity.default_agent]);
        let mut listed = HashMap::new();
        for name in names {
            if !listed.contains_key(name) {
                let gate = self.listed(name);
                gate.set_rules(rules(policy, name));
                let limits = policy.rate_limits.get(name).copied();
                listed.insert(name.clone(), Listed { gate, limits });
            }
        }
        for gate in self.all() {
            if !listed.contains_key(gate.name()) {
                gate.set_rules(Rules::default());
            }
        }
        listed
    }

    /// The gate of an agent that the policy does not name.
    pub(crate) fn unlisted(&self, name: &AgentName) -> Listed {
        let gate = self.find(name).unwrap_or_else(|| self.add_unlisted(name));
        Listed { gate, limits: None }
    }

    fn add_unlisted(&self, name: &AgentName) -> Arc<Gate> {
        let mut gates = self.gates.write().unwrap_or_else(PoisonError::into_inner);
        if gates.unlisted >= UNLISTED_AGENTS {
            return Arc::clone(&self.others);
        }
        let gates = &mut *gates;
        let gate = gates.by_name.entry(name.clone()).or_insert_with(|| {
            gates.unlisted = gates.unlisted.saturating_add(1);
            Arc::new(Gate::new(name.clone(), Rules::default(), &self.hub))
        });
        Arc::clone(gate)
    }

    /// The gate of that name.
    pub(super) fn find(&self, name: &AgentName) -> Option<Arc<Gate>> {
        let gates = self.gates.read().unwrap_or_else(PoisonError::into_inner);
        gates.by_name.get(name).cloned()
    }

    /// All gates.
    pub(super) fn all(&self) -> Vec<Arc<Gate>> {
        let gates = self.gates.read().unwrap_or_else(PoisonError::into_inner);
        gates.by_name.values().cloned().collect()
    }

    fn listed(&self, name: &AgentName) -> Arc<Gate> {
        if let Some(gate) = self.find(name) {
            return gate;
        }
        let mut gates = self.gates.write().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .by_name
            .entry(name.clone())
            .or_insert_with(|| Arc::new(Gate::new(name.clone(), Rules::default(), &self.hub)));
        Arc::clone(gate)
    }
}

fn rules(policy: &Policy, agent: &AgentName) -> Rules {
    let budget = policy.budgets.get(agent);
    let rates = policy.rate_limits.get(agent);
    Rules {
        terms: Terms::of(policy, agent).unwrap_or_default(),
        rates_on_outage: rates.map_or(OnOutage::default(), |it| it.on_outage),
        money_on_outage: budget.and_then(|it| it.on_outage).unwrap_or(OnOutage::Deny),
    }
}
