//! The list of models.

use std::collections::BTreeSet;

use agix_core::id::ModelName;
use bytes::Bytes;
use http::request::Parts;
use serde::Serialize;

use crate::front::refusal::Refusal;
use crate::front::{Reply, identity};
use crate::snapshot::Compiled;
use crate::worker::Worker;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: String,
}

/// The models the policy names, as far as the caller may use them. Models that are only routed by
/// the catalogue can be called, too, but are not listed: nobody knows which of them the account has.
pub(super) fn list(worker: &Worker, parts: &Parts) -> Result<Reply, Refusal> {
    let compiled = worker.shared.compiled.load_full();
    let agent = identity::identify(&compiled, &parts.headers)?;
    let entry = compiled.policy.agents.get(&agent);
    let data = named_models(&compiled)
        .into_iter()
        .filter(|model| entry.is_none_or(|entry| entry.allows(model)))
        .filter_map(|model| describe(&compiled, model))
        .collect();
    Ok(json(&List {
        object: "list",
        data,
    }))
}

/// One model, if it can be served.
pub(super) fn one(worker: &Worker, parts: &Parts, name: &str) -> Result<Reply, Refusal> {
    let compiled = worker.shared.compiled.load_full();
    let agent = identity::identify(&compiled, &parts.headers)?;
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
    let described = describe(&compiled, &model);
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

fn describe<'a>(compiled: &Compiled, model: &'a ModelName) -> Option<Entry<'a>> {
    let route = compiled.policy.route(model).ok()?;
    Some(Entry {
        id: model.as_str(),
        object: "model",
        created: 0,
        owned_by: route.provider.to_string(),
    })
}

fn json<T: Serialize>(value: &T) -> Reply {
    Reply::json(
        serde_json::to_vec(value)
            .map(Bytes::from)
            .unwrap_or_default(),
    )
}
