//! Where a request for a model may go: the asked model and its chain, with addresses and prices.
//!
//! Plans are made on first use and kept per worker until the policy changes or the minute ends
//! (prices may depend on the time of day), so that a warm request looks nothing up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use agix_core::failover;
use agix_core::id::{AgentName, ModelName, Revision};
use agix_core::limits::{PLAN_AGENTS, PLANS};
use agix_core::policy::{StreamRescue, Unroutable};
use agix_core::price::{Quote, Tariff, price_of};
use agix_core::time::Wall;
use agix_core::units::Tokens;

use crate::breakers::Guard;
use crate::metrics::{AgentCounters, Metrics, ModelMetrics, TargetMetrics};
use crate::shared::Shared;
use crate::snapshot::{Compiled, ProviderRuntime, Script};

/// The targets of one asked model.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) asked: ModelName,
    /// The asked model first; never empty.
    pub(crate) targets: Vec<Target>,
    /// What the failover decision needs to know of each.
    pub(crate) facts: Vec<failover::Target>,
    /// What happens when a stream of this chain dies.
    pub(crate) stream_rescue: StreamRescue,
    pub(crate) metrics: ModelMetrics,
    /// Counters of agents that asked for this model; a plan belongs to one worker.
    agents: Mutex<HashMap<AgentName, Arc<AgentCounters>>>,
    /// Counters of all agents that the policy does not name.
    others: OnceLock<Arc<AgentCounters>>,
}

/// One place a request may go.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) model: ModelName,
    /// The name its usage is counted under: models that nobody lists are counted together.
    pub(crate) counted_as: ModelName,
    pub(crate) upstream_model: String,
    pub(crate) provider: Arc<ProviderRuntime>,
    pub(crate) quote: Quote,
    pub(crate) context_window: Option<Tokens>,
    pub(crate) max_output_tokens: Option<Tokens>,
    pub(crate) script: Arc<Script>,
    /// Dearer than the policy allows a fallback to be.
    pub(crate) too_dear: bool,
    pub(crate) metrics: TargetMetrics,
    pub(crate) breaker: Arc<Guard>,
}

/// The plans of one worker.
#[derive(Debug, Default)]
pub(crate) struct PlanCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    revision: Revision,
    minute: i64,
    plans: HashMap<String, Arc<Plan>>,
}

impl PlanCache {
    /// The plan for `model` under this revision.
    pub(crate) fn get(
        &self,
        model: &str,
        compiled: &Compiled,
        shared: &Shared,
    ) -> Result<Arc<Plan>, NoPlan> {
        let now = shared.clock.wall();
        let minute = now.as_millis().div_euclid(60_000);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.revision != compiled.revision || kept.minute != minute {
            *kept = Kept {
                revision: compiled.revision,
                minute,
                plans: HashMap::new(),
            };
        }
        if let Some(plan) = kept.plans.get(model) {
            return Ok(Arc::clone(plan));
        }
        let name = ModelName::new(model).map_err(|error| NoPlan::IllegalName(error.to_string()))?;
        let plan = Arc::new(Plan::make(name, compiled, shared, now)?);
        if kept.plans.len() >= PLANS {
            kept.plans.clear();
        }
        kept.plans.insert(model.to_owned(), Arc::clone(&plan));
        Ok(plan)
    }
}

/// Why there is no plan for a model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPlan {
    /// The name is not one.
    #[error("{0}")]
    IllegalName(String),
    /// No provider serves it.
    #[error(transparent)]
    Unroutable(#[from] Unroutable),
}

