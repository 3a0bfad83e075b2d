//! The policy as requests use it: immutable, with addresses and keys looked up, swapped whole.
//!
//! Rules this module keeps:
//! - A request holds one [`Compiled`] from start to end and so never sees two revisions.
//! - References (`${NAME}`, files) are read here, once per revision, by the process that uses
//!   them. One that has no value refuses the whole revision, with the reason.

mod hook;
mod provider;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use agix_core::id::{AgentName, ModelName, ProviderName, Revision, WebhookName};
use agix_core::policy::{KeyHash, Policy, Problem, ResourceKey};

use crate::quota::{Listed, Quota};

pub(crate) use hook::Hook;
use provider::Unresolved;
pub(crate) use provider::{Endpoint, ProviderRuntime, Script};

/// One revision, ready for use.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) revision: Revision,
    pub(crate) policy: Policy,
    providers: BTreeMap<ProviderName, Arc<ProviderRuntime>>,
    keys: BTreeMap<KeyHash, AgentName>,
    /// Scripts of models that have their own.
    scripts: BTreeMap<ModelName, Arc<Script>>,
    /// Webhooks with their secrets.
    hooks: BTreeMap<WebhookName, Arc<Hook>>,
    /// The gates of the agents it names, once it is in force.
    gates: HashMap<AgentName, Listed>,
}

impl Compiled {
    /// No policy yet: the built-in providers, no limits.
    pub(crate) fn empty() -> Self {
        Self::compile(Revision::NONE, Policy::default()).unwrap_or_else(|_none| Self {
            revision: Revision::NONE,
            policy: Policy::default(),
            providers: BTreeMap::new(),
            keys: BTreeMap::new(),
            scripts: BTreeMap::new(),
            hooks: BTreeMap::new(),
            gates: HashMap::new(),
        })
    }

    /// Makes a policy ready for use, or says everything that stands in the way.
    pub(crate) fn compile(revision: Revision, policy: Policy) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut providers = BTreeMap::new();
        let built_in =
            Policy::built_in_providers().filter(|name| !policy.providers.contains_key(name));
        let names: Vec<_> = policy.providers.keys().cloned().chain(built_in).collect();
        for name in names {
            let Some(provider) = policy.provider(&name) else {
                continue;
            };
            match ProviderRuntime::resolve(&name, &provider) {
                Ok(runtime) => drop(providers.insert(name, Arc::new(runtime))),
                Err(unresolved) => {
                    problems.push(problem(ResourceKey::Provider(name), unresolved));
                }
            }
        }
        let mut hooks = BTreeMap::new();
        for (name, definition) in &policy.webhooks {
            match Hook::resolve(name, definition) {
                Ok(hook) => drop(hooks.insert(name.clone(), Arc::new(hook))),
                Err(unresolved) => {
                    problems.push(problem(ResourceKey::Webhook(name.clone()), unresolved));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let keys = policy
            .agents
            .iter()
            .flat_map(|(name, agent)| agent.keys.iter().map(|key| (*key, name.clone())))
            .collect();
        let scripts = policy
            .models
            .iter()
            .filter_map(|(name, model)| {
                Some((name.clone(), Arc::new(Script::new(model.simulate.clone()?))))
            })
            .collect();
        Ok(Self {
            revision,
            policy,
            providers,
            keys,
            scripts,
            hooks,
            gates: HashMap::new(),
        })
    }

    /// Puts its limits in force and looks the gates of its agents up.
    #[must_use]
    pub(crate) fn with_gates(self, quota: &Quota) -> Self {
        Self {
            gates: quota.put_in_force(&self.policy),
            ..self
        }
    }

    /// Whether the policy names the agent.
    pub(crate) fn names(&self, agent: &AgentName) -> bool {
        self.gates.contains_key(agent) || self.policy.agents.contains_key(agent)
    }

    /// The gate of an agent that the policy names.
    pub(crate) fn listed(&self, agent: &AgentName) -> Option<Listed> {
        self.gates.get(agent).cloned()
    }

    /// The provider of that name.
    pub(crate) fn provider(&self, name: &ProviderName) -> Option<&Arc<ProviderRuntime>> {
        self.providers.get(name)
    }

    /// The webhook of that name, whether or not it is received.
    pub(crate) fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.get(name)
    }

    /// The script of a simulated model: its own, else its provider's.
    pub(crate) fn script(&self, model: &ModelName, provider: &ProviderRuntime) -> Arc<Script> {
        Arc::clone(self.scripts.get(model).unwrap_or(&provider.script))
    }

    /// Whether any agent has a key.
    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The agent a key belongs to. The lookup is by the key's hash, so that its time tells nothing
    /// of the key.
    pub(crate) fn agent_of_key(&self, key: &KeyHash) -> Option<&AgentName> {
        self.keys.get(key)
    }
}

fn problem(resource: ResourceKey, unresolved: Unresolved) -> Problem {
    Problem {
        resource,
        field: unresolved.field,
        code: "AGX0901",
        message: unresolved.message,
        help: Some(unresolved.help),
    }
}
