//! A policy in the form of a document.
//!
//! Entries that hold nothing are left out; the single settings are given whole, defaults included.

mod agent;
mod failover;
mod route;

use std::collections::BTreeMap;
use std::time::Duration;

use agix_core::policy::{
    Audit, Policy, Reference, Secret, Tracing, WebhookDefinition, WebhookSettings,
};
use serde::Serialize;

use agent::{AgentShape, BudgetShape, IdentityShape, RateLimitsShape};
use failover::{ChainShape, FailoverSettingsShape};
use route::{ModelShape, PricingShape, ProviderShape};

pub(super) use agent::{enforcement, on_outage};
pub(super) use route::api;

use crate::output::Decimal;

type Entries<T> = BTreeMap<String, T>;

/// A document, or a part of one.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    providers: Entries<ProviderShape>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    models: Entries<ModelShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<PricingShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<FailoverShape>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rate_limits: Entries<RateLimitsShape>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    budgets: Entries<BudgetShape>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    agents: Entries<AgentShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<WebhooksShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<AuditShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracing: Option<TracingShape>,
}

/// Text, or where it is read from.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ReferenceShape {
    Text(String),
    File { file: String },
}

#[derive(Debug, Serialize)]
struct FailoverShape {
    #[serde(flatten)]
    settings: Option<FailoverSettingsShape>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    chains: Entries<ChainShape>,
}

#[derive(Debug, Serialize)]
struct WebhooksShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    definitions: Entries<WebhookShape>,
}

#[derive(Debug, Serialize)]
struct WebhookShape {
    secret: ReferenceShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_url: Option<ReferenceShape>,
    callback_retries: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret: Option<ReferenceShape>,
    scheme: &'static str,
    tolerance: String,
    max_payload_bytes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    max_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    enabled: bool,
    keep_prompt: bool,
    allow_insecure: bool,
    allow_private: bool,
}

#[derive(Debug, Serialize)]
struct AuditShape {
    enabled: bool,
    content_log: bool,
}

#[derive(Debug, Serialize)]
struct TracingShape {
    enabled: bool,
    sample_rate: Decimal,
    propagate: bool,
}

impl Document {
    /// The policy's entries, and its settings if `settings`.
    pub(super) fn new(policy: &Policy, settings: bool) -> Self {
        let Policy {
            providers,
            models,
            pricing,
            failover,
            chains,
            rate_limits,
            budgets,
            agents,
            identity,
            webhook_settings,
            webhooks,
            audit,
            tracing,
        } = policy;
        let chains: Entries<ChainShape> = entries(chains);
        let definitions: Entries<WebhookShape> = entries(webhooks);
        Self {
            providers: entries(providers),
            models: entries(models),
            pricing: settings.then(|| PricingShape::from(pricing)),
            failover: (settings || !chains.is_empty()).then(|| FailoverShape {
                settings: settings.then(|| FailoverSettingsShape::from(failover)),
                chains,
            }),
            rate_limits: entries(rate_limits),
            budgets: entries(budgets),
            agents: entries(agents),
            identity: settings.then(|| IdentityShape::from(identity)),
            webhooks: (settings || !definitions.is_empty()).then(|| {
                let WebhookSettings { enabled } = *webhook_settings;
                WebhooksShape {
                    enabled: settings.then_some(enabled),
                    definitions,
                }
            }),
            audit: settings.then(|| {
                let Audit {
                    enabled,
                    content_log,
                } = *audit;
                AuditShape {
                    enabled,
                    content_log,
                }
            }),
            tracing: settings.then(|| {
                let Tracing {
                    enabled,
                    sample_rate,
                    propagate,
                } = *tracing;
                TracingShape {
                    enabled,
                    sample_rate: Decimal::new(&sample_rate),
                    propagate,
                }
            }),
        }
    }
}

fn entries<'a, N: ToString, V, S: From<&'a V>>(of: &'a BTreeMap<N, V>) -> Entries<S> {
    let shaped = of
        .iter()
        .map(|(name, value)| (name.to_string(), S::from(value)));
    shaped.collect()
}

fn span(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{}s", span.as_secs())
    } else {
        format!("{}ms", span.as_millis())
    }
}

impl From<&Reference> for ReferenceShape {
    fn from(reference: &Reference) -> Self {
        match reference {
            Reference::File(path) => Self::File {
                file: path.to_string(),
            },
            Reference::Text(_) => Self::Text(reference.to_string()),
        }
    }
}

impl From<&Secret> for ReferenceShape {
    fn from(secret: &Secret) -> Self {
        match secret.expose() {
            file @ Reference::File(_) => Self::from(file),
            Reference::Text(_) => Self::Text(secret_text(secret)),
        }
    }
}

/// What may be printed of a secret. The control plane has put a fingerprint in the place of every
/// literal; whatever else comes is made one here.
pub(super) fn secret_text(secret: &Secret) -> String {
    let text = secret.expose().to_string();
    let digits = text.strip_prefix("secret:sha256:");
    if digits.is_some_and(|digits| digits.len() == 12) {
        return text;
    }
    secret.shown()
}

impl From<&WebhookDefinition> for WebhookShape {
    fn from(webhook: &WebhookDefinition) -> Self {
        let WebhookDefinition {
            enabled,
            secret,
            previous_secret,
            scheme,
            tolerance,
            max_payload_bytes,
            model,
            prompt_template,
            agent,
            max_attempts,
            timeout,
            keep_prompt,
            callback_url,
            callback_retries,
            allow_insecure,
            allow_private,
        } = webhook;
        Self {
            secret: ReferenceShape::from(secret),
            model: model.as_ref().map(ToString::to_string),
            prompt_template: prompt_template.clone(),
            callback_url: callback_url.as_ref().map(ReferenceShape::from),
            callback_retries: callback_retries.iter().copied().map(span).collect(),
            previous_secret: previous_secret.as_ref().map(ReferenceShape::from),
            scheme: scheme.as_str(),
            tolerance: span(*tolerance),
            max_payload_bytes: *max_payload_bytes,
            agent: agent.as_ref().map(ToString::to_string),
            max_attempts: *max_attempts,
            timeout: timeout.map(span),
            enabled: *enabled,
            keep_prompt: *keep_prompt,
            allow_insecure: *allow_insecure,
            allow_private: *allow_private,
        }
    }
}