impl Plan {
    fn make(
        asked: ModelName,
        compiled: &Compiled,
        shared: &Shared,
        now: Wall,
    ) -> Result<Self, Unroutable> {
        let first = Target::make(&asked, compiled, shared, now)?;
        let mut targets = vec![first];
        let chain = compiled.policy.chains.get(&asked);
        for model in chain.into_iter().flat_map(|chain| &chain.targets) {
            targets.push(Target::make(model, compiled, shared, now)?);
        }
        mark_too_dear(&mut targets, compiled);
        let facts = targets
            .iter()
            .map(|target| failover::Target {
                context_window: target.context_window,
            })
            .collect();
        let known = compiled.policy.models.contains_key(&asked)
            || compiled.policy.chains.contains_key(&asked)
            || targets
                .first()
                .is_some_and(|target| target.tariff().is_some());
        let metrics = shared.metrics.model(&asked, known);
        Ok(Self {
            asked,
            targets,
            facts,
            stream_rescue: chain
                .and_then(|chain| chain.stream_rescue)
                .unwrap_or(compiled.policy.failover.stream_rescue),
            metrics,
            agents: Mutex::default(),
            others: OnceLock::new(),
        })
    }

    /// The counters of an agent's requests for this model. Agents that the policy does not name are
    /// counted together.
    pub(crate) fn counters(
        &self,
        agent: &AgentName,
        is_named: bool,
        metrics: &Metrics,
    ) -> Arc<AgentCounters> {
        let of = |named| Arc::new(metrics.agents.of(named, &self.metrics.model));
        if !is_named {
            return Arc::clone(self.others.get_or_init(|| of(None)));
        }
        let mut kept = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = kept.get(agent) {
            return Arc::clone(counters);
        }
        if kept.len() >= PLAN_AGENTS {
            kept.clear();
        }
        let counters = of(Some(agent));
        kept.insert(agent.clone(), Arc::clone(&counters));
        counters
    }
}

impl Target {
    fn make(
        model: &ModelName,
        compiled: &Compiled,
        shared: &Shared,
        now: Wall,
    ) -> Result<Self, Unroutable> {
        let route = compiled.policy.route(model)?;
        let provider =
            compiled
                .provider(&route.provider)
                .ok_or_else(|| Unroutable::UnknownProvider {
                    model: model.clone(),
                    provider: route.provider.clone(),
                })?;
        let quote = price_of(&compiled.policy, model, &shared.catalogue, now);
        let entry = compiled.policy.models.get(model);
        let known = entry.is_some() || tariff(&quote).is_some();
        let counted_as = if known {
            model.clone()
        } else {
            ModelName::others()
        };
        let metrics = shared.metrics.target(model, &provider.name, known);
        let shown = (metrics.breaker_open.clone(), metrics.attempts.clone());
        Ok(Self {
            model: model.clone(),
            breaker: shared.breakers.of(&provider.name, &counted_as, shown),
            counted_as,
            upstream_model: route.upstream_model,
            script: compiled.script(model, provider),
            metrics,
            provider: Arc::clone(provider),
            quote,
            context_window: entry.and_then(|entry| entry.context_window),
            max_output_tokens: entry.and_then(|entry| entry.max_output_tokens),
            too_dear: false,
        })
    }

    /// The prices, if they are known.
    pub(crate) fn tariff(&self) -> Option<&Tariff> {
        tariff(&self.quote)
    }
}

fn tariff(quote: &Quote) -> Option<&Tariff> {
    match quote {
        Quote::Priced { tariff, .. } => Some(tariff),
        Quote::Unknown | Quote::Denied => None,
    }
}

/// Compares the sum of input and output price with the asked model's.
fn mark_too_dear(targets: &mut [Target], compiled: &Compiled) {
    let Some(ratio) = compiled.policy.failover.max_cost_ratio else {
        return;
    };
    let rate = |target: &Target| {
        let tariff = target.tariff()?;
        let input = u128::from(tariff.base.input.as_picos());
        Some(input.saturating_add(u128::from(tariff.base.output.as_picos())))
    };
    let Some(asked) = targets.first().and_then(rate) else {
        return;
    };
    let bound = asked.saturating_mul(u128::from(ratio.as_thousandths()));
    for target in targets.iter_mut().skip(1) {
        target.too_dear = rate(target).is_some_and(|dear| dear.saturating_mul(1_000) > bound);
    }
}

#[cfg(test)]
mod tests;
