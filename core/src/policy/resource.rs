//! A policy as a set of resources, and the difference of two policies.
//!
//! A resource is the smallest part that travels and is refused on its own. The single settings
//! (`pricing`, `identity`...) are resources too; taking one away means its default.

use std::collections::BTreeMap;
use std::fmt;

use super::{
    Agent, Audit, Budget, Chain, FailoverSettings, Identity, Model, Policy, Pricing, Provider,
    RateLimits, Tracing, WebhookDefinition, WebhookSettings,
};
use crate::id::{AgentName, InvalidName, ModelName, ProviderName, WebhookName};

/// One part of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// An entry of `providers`.
    Provider(ProviderName, Provider),
    /// An entry of `models`.
    Model(ModelName, Model),
    /// `pricing`.
    Pricing(Pricing),
    /// `failover` without its chains.
    Failover(FailoverSettings),
    /// An entry of `failover.chains`.
    Chain(ModelName, Chain),
    /// An entry of `rate_limits`.
    RateLimits(AgentName, RateLimits),
    /// An entry of `budgets`.
    Budget(AgentName, Budget),
    /// An entry of `agents`.
    Agent(AgentName, Agent),
    /// `identity`.
    Identity(Identity),
    /// `webhooks` without its definitions.
    WebhookSettings(WebhookSettings),
    /// An entry of `webhooks.definitions`.
    Webhook(WebhookName, WebhookDefinition),
    /// `audit`.
    Audit(Audit),
    /// `tracing`.
    Tracing(Tracing),
}

/// What names a resource within a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKey {
    /// An entry of `providers`.
    Provider(ProviderName),
    /// An entry of `models`.
    Model(ModelName),
    /// `pricing`.
    Pricing,
    /// `failover` without its chains.
    Failover,
    /// An entry of `failover.chains`.
    Chain(ModelName),
    /// An entry of `rate_limits`.
    RateLimits(AgentName),
    /// An entry of `budgets`.
    Budget(AgentName),
    /// An entry of `agents`.
    Agent(AgentName),
    /// `identity`.
    Identity,
    /// `webhooks` without its definitions.
    WebhookSettings,
    /// An entry of `webhooks.definitions`.
    Webhook(WebhookName),
    /// `audit`.
    Audit,
    /// `tracing`.
    Tracing,
}

/// The kinds of resources, as they are named in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `providers.*`.
    Provider,
    /// `models.*`.
    Model,
    /// `pricing`.
    Pricing,
    /// `failover`.
    Failover,
    /// `failover.chains.*`.
    Chain,
    /// `rate_limits.*`.
    RateLimits,
    /// `budgets.*`.
    Budget,
    /// `agents.*`.
    Agent,
    /// `identity`.
    Identity,
    /// `webhooks`.
    WebhookSettings,
    /// `webhooks.definitions.*`.
    Webhook,
    /// `audit`.
    Audit,
    /// `tracing`.
    Tracing,
}

/// What turns one policy into another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delta {
    /// Resources that are new or different.
    pub upserts: Vec<Resource>,
    /// Resources that are gone.
    pub removals: Vec<ResourceKey>,
}

impl Delta {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }
}

/// One changed value, for people: `rate_limits.batch.requests_per_minute` from 5 to 10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where in the document.
    pub path: String,
    /// The value before; absent if it is new. Secrets as fingerprints.
    pub old: Option<String>,
    /// The value after; absent if it is gone. Secrets as fingerprints.
    pub new: Option<String>,
}

impl ResourceKind {
    /// The kind's place in a document: `failover.chains`.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Provider => "providers",
            Self::Model => "models",
            Self::Pricing => "pricing",
            Self::Failover => "failover",
            Self::Chain => "failover.chains",
            Self::RateLimits => "rate_limits",
            Self::Budget => "budgets",
            Self::Agent => "agents",
            Self::Identity => "identity",
            Self::WebhookSettings => "webhooks",
            Self::Webhook => "webhooks.definitions",
            Self::Audit => "audit",
            Self::Tracing => "tracing",
        }
    }

    /// All kinds, in the order of a document.
    pub const ALL: [Self; 13] = [
        Self::Provider,
        Self::Model,
        Self::Pricing,
        Self::Failover,
        Self::Chain,
        Self::RateLimits,
        Self::Budget,
        Self::Agent,
        Self::Identity,
        Self::WebhookSettings,
        Self::Webhook,
        Self::Audit,
        Self::Tracing,
    ];
}

