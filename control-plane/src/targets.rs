//! How the targets of chains are, by what proxies report: kept in memory, gone with this process.
//!
//! Proxies that report to another control plane of the same store are not seen here; they agree among
//! themselves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agix_core::failover::{FleetTargets, Reports, TargetId, TargetStatus, Words};
use agix_core::policy::Policy;

use crate::clock::Clock;

/// What is known of all targets.
#[derive(Debug)]
pub(crate) struct Targets {
    clock: Clock,
    state: Mutex<State>,
}

/// A proxy that reports; to be dropped with its stream.
#[derive(Debug)]
pub(crate) struct Reporter {
    targets: Arc<Targets>,
    session: u64,
}

/// A chain, or a model without one that was called, and how its targets are.
#[derive(Debug)]
pub(crate) struct ChainStatus {
    /// The asked model first. Nothing of a target that no provider serves, by its name.
    pub(crate) targets: Vec<(Result<TargetId, String>, TargetStatus)>,
}

#[derive(Debug, Default)]
struct State {
    fleet: FleetTargets,
    last_session: u64,
}

impl Targets {
    /// Nothing is known yet.
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::default(),
        })
    }

    /// A proxy begins to report.
    pub(crate) fn join(self: &Arc<Self>) -> Reporter {
        let mut state = self.state();
        state.last_session = state.last_session.saturating_add(1);
        let session = state.last_session;
        state.fleet.join(session);
        drop(state);
        Reporter {
            targets: Arc::clone(self),
            session,
        }
    }

    /// Proxies that report.
    pub(crate) fn proxies(&self) -> usize {
        self.state().fleet.proxies()
    }

    /// The chains of a policy, then the models without a chain that proxies called.
    pub(crate) fn chains(&self, policy: Option<&Policy>) -> Vec<ChainStatus> {
        let state = self.state();
        let mut chains = Vec::new();
        let mut listed = std::collections::BTreeSet::new();
        let policy_chains = policy.into_iter().flat_map(|policy| {
            let chains = policy.chains.iter();
            chains.map(move |(asked, chain)| (policy, asked, chain))
        });
        for (policy, asked, chain) in policy_chains {
            let models = std::iter::once(asked).chain(&chain.targets);
            let targets = models.map(|model| match policy.route(model) {
                Ok(route) => {
                    let target = TargetId {
                        provider: route.provider,
                        model: model.clone(),
                    };
                    let status = state.fleet.status(&target).cloned().unwrap_or_default();
                    listed.insert(target.clone());
                    (Ok(target), status)
                }
                Err(_unroutable) => (Err(model.to_string()), TargetStatus::default()),
            });
            let targets = targets.collect();
            chains.push(ChainStatus { targets });
        }
        let others = state
            .fleet
            .all()
            .filter(|(target, _)| !listed.contains(*target));
        chains.extend(others.map(|(target, status)| ChainStatus {
            targets: vec![(Ok(target.clone()), status.clone())],
        }));
        chains
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter {
    /// Takes what the proxy saw, and says what it has to know.
    pub(crate) fn report(&self, reports: Reports) -> Words {
        let now = (self.targets.clock.mono(), self.targets.clock.wall());
        let mut state = self.targets.state();
        state.fleet.report(self.session, reports, now)
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.targets.state().fleet.leave(self.session);
    }
}
