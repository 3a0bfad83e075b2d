//! Webhooks, audit and tracing.

use agix_core::id::{ModelName, WebhookName};
use agix_core::limits::TEMPLATE_BYTES;
use agix_core::policy::{Audit, Reference, Secret, Tracing, WebhookDefinition, WebhookSettings};
use agix_core::units::SampleRate;

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{bounded, name, required};
use crate::v1;

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
            secret,
            model,
            prompt_template,
            callback_url,
        } = definition;
        Self {
            name: name.as_str().to_owned(),
            secret: Some(v1::Reference::from(secret)),
            model: model.as_ref().map(ToString::to_string),
            prompt_template: prompt_template.clone(),
            callback_url: callback_url.as_ref().map(v1::Reference::from),
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
        } = wire;
        if model.is_some() != prompt_template.is_some() {
            let absent = if model.is_none() {
                "model"
            } else {
                "prompt_template"
            };
            return Err(InvalidField::Missing).at(absent);
        }
        let definition = WebhookDefinition {
            secret: required(secret)
                .map_err(InvalidMessage::from)
                .and_then(Secret::try_from)
                .at("secret")?,
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

impl From<Audit> for v1::Audit {
    fn from(audit: Audit) -> Self {
        let Audit { enabled } = audit;
        Self { enabled }
    }
}

impl From<v1::Audit> for Audit {
    fn from(wire: v1::Audit) -> Self {
        let v1::Audit { enabled } = wire;
        Self { enabled }
    }
}

impl From<Tracing> for v1::Tracing {
    fn from(tracing: Tracing) -> Self {
        let Tracing {
            enabled,
            sample_rate,
        } = tracing;
        Self {
            enabled,
            sample_rate_millionths: sample_rate.as_millionths(),
        }
    }
}

impl TryFrom<v1::Tracing> for Tracing {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Tracing) -> Result<Self, InvalidMessage> {
        let v1::Tracing {
            enabled,
            sample_rate_millionths,
        } = wire;
        Ok(Self {
            enabled,
            sample_rate: SampleRate::from_millionths(sample_rate_millionths)
                .ok_or(InvalidField::Range("0 to 1,000,000"))
                .at("sample_rate_millionths")?,
        })
    }
}
