//! Agents, their limits and budgets, and how a caller is identified.

use agix_core::id::{AgentName, GroupName, WebhookName};
use agix_core::limits::BUDGET_ALERTS;
use agix_core::policy::{
    Agent, Budget, Enforcement, Identity, KeyHash, ModelPattern, OnOutage, RateLimits, TimeZoneName,
};
use agix_core::units::{AlertPercent, MoneyLimit, NanoUsd, RequestLimit, TokenLimit};

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{Enumeration as _, checked, digest, entries, enum_value, enumeration, name};
use crate::v1;

enumeration!(OnOutage, v1::OnOutage: Deny = Deny, Held = Held, Allow = Allow);
enumeration!(Enforcement, v1::Enforcement: Hard = Hard, Soft = Soft);

const POSITIVE: &str = "greater than zero; leave it out for no limit";

impl From<(&AgentName, &RateLimits)> for v1::RateLimitsEntry {
    fn from((agent, limits): (&AgentName, &RateLimits)) -> Self {
        let RateLimits {
            requests_per_minute,
            requests_per_hour,
            tokens_per_minute,
            max_concurrent,
            on_outage,
        } = limits;
        Self {
            agent: agent.as_str().to_owned(),
            requests_per_minute: requests_per_minute.map(RequestLimit::get),
            requests_per_hour: requests_per_hour.map(RequestLimit::get),
            tokens_per_minute: tokens_per_minute.map(TokenLimit::get),
            max_concurrent: max_concurrent.map(RequestLimit::get),
            on_outage: on_outage.number(),
        }
    }
}

impl TryFrom<v1::RateLimitsEntry> for (AgentName, RateLimits) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::RateLimitsEntry) -> Result<Self, InvalidMessage> {
        let v1::RateLimitsEntry {
            agent,
            requests_per_minute,
            requests_per_hour,
            tokens_per_minute,
            max_concurrent,
            on_outage,
        } = wire;
        let requests = |value, field| checked(value, RequestLimit::new, POSITIVE, field);
        let limits = RateLimits {
            requests_per_minute: requests(requests_per_minute, "requests_per_minute")?,
            requests_per_hour: requests(requests_per_hour, "requests_per_hour")?,
            tokens_per_minute: checked(
                tokens_per_minute,
                TokenLimit::new,
                POSITIVE,
                "tokens_per_minute",
            )?,
            max_concurrent: requests(max_concurrent, "max_concurrent")?,
            on_outage: enum_value(on_outage, "on_outage")?,
        };
        Ok((name(&agent, "agent")?, limits))
    }
}

impl From<(&AgentName, &Budget)> for v1::BudgetEntry {
    fn from((agent, budget): (&AgentName, &Budget)) -> Self {
        let Budget {
            daily,
            monthly,
            alert_at_percent,
            alert_webhook,
            timezone,
            enforcement,
            on_outage,
        } = budget;
        Self {
            agent: agent.as_str().to_owned(),
            daily_nano_usd: daily.map(MoneyLimit::amount).map(NanoUsd::as_nanos),
            monthly_nano_usd: monthly.map(MoneyLimit::amount).map(NanoUsd::as_nanos),
            alert_at_percent: alert_at_percent
                .iter()
                .map(|percent| percent.get().into())
                .collect(),
            alert_webhook: Some(alert_webhook.to_string()),
            timezone: timezone.as_str().to_owned(),
            enforcement: enforcement.number(),
            on_outage: on_outage.map(OnOutage::number),
        }
    }
}

impl TryFrom<v1::BudgetEntry> for (AgentName, Budget) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::BudgetEntry) -> Result<Self, InvalidMessage> {
        let v1::BudgetEntry {
            agent,
            daily_nano_usd,
            monthly_nano_usd,
            alert_at_percent,
            timezone,
            enforcement,
            on_outage,
            alert_webhook,
        } = wire;
        entries(&alert_at_percent, 0, BUDGET_ALERTS, "alert_at_percent")?;
        if daily_nano_usd.is_none() && monthly_nano_usd.is_none() {
            return Err(InvalidField::Missing).at("daily_nano_usd");
        }
        let money = |value, field| checked(value, MoneyLimit::from_nanos, POSITIVE, field);
        let budget = Budget {
            daily: money(daily_nano_usd, "daily_nano_usd")?,
            monthly: money(monthly_nano_usd, "monthly_nano_usd")?,
            alert_at_percent: alert_at_percent
                .into_iter()
                .enumerate()
                .map(|(index, percent)| {
                    AlertPercent::new(percent.into())
                        .ok_or(InvalidField::Range("1 to 100"))
                        .at_entry("alert_at_percent", index)
                })
                .collect::<Result<_, _>>()?,
            alert_webhook: alert_webhook
                .map(|text| name(&text, "alert_webhook"))
                .transpose()?
                .unwrap_or_else(WebhookName::budget_alert),
            // Whether the zone exists was decided where the document was read; another version of
            // the zone database must not make a stored policy unreadable.
            timezone: TimeZoneName::new(&timezone, |_| true)
                .ok_or(InvalidField::Range("the name of a time zone"))
                .at("timezone")?,
            enforcement: enum_value(enforcement, "enforcement")?,
            on_outage: on_outage
                .map(|number| enum_value(number, "on_outage"))
                .transpose()?,
        };
        Ok((name(&agent, "agent")?, budget))
    }
}

impl From<(&AgentName, &Agent)> for v1::AgentEntry {
    fn from((name, agent): (&AgentName, &Agent)) -> Self {
        let Agent {
            keys,
            models,
            group,
        } = agent;
        Self {
            name: name.as_str().to_owned(),
            key_hashes: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
            models: models
                .iter()
                .map(|pattern| pattern.as_str().to_owned())
                .collect(),
            group: group.as_ref().map(ToString::to_string),
        }
    }
}

impl TryFrom<v1::AgentEntry> for (AgentName, Agent) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AgentEntry) -> Result<Self, InvalidMessage> {
        let v1::AgentEntry {
            name: text,
            key_hashes,
            models,
            group,
        } = wire;
        let agent = Agent {
            keys: key_hashes
                .iter()
                .enumerate()
                .map(|(index, bytes)| {
                    digest(bytes)
                        .map(KeyHash::from_bytes)
                        .at_entry("key_hashes", index)
                })
                .collect::<Result<_, _>>()?,
            models: models
                .iter()
                .enumerate()
                .map(|(index, text)| {
                    ModelPattern::new(text)
                        .ok_or(InvalidField::Range("a model name in which `*` may stand"))
                        .at_entry("models", index)
                })
                .collect::<Result<_, _>>()?,
            group: group
                .map(|text| name::<GroupName>(&text, "group"))
                .transpose()?,
        };
        Ok((name(&text, "name")?, agent))
    }
}

impl From<&Identity> for v1::Identity {
    fn from(identity: &Identity) -> Self {
        let Identity {
            require_key,
            default_agent,
        } = identity;
        Self {
            require_key: *require_key,
            default_agent: default_agent.as_str().to_owned(),
        }
    }
}

impl TryFrom<v1::Identity> for Identity {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Identity) -> Result<Self, InvalidMessage> {
        let v1::Identity {
            require_key,
            default_agent,
        } = wire;
        Ok(Self {
            require_key,
            default_agent: name(&default_agent, "default_agent")?,
        })
    }
}