impl ResourceKey {
    /// The key of the resource of this kind and name; the name of a single setting is empty.
    pub fn new(kind: ResourceKind, name: &str) -> Result<Self, InvalidName> {
        Ok(match kind {
            ResourceKind::Provider => Self::Provider(ProviderName::new(name)?),
            ResourceKind::Model => Self::Model(ModelName::new(name)?),
            ResourceKind::Pricing => Self::Pricing,
            ResourceKind::Failover => Self::Failover,
            ResourceKind::Chain => Self::Chain(ModelName::new(name)?),
            ResourceKind::RateLimits => Self::RateLimits(AgentName::new(name)?),
            ResourceKind::Budget => Self::Budget(AgentName::new(name)?),
            ResourceKind::Agent => Self::Agent(AgentName::new(name)?),
            ResourceKind::Identity => Self::Identity,
            ResourceKind::WebhookSettings => Self::WebhookSettings,
            ResourceKind::Webhook => Self::Webhook(WebhookName::new(name)?),
            ResourceKind::Audit => Self::Audit,
            ResourceKind::Tracing => Self::Tracing,
        })
    }

    /// The kind of the resource.
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Provider(_) => ResourceKind::Provider,
            Self::Model(_) => ResourceKind::Model,
            Self::Pricing => ResourceKind::Pricing,
            Self::Failover => ResourceKind::Failover,
            Self::Chain(_) => ResourceKind::Chain,
            Self::RateLimits(_) => ResourceKind::RateLimits,
            Self::Budget(_) => ResourceKind::Budget,
            Self::Agent(_) => ResourceKind::Agent,
            Self::Identity => ResourceKind::Identity,
            Self::WebhookSettings => ResourceKind::WebhookSettings,
            Self::Webhook(_) => ResourceKind::Webhook,
            Self::Audit => ResourceKind::Audit,
            Self::Tracing => ResourceKind::Tracing,
        }
    }

    /// The name within the kind; empty for a single setting.
    pub fn name(&self) -> &str {
        match self {
            Self::Provider(name) => name.as_str(),
            Self::Model(name) | Self::Chain(name) => name.as_str(),
            Self::RateLimits(name) | Self::Budget(name) | Self::Agent(name) => name.as_str(),
            Self::Webhook(name) => name.as_str(),
            Self::Pricing
            | Self::Failover
            | Self::Identity
            | Self::WebhookSettings
            | Self::Audit
            | Self::Tracing => "",
        }
    }
}

impl fmt::Display for ResourceKey {
    /// The resource's place in a document: `budgets.code-reviewer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().section())?;
        match self.name() {
            "" => Ok(()),
            name => write!(f, ".{name}"),
        }
    }
}

impl Resource {
    /// What names the resource.
    pub fn key(&self) -> ResourceKey {
        match self {
            Self::Provider(name, _) => ResourceKey::Provider(name.clone()),
            Self::Model(name, _) => ResourceKey::Model(name.clone()),
            Self::Pricing(_) => ResourceKey::Pricing,
            Self::Failover(_) => ResourceKey::Failover,
            Self::Chain(name, _) => ResourceKey::Chain(name.clone()),
            Self::RateLimits(name, _) => ResourceKey::RateLimits(name.clone()),
            Self::Budget(name, _) => ResourceKey::Budget(name.clone()),
            Self::Agent(name, _) => ResourceKey::Agent(name.clone()),
            Self::Identity(_) => ResourceKey::Identity,
            Self::WebhookSettings(_) => ResourceKey::WebhookSettings,
            Self::Webhook(name, _) => ResourceKey::Webhook(name.clone()),
            Self::Audit(_) => ResourceKey::Audit,
            Self::Tracing(_) => ResourceKey::Tracing,
        }
    }
}

impl Policy {
    /// Every resource of the policy; the single settings only where they differ from the default.
    pub fn resources(&self) -> Vec<Resource> {
        Self::default().delta_to(self).upserts
    }

    /// What turns this policy into `new`, in the order of a document.
    pub fn delta_to(&self, new: &Self) -> Delta {
        use Resource as R;
        use ResourceKey as K;

        let mut delta = Delta::default();
        let d = &mut delta;
        let (a, b) = (self, new);
        entries(d, &a.providers, &b.providers, R::Provider, K::Provider);
        entries(d, &a.models, &b.models, R::Model, K::Model);
        single(d, &a.pricing, &b.pricing, R::Pricing, K::Pricing);
        single(d, &a.failover, &b.failover, R::Failover, K::Failover);
        entries(d, &a.chains, &b.chains, R::Chain, K::Chain);
        entries(
            d,
            &a.rate_limits,
            &b.rate_limits,
            R::RateLimits,
            K::RateLimits,
        );
        entries(d, &a.budgets, &b.budgets, R::Budget, K::Budget);
        entries(d, &a.agents, &b.agents, R::Agent, K::Agent);
        single(d, &a.identity, &b.identity, R::Identity, K::Identity);
        single(
            d,
            &a.webhook_settings,
            &b.webhook_settings,
            R::WebhookSettings,
            K::WebhookSettings,
        );
        entries(d, &a.webhooks, &b.webhooks, R::Webhook, K::Webhook);
        single(d, &a.audit, &b.audit, R::Audit, K::Audit);
        single(d, &a.tracing, &b.tracing, R::Tracing, K::Tracing);
        delta
    }

