//! The list of models, in the shape of the caller's protocol.

use std::collections::BTreeSet;

use agix_core::id::ModelName;
use bytes::Bytes;
use http::request::Parts;
use serde::Serialize;

use crate::dialect::Caller;
use crate::front::path::Path;
use crate::front::refusal::Refusal;
use crate::front::{Reply, identity};
use crate::snapshot::Compiled;
use crate::worker::Worker;

#[derive(Serialize)]
#[serde(untagged)]
enum List<'a> {
    Chat {
        object: &'static str,
        data: Vec<Entry<'a>>,
    },
    Messages {
        first_id: Option<&'a str>,
        last_id: Option<&'a str>,
        has_more: bool,
        data: Vec<Entry<'a>>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Chat {
        id: &'a str,
        object: &'static str,
        created: i64,
        owned_by: String,
    },
    Messages {
        #[serde(rename = "type")]
        kind: &'static str,
        id: &'a str,
        display_name: &'a str,
        created_at: &'static str,
    },
}

impl<'a> Entry<'a> {
    fn id(&self) -> &'a str {
        match self {
            Self::Chat { id, .. } | Self::Messages { id, .. } => id,
        }
    }
}

/// The models the policy names, as far as the caller may use them. Models that are only routed by
/// the catalogue can be called, too, but are not listed: nobody knows which of them the account has.
pub(super) fn list(worker: &Worker, parts: &Parts, path: &Path<'_>) -> Result<Reply, Refusal> {
    let compiled = worker.shared.compiled.load_full();
    let agent = identity::identify(&compiled, &parts.headers, path.agent)?;
    let entry = compiled.policy.agents.get(&agent);
    let caller = path.caller(&parts.headers);
    let data: Vec<_> = named_models(&compiled)
        .into_iter()
        .filter(|model| entry.is_none_or(|entry| entry.allows(model)))
        .filter_map(|model| describe(&compiled, model, caller))
        .collect();
    Ok(json(&match caller {
        Caller::Chat | Caller::Responses | Caller::Completions => List::Chat {
            object: "list",
            data,
        },
        Caller::Messages => List::Messages {
            first_id: data.first().map(Entry::id),
            last_id: data.last().map(Entry::id),
            has_more: false,
            data,
        },
    }))
}

/// One model, if it can be served.
pub(super) fn one(
    worker: &Worker,
    parts: &Parts,
    path: &Path<'_>,
    name: &str,
) -> Result<Reply, Refusal> {
    let compiled = worker.shared.compiled.load_full();
    let agent = identity::identify(&compiled, &parts.headers, path.agent)?;
    let model = ModelName::new(name).map_err(|error| Refusal::unknown_model(&error.to_string()))?;
    if compiled
        .policy
        .agents
        .get(&agent)
        .is_some_and(|entry| !entry.allows(&model))
    {
        return Err(Refusal::model_not_allowed(&agent, name));
    }
    compiled
        .policy
        .route(&model)
        .map_err(|error| Refusal::unknown_model(&error.to_string()))?;
    let described = describe(&compiled, &model, path.caller(&parts.headers));
    described
        .map(|entry| json(&entry))
        .ok_or_else(|| Refusal::unknown_model("no such model"))
}

fn named_models(compiled: &Compiled) -> BTreeSet<&ModelName> {
    let policy = &compiled.policy;
    let chained = policy
        .chains
        .iter()
        .flat_map(|(head, chain)| std::iter::once(head).chain(&chain.targets));
    policy.models.keys().chain(chained).collect()
}

fn describe<'a>(compiled: &Compiled, model: &'a ModelName, caller: Caller) -> Option<Entry<'a>> {
    let route = compiled.policy.route(model).ok()?;
    let id = model.as_str();
    Some(match caller {
        Caller::Chat | Caller::Responses | Caller::Completions => Entry::Chat {
            id,
            object: "model",
            created: 0,
            owned_by: route.provider.to_string(),
        },
        Caller::Messages => Entry::Messages {
            kind: "model",
            id,
            display_name: id,
            created_at: "1970-01-01T00:00:00Z",
        },
    })
}

fn json<T: Serialize>(value: &T) -> Reply {
    Reply::json(
        serde_json::to_vec(value)
            .map(Bytes::from)
            .unwrap_or_default(),
    )
}
