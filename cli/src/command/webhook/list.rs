//! `webhook list`: the definitions, and how many executions each has.

use std::collections::BTreeMap;

use agix_proto::v1;
use serde::Serialize;

use crate::client::Client;
use crate::command::get::current_policy;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View};

#[derive(Debug, Serialize)]
struct List {
    webhooks_enabled: bool,
    webhooks: Vec<Webhook>,
    /// Executions that have not come to their end, and the bytes they hold.
    open: u32,
    open_bytes: u64,
    /// Of these, how many wait for a proxy or for their time.
    waiting: u32,
    /// Proxies that work on them.
    workers: u32,
    kept: u32,
}

#[derive(Debug, Serialize)]
struct Webhook {
    name: String,
    enabled: bool,
    model: Option<String>,
    scheme: Option<&'static str>,
    callback_url: Option<String>,
    open: u32,
    succeeded: u32,
    failed: u32,
    dead: u32,
}

impl View for List {
    fn text(&self, _look: Look) -> String {
        let mut table = Table::new(&[
            "NAME", "ENABLED", "MODEL", "SCHEME", ">OPEN", ">SUCCESS", ">ERROR", ">DEAD",
            "CALLBACK",
        ]);
        for webhook in &self.webhooks {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let is_enabled = webhook.enabled && self.webhooks_enabled;
            let enabled = if is_enabled { "yes" } else { "no" };
            table.row([
                webhook.name.clone(),
                enabled.to_owned(),
                text(&webhook.model),
                webhook.scheme.unwrap_or("-").to_owned(),
                webhook.open.to_string(),
                webhook.succeeded.to_string(),
                webhook.failed.to_string(),
                webhook.dead.to_string(),
                text(&webhook.callback_url),
            ]);
        }
        table.text()
    }
}

pub(super) async fn run(client: &Client, output: Output) -> Result<Exit, Failure> {
    let policy = current_policy(client).await?;
    let get = client.webhooks(async |mut queue| queue.get_queue(v1::GetQueueRequest {}).await);
    let queue = get.await?;
    let queue = queue.into_inner();
    let mut counts: BTreeMap<String, v1::WebhookCount> = queue
        .webhooks
        .into_iter()
        .map(|count| (count.webhook.clone(), count))
        .collect();
    let row = |name: String, count: v1::WebhookCount| Webhook {
        name,
        enabled: false,
        model: None,
        scheme: None,
        callback_url: None,
        open: count.open,
        succeeded: count.succeeded,
        failed: count.failed,
        dead: count.dead,
    };
    let mut webhooks = Vec::new();
    for (name, definition) in &policy.webhooks {
        let name = name.to_string();
        let count = counts.remove(&name).unwrap_or_default();
        webhooks.push(Webhook {
            enabled: definition.enabled,
            model: definition.model.as_ref().map(ToString::to_string),
            scheme: Some(definition.scheme.as_str()),
            callback_url: definition.callback_url.as_ref().map(ToString::to_string),
            ..row(name, count)
        });
    }
    // Definitions that are gone and have a history.
    webhooks.extend(counts.into_iter().map(|(name, count)| row(name, count)));
    if webhooks.is_empty() && !output.for_programs() {
        Output::words("the policy defines no webhooks\n");
        return Ok(Exit::Ok);
    }
    output.data(&List {
        webhooks_enabled: policy.webhook_settings.enabled,
        webhooks,
        open: queue.open,
        open_bytes: queue.open_bytes,
        waiting: queue.waiting,
        workers: queue.workers,
        kept: queue.kept,
    })?;
    if queue.waiting > 0 && queue.workers == 0 && !output.for_programs() {
        Output::words("executions wait, and no proxy is connected to work on them\n");
    }
    Ok(Exit::Ok)
}
