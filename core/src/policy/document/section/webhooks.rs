//! `webhooks`.

use std::collections::BTreeMap;

use super::{named, sound};
use crate::id::WebhookName;
use crate::limits::TEMPLATE_BYTES;
use crate::policy::document::Reader;
use crate::policy::document::field::{self, Field};
use crate::policy::{WebhookDefinition, WebhookSettings};

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
            sound(field, reader, definition)
        }),
    )
}

fn definition(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<WebhookDefinition> {
    let keys = ["secret", "model", "prompt_template", "callback_url"];
    let [secret, model, template, callback] = field.record(reader, keys)?;
    let model = model.and_then(|field| field.name(reader));
    let prompt_template = template
        .and_then(|field| field.bounded_text(reader, TEMPLATE_BYTES))
        .map(ToOwned::to_owned);
    let callback_url = callback.and_then(|field| field.address(reader));
    let Some(secret) = secret else {
        let help = "what comes in and what goes out is signed with it: write `secret: ${NAME}`";
        field.missing(reader, "secret", help);
        return None;
    };
    Some(WebhookDefinition {
        secret: secret.secret(reader)?,
        model,
        prompt_template,
        callback_url,
    })
}
