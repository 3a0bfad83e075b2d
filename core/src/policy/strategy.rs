//! Generated policies for property tests.
//!
//! Names are drawn from few letters, so that two policies share some of their resources. Every
//! resource keeps the rules of its type; a whole policy need not pass its check.

#![expect(
    clippy::expect_used,
    reason = "the patterns generate legal values only"
)]

mod entry;

use crate::policy::{Change, Policy, Problem, Resource, ResourceKey, ResourceKind};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any policy, of a few resources of each kind.
pub fn policy() -> impl Strategy<Value = Policy> {
    vec(resource(), 0..24).prop_map(|resources| {
        let mut policy = Policy::default();
        for resource in resources {
            policy.put(resource);
        }
        policy
    })
}

/// Any resource.
pub fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        (entry::name(), entry::provider()).prop_map(|(name, it)| Resource::Provider(name, it)),
        (entry::name(), entry::model()).prop_map(|(name, it)| Resource::Model(name, it)),
        entry::pricing().prop_map(Resource::Pricing),
        entry::failover().prop_map(Resource::Failover),
        entry::chain().prop_map(|(name, it)| Resource::Chain(name, it)),
        (entry::name(), entry::rate_limits()).prop_map(|(name, it)| Resource::RateLimits(name, it)),
        (entry::name(), entry::budget()).prop_map(|(name, it)| Resource::Budget(name, it)),
        (entry::name(), entry::agent()).prop_map(|(name, it)| Resource::Agent(name, it)),
        entry::identity().prop_map(Resource::Identity),
        entry::webhook_settings().prop_map(Resource::WebhookSettings),
        (entry::name(), entry::webhook()).prop_map(|(name, it)| Resource::Webhook(name, it)),
        entry::audit().prop_map(Resource::Audit),
        entry::tracing().prop_map(Resource::Tracing),
    ]
}

/// Any resource key.
pub fn resource_key() -> impl Strategy<Value = ResourceKey> {
    (
        proptest::sample::select(&ResourceKind::ALL[..]),
        entry::text_name(),
    )
        .prop_map(|(kind, name)| ResourceKey::new(kind, &name).expect("the name is legal"))
}

/// Any problem.
pub fn problem() -> impl Strategy<Value = Problem> {
    (
        resource_key(),
        ".{0,8}",
        proptest::sample::select(&["AGX0001", "AGX0031"][..]),
        ".{0,20}",
        proptest::option::of(".{0,20}"),
    )
        .prop_map(|(resource, field, code, message, help)| Problem {
            resource,
            field,
            code,
            message,
            help,
        })
}

/// Any change.
pub fn change() -> impl Strategy<Value = Change> {
    let value = || proptest::option::of(".{0,12}");
    ("[a-z.]{1,20}", value(), value()).prop_map(|(path, old, new)| Change { path, old, new })
}
