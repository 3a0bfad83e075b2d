//! Webhooks, audit and tracing.

use std::time::Duration;

use agix_core::id::{AgentName, ModelName, WebhookName};
use agix_core::limits::{TEMPLATE_BYTES, WEBHOOK_RETRIES_MOST};
use agix_core::policy::{
    Audit, Reference, Secret, SignatureScheme, Tracing, WebhookDefinition, WebhookSettings,
};
use agix_core::units::SampleRate;

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{
    Enumeration as _, bounded, entries, enum_value, enumeration, name, required, to_millis,
};
use crate::v1;

enumeration!(
    SignatureScheme, v1::SignatureScheme:
    Agix = Agix,
    GitHub = Github,
    Stripe = Stripe,
    Standard = Standard,
);

impl From<WebhookSettings> for v1::WebhookSettings {
    fn from(settings: WebhookSettings) -> Self {
        let WebhookSettings { enabled } = settings;
        Self { enabled }
    }
}

impl From<v1::WebhookSettings> for WebhookSettings {
    fn from(wire: v1::WebhookSettings) -> Self {
        let v1::WebhookSettings { enabled } = wire;
        Self { enabled }
    }
}

impl From<(&WebhookName, &WebhookDefinition)> for v1::WebhookEntry {
    fn from((name, definition): (&WebhookName, &WebhookDefinition)) -> Self {
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
        } = definition;
        Self {
            name: name.as_str().to_owned(),
            secret: Some(v1::Reference::from(secret)),
            model: model.as_ref().map(ToString::to_string),
            prompt_template: prompt_template.clone(),
            callback_url: callback_url.as_ref().map(v1::Reference::from),
            previous_secret: previous_secret.as_ref().map(v1::Reference::from),
            scheme: Some(scheme.number()),
            tolerance_ms: Some(to_millis(*tolerance)),
            max_payload_bytes: Some(*max_payload_bytes),
            agent: agent.as_ref().map(ToString::to_string),
            max_attempts: Some(*max_attempts),
            timeout_ms: timeout.map(to_millis),
            enabled: Some(*enabled),
            keep_prompt: *keep_prompt,
            allow_insecure: *allow_insecure,
            allow_private: *allow_private,
            callback_retries: Some(v1::Pauses {
                ms: callback_retries.iter().copied().map(to_millis).collect(),
            }),
        }
    }
}

impl TryFrom<v1::WebhookEntry> for (WebhookName, WebhookDefinition) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookEntry) -> Result<Self, InvalidMessage> {
        let v1::WebhookEntry {
            name: text,
            secret,
            model,
            prompt_template,
            callback_url,
            previous_secret,
            scheme,
            tolerance_ms,
            max_payload_bytes,
            agent,
            max_attempts,
            timeout_ms,
            enabled,
            keep_prompt,
            allow_insecure,
            allow_private,
            callback_retries,
        } = wire;
        if model.is_some() != prompt_template.is_some() {
            let absent = if model.is_none() {
                "model"
            } else {
                "prompt_template"
            };
            return Err(InvalidField::Missing).at(absent);
        }
        let secret = required(secret)
            .map_err(InvalidMessage::from)
            .and_then(Secret::try_from)
            .at("secret")?;
        let default = WebhookDefinition::new(secret);
        let definition = WebhookDefinition {
            enabled: enabled.unwrap_or(default.enabled),
            previous_secret: previous_secret
                .map(Secret::try_from)
                .transpose()
                .at("previous_secret")?,
            scheme: match scheme {
                Some(number) => enum_value(number, "scheme")?,
                None => default.scheme,
            },
            tolerance: tolerance_ms.map_or(default.tolerance, Duration::from_millis),
            max_payload_bytes: max_payload_bytes.unwrap_or(default.max_payload_bytes),
            agent: agent
                .map(|text| name::<AgentName>(&text, "agent"))
                .transpose()?,
            max_attempts: max_attempts.unwrap_or(default.max_attempts),
            timeout: timeout_ms.map(Duration::from_millis),
            keep_prompt,
            allow_insecure,
            allow_private,
            callback_retries: callback_retries
                .map(pauses)
                .transpose()?
                .unwrap_or(default.callback_retries),
            secret: default.secret,
            model: model
                .map(|text| name::<ModelName>(&text, "model"))
                .transpose()?,
            prompt_template: prompt_template
                .map(|text| bounded(text, TEMPLATE_BYTES, "prompt_template"))
                .transpose()?,
            callback_url: callback_url
                .map(Reference::try_from)
                .transpose()
                .at("callback_url")?,
        };
        Ok((name(&text, "name")?, definition))
    }
}

fn pauses(wire: v1::Pauses) -> Result<Vec<Duration>, InvalidMessage> {
    let v1::Pauses { ms } = wire;
    entries(&ms, 0, WEBHOOK_RETRIES_MOST, "callback_retries")?;
    Ok(ms.into_iter().map(Duration::from_millis).collect())
}

impl From<Audit> for v1::Audit {
    fn from(audit: Audit) -> Self {
        let Audit {
            enabled,
            content_log,
        } = audit;
        Self {
            enabled,
            content_log,
        }
    }
}

impl From<v1::Audit> for Audit {
    fn from(wire: v1::Audit) -> Self {
        let v1::Audit {
            enabled,
            content_log,
        } = wire;
        Self {
            enabled,
            content_log,
        }
    }
}

impl From<Tracing> for v1::Tracing {
    fn from(tracing: Tracing) -> Self {
        let Tracing {
            enabled,
            sample_rate,
            propagate,
        } = tracing;
        Self {
            enabled,
            sample_rate_millionths: sample_rate.as_millionths(),
            propagate,
        }
    }
}

impl TryFrom<v1::Tracing> for Tracing {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Tracing) -> Result<Self, InvalidMessage> {
        let v1::Tracing {
            enabled,
            sample_rate_millionths,
            propagate,
        } = wire;
        Ok(Self {
            enabled,
            propagate,
            sample_rate: SampleRate::from_millionths(sample_rate_millionths)
                .ok_or(InvalidField::Range("0 to 1,000,000"))
                .at("sample_rate_millionths")?,
        })
    }
}
