//! Resources, their keys, and deltas.

use agix_core::policy::{Delta, Pricing, Provider, Resource, ResourceKey, ResourceKind, Secret};
use agix_core::policy::{Reference, Tracing, WebhookDefinition};

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{Enumeration as _, enum_value, enumeration, required};
use crate::v1;
use crate::v1::resource::Body;

enumeration!(
    ResourceKind, v1::ResourceKind:
    Provider = Provider,
    Model = Model,
    Pricing = Pricing,
    Failover = Failover,
    Chain = Chain,
    RateLimits = RateLimits,
    Budget = Budget,
    Agent = Agent,
    Identity = Identity,
    WebhookSettings = WebhookSettings,
    Webhook = Webhook,
    Audit = Audit,
    Tracing = Tracing,
);

/// The resource for people: literal secrets replaced by their fingerprints.
pub fn redacted(resource: &Resource) -> v1::Resource {
    let shown = |secret: &Secret| {
        if secret.holds_literal() {
            Secret::new(Reference::literal(&secret.shown()))
        } else {
            secret.clone()
        }
    };
    match resource {
        Resource::Provider(name, provider) => {
            let provider = Provider {
                api_key: provider.api_key.as_ref().map(shown),
                headers: provider
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), shown(value)))
                    .collect(),
                ..provider.clone()
            };
            v1::Resource::from(&Resource::Provider(name.clone(), provider))
        }
        Resource::Webhook(name, webhook) => {
            let webhook = WebhookDefinition {
                secret: shown(&webhook.secret),
                previous_secret: webhook.previous_secret.as_ref().map(shown),
                ..webhook.clone()
            };
            v1::Resource::from(&Resource::Webhook(name.clone(), webhook))
        }
        Resource::Model(..)
        | Resource::Pricing(_)
        | Resource::Failover(_)
        | Resource::Chain(..)
        | Resource::RateLimits(..)
        | Resource::Budget(..)
        | Resource::Agent(..)
        | Resource::Identity(_)
        | Resource::WebhookSettings(_)
        | Resource::Audit(_)
        | Resource::Tracing(_) => v1::Resource::from(resource),
    }
}

impl From<&Resource> for v1::Resource {
    fn from(resource: &Resource) -> Self {
        let body = match resource {
            Resource::Provider(name, value) => Body::Provider((name, value).into()),
            Resource::Model(name, value) => Body::Model((name, value).into()),
            Resource::Pricing(value) => Body::Pricing((*value).into()),
            Resource::Failover(value) => Body::Failover(value.into()),
            Resource::Chain(name, value) => Body::Chain((name, value).into()),
            Resource::RateLimits(name, value) => Body::RateLimits((name, value).into()),
            Resource::Budget(name, value) => Body::Budget((name, value).into()),
            Resource::Agent(name, value) => Body::Agent((name, value).into()),
            Resource::Identity(value) => Body::Identity(value.into()),
            Resource::WebhookSettings(value) => Body::WebhookSettings((*value).into()),
            Resource::Webhook(name, value) => Body::Webhook(Box::new((name, value).into())),
            Resource::Audit(value) => Body::Audit((*value).into()),
            Resource::Tracing(value) => Body::Tracing((*value).into()),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<v1::Resource> for Resource {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Resource) -> Result<Self, InvalidMessage> {
        let v1::Resource { body } = wire;
        match required(body).at("body")? {
            Body::Provider(wire) => entry(wire, Self::Provider, "provider"),
            Body::Model(wire) => entry(wire, Self::Model, "model"),
            Body::Pricing(wire) => Pricing::try_from(wire).map(Self::Pricing).at("pricing"),
            Body::Failover(wire) => wire.try_into().map(Self::Failover).at("failover"),
            Body::Chain(wire) => entry(wire, Self::Chain, "chain"),
            Body::RateLimits(wire) => entry(wire, Self::RateLimits, "rate_limits"),
            Body::Budget(wire) => entry(wire, Self::Budget, "budget"),
            Body::Agent(wire) => entry(wire, Self::Agent, "agent"),
            Body::Identity(wire) => wire.try_into().map(Self::Identity).at("identity"),
            Body::WebhookSettings(wire) => Ok(Self::WebhookSettings(wire.into())),
            Body::Webhook(wire) => entry(*wire, Self::Webhook, "webhook"),
            Body::Audit(wire) => Ok(Self::Audit(wire.into())),
            Body::Tracing(wire) => Tracing::try_from(wire).map(Self::Tracing).at("tracing"),
        }
    }
}

impl From<&ResourceKey> for v1::ResourceKey {
    fn from(key: &ResourceKey) -> Self {
        Self {
            kind: key.kind().number(),
            name: key.name().to_owned(),
        }
    }
}

impl TryFrom<v1::ResourceKey> for ResourceKey {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ResourceKey) -> Result<Self, InvalidMessage> {
        let v1::ResourceKey { kind, name } = wire;
        let key = Self::new(enum_value(kind, "kind")?, &name)
            .map_err(InvalidField::Name)
            .at("name")?;
        if key.name() != name {
            return Err(InvalidField::Range("empty for a single setting")).at("name");
        }
        Ok(key)
    }
}

impl From<&Delta> for v1::Delta {
    fn from(delta: &Delta) -> Self {
        let Delta { upserts, removals } = delta;
        Self {
            upserts: upserts.iter().map(v1::Resource::from).collect(),
            removals: removals.iter().map(v1::ResourceKey::from).collect(),
        }
    }
}

impl TryFrom<v1::Delta> for Delta {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Delta) -> Result<Self, InvalidMessage> {
        let v1::Delta { upserts, removals } = wire;
        Ok(Self {
            upserts: upserts
                .into_iter()
                .enumerate()
                .map(|(index, wire)| Resource::try_from(wire).at_entry("upserts", index))
                .collect::<Result<_, _>>()?,
            removals: removals
                .into_iter()
                .enumerate()
                .map(|(index, wire)| ResourceKey::try_from(wire).at_entry("removals", index))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Takes over a message that carries a name and what it names.
fn entry<W, N, V>(
    wire: W,
    resource: fn(N, V) -> Resource,
    field: &str,
) -> Result<Resource, InvalidMessage>
where
    (N, V): TryFrom<W, Error = InvalidMessage>,
{
    let (name, value) = <(N, V)>::try_from(wire).at(field)?;
    Ok(resource(name, value))
}
