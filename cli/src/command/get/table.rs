//! Parts of a policy as tables.

use agix_core::policy::{Policy, Reference, Secret};
use serde_json::Value;

use super::Part;
use super::shape::{Document, api, enforcement, on_outage, secret_text};
use crate::output::Table;

/// What stands in a cell without a value.
const NONE: &str = "-";

/// The table of a part; empty if the policy has nothing of it.
pub(super) fn of(part: Part, policy: &Policy, document: &Document) -> String {
    let (table, rows) = match part {
        Part::Providers => providers(policy),
        Part::Models => models(policy),
        Part::Chains => chains(policy),
        Part::Agents => agents(policy),
        Part::Limits => limits(policy),
        Part::Budgets => budgets(policy),
        Part::Webhooks => webhooks(policy),
        Part::Policy | Part::Settings => values(document),
    };
    if rows == 0 {
        String::new()
    } else {
        table.text()
    }
}

/// A value, or what stands for none.
fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

fn secret(secret: Option<&Secret>) -> String {
    or_none(secret.map(secret_text))
}

fn providers(policy: &Policy) -> (Table, usize) {
    let mut table = Table::new(&["NAME", "API", "BASE URL", "KEY"]);
    for (name, provider) in &policy.providers {
        table.row([
            name.to_string(),
            api(provider.api).to_owned(),
            or_none(provider.base_url.as_ref().map(Reference::to_string)),
            secret(provider.api_key.as_ref()),
        ]);
    }
    (table, policy.providers.len())
}

fn models(policy: &Policy) -> (Table, usize) {
    let mut table = Table::new(&[
        "NAME",
        "PROVIDER",
        "UPSTREAM MODEL",
        ">INPUT USD/M",
        ">OUTPUT USD/M",
        ">CONTEXT",
    ]);
    for (name, model) in &policy.models {
        table.row([
            name.to_string(),
            model.provider.to_string(),
            or_none(model.upstream_model.as_ref()),
            or_none(model.price.map(|price| price.input)),
            or_none(model.price.map(|price| price.output)),
            or_none(model.context_window),
        ]);
    }
    (table, policy.models.len())
}

fn chains(policy: &Policy) -> (Table, usize) {
    let mut table = Table::new(&["MODEL", "FALLBACKS"]);
    for (name, chain) in &policy.chains {
        let targets: Vec<_> = chain.targets.iter().map(ToString::to_string).collect();
        table.row([name.to_string(), targets.join(" -> ")]);
    }
    (table, policy.chains.len())
}

fn agents(policy: &Policy) -> (Table, usize) {
    let mut table = Table::new(&["NAME", "GROUP", ">KEYS", "MODELS"]);
    for (name, agent) in &policy.agents {
        let models: Vec<_> = agent
            .models
            .iter()
            .map(agix_core::policy::ModelPattern::as_str)
            .collect();
        let models = if models.is_empty() {
            "all".to_owned()
        } else {
            models.join(", ")
        };
        table.row([
            name.to_string(),
            or_none(agent.group.as_ref()),
            agent.keys.len().to_string(),
            models,
        ]);
    }
    (table, policy.agents.len())
}

fn limits(policy: &Policy) -> (Table, usize) {
    let mut table = Table::new(&[
        "AGENT",
        ">REQUESTS/MIN",
        ">REQUESTS/HOUR",
        ">TOKENS/MIN",
        ">CONCURRENT",
        "ON OUTAGE",
    ]);
    for (name, limits) in &policy.rate_limits {
        table.row([
            name.to_string(),
            or_none(
                limits
                    .requests_per_minute
                    .map(agix_core::units::RequestLimit::get),
            ),
            or_none(
                limits
                    .requests_per_hour
                    .map(agix_core::units::RequestLimit::get),
            ),
            or_none(
                limits
                    .tokens_per_minute
                    .map(agix_core::units::TokenLimit::get),
            ),
            or_none(
                limits
                    .max_concurrent
                    .map(agix_core::units::RequestLimit::get),
            ),
            on_outage(limits.on_outage).to_owned(),
        ]);
    }
    (table, policy.rate_limits.len())
}

fn budgets(policy: &Policy) -> (Table, usize) {
    let mut table = Table::new(&[
        "AGENT",
        ">DAILY USD",
        ">MONTHLY USD",
        ">ALERT AT",
        "TIME ZONE",
        "ENFORCEMENT",
    ]);
    for (name, budget) in &policy.budgets {
        let alerts = budget.alert_at_percent.iter();
        let alerts: Vec<String> = alerts.map(|at| format!("{}%", at.get())).collect();
        table.row([
            name.to_string(),
            or_none(budget.daily.map(agix_core::units::MoneyLimit::amount)),
            or_none(budget.monthly.map(agix_core::units::MoneyLimit::amount)),
            or_none((!alerts.is_empty()).then(|| alerts.join(", "))),
            budget.timezone.to_string(),
            enforcement(budget.enforcement).to_owned(),
        ]);
    }
    (table, policy.budgets.len())
}

fn webhooks(policy: &Policy) -> (Table, usize) {
    let mut table = Table::new(&["NAME", "MODEL", "CALLBACK", "SECRET"]);
    for (name, webhook) in &policy.webhooks {
        table.row([
            name.to_string(),
            or_none(webhook.model.as_ref()),
            or_none(webhook.callback_url.as_ref().map(Reference::to_string)),
            secret(Some(&webhook.secret)),
        ]);
    }
    (table, policy.webhooks.len())
}

/// Every value with its place.
fn values(document: &Document) -> (Table, usize) {
    let mut rows = Vec::new();
    let value = serde_json::to_value(document).unwrap_or_default();
    flatten(String::new(), &value, &mut rows);
    let mut table = Table::new(&["SETTING", "VALUE"]);
    let count = rows.len();
    for (path, value) in rows {
        table.row([path, value]);
    }
    (table, count)
}

fn flatten(path: String, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                flatten(path, value, rows);
            }
        }
        Value::String(text) => rows.push((path, text.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            rows.push((path, value.to_string()));
        }
    }
}
