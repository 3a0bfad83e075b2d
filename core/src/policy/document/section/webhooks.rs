//! `webhooks`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{named, sound};
use crate::id::WebhookName;
use crate::limits::{TEMPLATE_BYTES, WEBHOOK_ATTEMPTS_MOST, WEBHOOK_RETRIES_MOST};
use crate::policy::document::Reader;
use crate::policy::document::field::{self, Field, Whole};
use crate::policy::{Reference, Secret, SignatureScheme, WebhookDefinition, WebhookSettings};

/// What stands for a definition with a mistake, so that whoever names it is not wrong as well.
fn stand_in() -> WebhookDefinition {
    WebhookDefinition {
        callback_url: Some(Reference::literal("https://stand-in.invalid")),
        ..WebhookDefinition::new(Secret::new(Reference::literal("")))
    }
}

/// The keys of a definition.
const KEYS: [&str; 16] = [
    "secret",
    "previous_secret",
    "scheme",
    "tolerance",
    "max_payload_bytes",
    "model",
    "prompt_template",
    "agent",
    "max_attempts",
    "timeout",
    "callback_url",
    "callback_retries",
    "enabled",
    "keep_prompt",
    "allow_insecure",
    "allow_private",
];

pub(super) fn read(
    parts: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
) -> (WebhookSettings, BTreeMap<WebhookName, WebhookDefinition>) {
    let [enabled, definitions] = field::record(parts, reader, ["enabled", "definitions"]);
    let settings = WebhookSettings {
        enabled: enabled
            .and_then(|field| field.flag(reader))
            .unwrap_or(WebhookSettings::default().enabled),
    };
    let fields = definitions.map_or_else(Vec::new, |definitions| vec![definitions]);
    let fields = field::entries(&fields, reader);
    (
        settings,
        named(&fields, reader, |field, reader| {
            sound(field, reader, definition).or_else(|| Some(stand_in()))
        }),
    )
}

fn definition(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<WebhookDefinition> {
    let [
        secret,
        previous,
        scheme,
        tolerance,
        payload,
        model,
        template,
        agent,
        attempts,
        timeout,
        callback,
        retries,
        enabled,
        keep_prompt,
        allow_insecure,
        allow_private,
    ] = field.record(reader, KEYS)?;
    let model = model.and_then(|field| field.name(reader));
    let prompt_template = template
        .and_then(|field| field.bounded_text(reader, TEMPLATE_BYTES))
        .map(ToOwned::to_owned);
    let callback_url = callback.and_then(|field| field.address(reader));
    let previous_secret = previous.and_then(|field| field.secret(reader));
    let Some(secret) = secret else {
        let help = "what comes in and what goes out is signed with it: write `secret: ${NAME}`";
        field.missing(reader, "secret", help);
        return None;
    };
    let default = WebhookDefinition::new(secret.secret(reader)?);
    let mut flag = |field: Option<Field<'_, '_>>, default| {
        field
            .and_then(|field| field.flag(reader))
            .unwrap_or(default)
    };
    let enabled = flag(enabled, default.enabled);
    let keep_prompt = flag(keep_prompt, default.keep_prompt);
    let allow_insecure = flag(allow_insecure, default.allow_insecure);
    let allow_private = flag(allow_private, default.allow_private);
    let mut time =
        |field: Option<Field<'_, '_>>| field.and_then(|field| field.duration(reader, false));
    let tolerance = time(tolerance).unwrap_or(default.tolerance);
    let timeout = time(timeout);
    Some(WebhookDefinition {
        enabled,
        previous_secret,
        scheme: scheme
            .and_then(|field| field.choice(reader, &SignatureScheme::NAMED))
            .unwrap_or_default(),
        tolerance,
        max_payload_bytes: payload
            .and_then(|field| field.whole_u32(reader, up_to(WebhookDefinition::most_payload())))
            .unwrap_or(default.max_payload_bytes),
        model,
        prompt_template,
        agent: agent.and_then(|field| field.name(reader)),
        max_attempts: attempts
            .and_then(|field| field.whole_u32(reader, up_to(WEBHOOK_ATTEMPTS_MOST)))
            .unwrap_or(default.max_attempts),
        timeout,
        keep_prompt,
        callback_url,
        callback_retries: match retries {
            Some(field) => pauses(&field, reader)?,
            None => default.callback_retries,
        },
        allow_insecure,
        allow_private,
        secret: default.secret,
    })
}

fn up_to(most: u32) -> Whole {
    Whole {
        least: 1,
        most: most.into(),
    }
}

/// A list of spans of time; an empty one is one too.
fn pauses(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Vec<Duration>> {
    let items = field.items(reader)?;
    if items.len() > WEBHOOK_RETRIES_MOST {
        let found = format!("{} entries", items.len());
        field.too_long(reader, &found, WEBHOOK_RETRIES_MOST);
        return None;
    }
    let pauses = items.iter().filter_map(|item| item.duration(reader, false));
    Some(pauses.collect())
}
