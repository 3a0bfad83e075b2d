//! Agents, their limits and budgets in the form of a document.

use agix_core::policy::{Agent, Budget, Enforcement, Identity, OnOutage, RateLimits};
use serde::Serialize;

use crate::output::Decimal;

#[derive(Debug, Serialize)]
pub(super) struct RateLimitsShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_hour: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrent: Option<u32>,
    on_outage: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct BudgetShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_limit_usd: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_limit_usd: Option<Decimal>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alert_at_percent: Vec<u8>,
    alert_webhook: String,
    timezone: String,
    enforcement: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_outage: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct AgentShape {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct IdentityShape {
    require_key: bool,
    default_agent: String,
}

impl From<&RateLimits> for RateLimitsShape {
    fn from(limits: &RateLimits) -> Self {
        let RateLimits {
            requests_per_minute,
            requests_per_hour,
            tokens_per_minute,
            max_concurrent,
            on_outage: outage,
        } = limits;
        Self {
            requests_per_minute: requests_per_minute.map(agix_core::units::RequestLimit::get),
            requests_per_hour: requests_per_hour.map(agix_core::units::RequestLimit::get),
            tokens_per_minute: tokens_per_minute.map(agix_core::units::TokenLimit::get),
            max_concurrent: max_concurrent.map(agix_core::units::RequestLimit::get),
            on_outage: on_outage(*outage),
        }
    }
}

impl From<&Budget> for BudgetShape {
    fn from(budget: &Budget) -> Self {
        let Budget {
            daily,
            monthly,
            alert_at_percent,
            alert_webhook,
            timezone,
            enforcement: enforced,
            on_outage: outage,
        } = budget;
        Self {
            daily_limit_usd: daily.map(|limit| Decimal::new(&limit.amount())),
            monthly_limit_usd: monthly.map(|limit| Decimal::new(&limit.amount())),
            alert_at_percent: alert_at_percent
                .iter()
                .map(|percent| percent.get())
                .collect(),
            alert_webhook: alert_webhook.to_string(),
            timezone: timezone.to_string(),
            enforcement: enforcement(*enforced),
            on_outage: outage.map(on_outage),
        }
    }
}

impl From<&Agent> for AgentShape {
    fn from(agent: &Agent) -> Self {
        let Agent {
            keys,
            models,
            group,
        } = agent;
        Self {
            keys: keys.iter().map(ToString::to_string).collect(),
            models: models
                .iter()
                .map(|model| model.as_str().to_owned())
                .collect(),
            group: group.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Identity> for IdentityShape {
    fn from(identity: &Identity) -> Self {
        let Identity {
            require_key,
            default_agent,
        } = identity;
        Self {
            require_key: *require_key,
            default_agent: default_agent.to_string(),
        }
    }
}

/// The word for a rule for outages in a document.
pub(in crate::command::get) const fn on_outage(rule: OnOutage) -> &'static str {
    match rule {
        OnOutage::Deny => "deny",
        OnOutage::Held => "held",
        OnOutage::Allow => "allow",
    }
}

/// The word for a kind of enforcement in a document.
pub(in crate::command::get) const fn enforcement(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Hard => "hard",
        Enforcement::Soft => "soft",
    }
}
