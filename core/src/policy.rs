//! The policy: what an operator wrote, as checked types.
//!
//! Rules this module keeps:
//! - A [`Policy`] that exists is legal: [`document::read`] and [`Policy::check`] are the only doors.
//! - Absent and zero are different: an absent limit is `None`, and no limit is ever zero.
//! - Secrets are [`Secret`]s, which neither `Debug` nor `Display` can show.
//! - A policy is a set of [`Resource`]s, so that a change of one line travels as one resource.

pub mod document;
#[cfg(any(test, feature = "test-util"))]
pub mod strategy;

mod agent;
mod changes;
mod check;
mod code;
mod duration;
mod failover;
mod limits;
mod observe;
mod provider;
mod reference;
mod resource;
mod route;
mod webhook;

use std::collections::BTreeMap;

pub use agent::{Agent, Identity, KeyHash, ModelPattern};
pub use changes::{changes, fields};
pub use check::Problem;
pub use failover::{
    BreakerSettings, Chain, FailoverSettings, MinThroughput, RetryBudgetSettings, StreamRescue,
    Timeouts,
};
pub use limits::{Budget, Enforcement, OnOutage, RateLimits, TimeZoneName};
pub use observe::{Audit, Tracing};
pub use provider::{
    Api, Model, Price, Pricing, Provider, SimulatedOutcome, Simulation, UnknownModel,
};
pub use reference::{MissingValue, Reference, ReferencePart, Secret};
pub use resource::{Change, Delta, Resource, ResourceKey, ResourceKind};
pub use route::{Route, Unroutable};
pub use webhook::{SignatureScheme, WebhookDefinition, WebhookSettings};

use crate::id::{AgentName, ModelName, ProviderName, WebhookName};

/// A whole, checked policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Providers written in the document. The built-in ones apply where no entry has their name.
    pub providers: BTreeMap<ProviderName, Provider>,
    /// Models written in the document.
    pub models: BTreeMap<ModelName, Model>,
    /// What happens to a model without a price.
    pub pricing: Pricing,
    /// Failover settings, without the chains.
    pub failover: FailoverSettings,
    /// Fallbacks by asked model.
    pub chains: BTreeMap<ModelName, Chain>,
    /// Request limits by agent.
    pub rate_limits: BTreeMap<AgentName, RateLimits>,
    /// Budgets by agent.
    pub budgets: BTreeMap<AgentName, Budget>,
    /// Agents with keys or model lists.
    pub agents: BTreeMap<AgentName, Agent>,
    /// How a caller is identified.
    pub identity: Identity,
    /// Switch of all webhooks.
    pub webhook_settings: WebhookSettings,
    /// Webhook definitions.
    pub webhooks: BTreeMap<WebhookName, WebhookDefinition>,
    /// Audit settings.
    pub audit: Audit,
    /// Tracing settings.
    pub tracing: Tracing,
}