    /// Carries out a delta. The result is not checked; see [`Policy::check`].
    pub fn apply(&mut self, delta: Delta) {
        for key in &delta.removals {
            self.remove(key);
        }
        for resource in delta.upserts {
            self.put(resource);
        }
    }

    /// Sets one resource.
    pub fn put(&mut self, resource: Resource) {
        match resource {
            Resource::Provider(name, value) => drop(self.providers.insert(name, value)),
            Resource::Model(name, value) => drop(self.models.insert(name, value)),
            Resource::Pricing(value) => self.pricing = value,
            Resource::Failover(value) => self.failover = value,
            Resource::Chain(name, value) => drop(self.chains.insert(name, value)),
            Resource::RateLimits(name, value) => drop(self.rate_limits.insert(name, value)),
            Resource::Budget(name, value) => drop(self.budgets.insert(name, value)),
            Resource::Agent(name, value) => drop(self.agents.insert(name, value)),
            Resource::Identity(value) => self.identity = value,
            Resource::WebhookSettings(value) => self.webhook_settings = value,
            Resource::Webhook(name, value) => drop(self.webhooks.insert(name, value)),
            Resource::Audit(value) => self.audit = value,
            Resource::Tracing(value) => self.tracing = value,
        }
    }

    /// The resource that `key` names; a single setting is always there.
    pub fn get(&self, key: &ResourceKey) -> Option<Resource> {
        fn entry<K: Ord + Clone, V: Clone>(
            map: &BTreeMap<K, V>,
            name: &K,
            resource: fn(K, V) -> Resource,
        ) -> Option<Resource> {
            let value = map.get(name)?;
            Some(resource(name.clone(), value.clone()))
        }
        match key {
            ResourceKey::Provider(name) => entry(&self.providers, name, Resource::Provider),
            ResourceKey::Model(name) => entry(&self.models, name, Resource::Model),
            ResourceKey::Pricing => Some(Resource::Pricing(self.pricing)),
            ResourceKey::Failover => Some(Resource::Failover(self.failover.clone())),
            ResourceKey::Chain(name) => entry(&self.chains, name, Resource::Chain),
            ResourceKey::RateLimits(name) => entry(&self.rate_limits, name, Resource::RateLimits),
            ResourceKey::Budget(name) => entry(&self.budgets, name, Resource::Budget),
            ResourceKey::Agent(name) => entry(&self.agents, name, Resource::Agent),
            ResourceKey::Identity => Some(Resource::Identity(self.identity.clone())),
            ResourceKey::WebhookSettings => Some(Resource::WebhookSettings(self.webhook_settings)),
            ResourceKey::Webhook(name) => entry(&self.webhooks, name, Resource::Webhook),
            ResourceKey::Audit => Some(Resource::Audit(self.audit)),
            ResourceKey::Tracing => Some(Resource::Tracing(self.tracing)),
        }
    }

    /// Takes one resource away.
    pub fn remove(&mut self, key: &ResourceKey) {
        match key {
            ResourceKey::Provider(name) => drop(self.providers.remove(name)),
            ResourceKey::Model(name) => drop(self.models.remove(name)),
            ResourceKey::Pricing => self.pricing = Pricing::default(),
            ResourceKey::Failover => self.failover = FailoverSettings::default(),
            ResourceKey::Chain(name) => drop(self.chains.remove(name)),
            ResourceKey::RateLimits(name) => drop(self.rate_limits.remove(name)),
            ResourceKey::Budget(name) => drop(self.budgets.remove(name)),
            ResourceKey::Agent(name) => drop(self.agents.remove(name)),
            ResourceKey::Identity => self.identity = Identity::default(),
            ResourceKey::WebhookSettings => self.webhook_settings = WebhookSettings::default(),
            ResourceKey::Webhook(name) => drop(self.webhooks.remove(name)),
            ResourceKey::Audit => self.audit = Audit::default(),
            ResourceKey::Tracing => self.tracing = Tracing::default(),
        }
    }
}

fn entries<K: Ord + Clone, V: PartialEq + Clone>(
    delta: &mut Delta,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    resource: fn(K, V) -> Resource,
    key: fn(K) -> ResourceKey,
) {
    let changed = new
        .iter()
        .filter(|(name, value)| old.get(name) != Some(value));
    delta
        .upserts
        .extend(changed.map(|(name, value)| resource(name.clone(), value.clone())));
    let gone = old.keys().filter(|name| !new.contains_key(name));
    delta.removals.extend(gone.map(|name| key(name.clone())));
}

fn single<V: PartialEq + Clone + Default>(
    delta: &mut Delta,
    old: &V,
    new: &V,
    resource: fn(V) -> Resource,
    key: ResourceKey,
) {
    if old == new {
        return;
    }
    if *new == V::default() {
        delta.removals.push(key);
    } else {
        delta.upserts.push(resource(new.clone()));
    }
}

#[cfg(test)]
mod tests;
