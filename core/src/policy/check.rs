//! Checks that need more than one field of a policy. The control plane makes them when a document
//! is applied, the proxy again before it uses what it was sent.
//!
//! Whatever the types of a policy allow and its documentation rules out is refused here, so that a
//! policy without problems is legal wherever it came from.

pub(super) mod address;
mod agents;
mod models;
mod providers;
mod settings;

use std::fmt;

use super::document::suggest::nearest;
use super::route::family_heads;
use super::{Unroutable, code};
use crate::id::ModelName;
use crate::limits::{POLICY_ERRORS, PROPOSED_NAMES};
use crate::policy::{Policy, ResourceKey};

/// One thing wrong with a policy as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The resource at fault.
    pub resource: ResourceKey,
    /// The field within it: `base_url`, `models[1]`, in a chain `[1]`, in a template its line
    /// and column `prompt_template[3:5]`; empty for the resource.
    pub field: String,
    /// A stable code, `AGX0031`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// Where in a document the problem is: `failover.chains.gpt-4o[1]`.
    pub fn path(&self) -> String {
        place(&self.resource, &self.field)
    }
}

/// Where `field` of `resource` is in a document.
pub(super) fn place(resource: &ResourceKey, field: &str) -> String {
    let separator = if field.is_empty() || field.starts_with('[') {
        ""
    } else {
        "."
    };
    format!("{resource}{separator}{field}")
}

impl Policy {
    /// Everything wrong with the policy as a whole; empty if it may be used.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Problems(Vec::new());
        self.check_providers(&mut problems);
        self.check_models(&mut problems);
        self.check_failover(&mut problems);
        self.check_chains(&mut problems);
        self.check_budgets(&mut problems);
        self.check_agents(&mut problems);
        self.check_webhooks(&mut problems);
        problems.0
    }

    /// Reports `model` unless a provider serves it.
    fn check_route(&self, model: &ModelName, place: &Place<'_>, problems: &mut Problems) {
        let Err(unroutable) = self.route(model) else {
            return;
        };
        // The entry of a model is reported by itself.
        let Unroutable::UnknownModel { .. } = unroutable else {
            return;
        };
        let near = problems
            .has_room()
            .then(|| self.similar_model(model.as_str()));
        let help = match near.flatten() {
            Some(near) => format!("did you mean `{near}`?"),
            None => "give it an entry in `models`, or write `provider/model`".to_owned(),
        };
        let message = format!("no provider serves the model `{model}`");
        problems.add_with(place, code::UNROUTABLE, message, help);
    }

    /// A model that can be served and whose name resembles `name`.
    fn similar_model(&self, name: &str) -> Option<String> {
        let entries = self.models.keys().map(ModelName::as_str);
        let entries = entries.take(PROPOSED_NAMES);
        let heads = self
            .chains
            .keys()
            .take(PROPOSED_NAMES)
            .filter(|head| self.route(head).is_ok())
            .map(ModelName::as_str);
        if let Some(near) = nearest(name, entries.chain(heads)) {
            return Some(near.to_owned());
        }
        if let Some((provider, model)) = name.split_once('/') {
            return Some(format!("{}/{model}", self.similar_provider(provider)?));
        }
        let (_, rest) = name.split_once('-')?;
        let head = name.get(..name.len().saturating_sub(rest.len()))?;
        let family = nearest(head, family_heads().filter(|head| head.ends_with('-')))?;
        Some(format!("{family}{rest}"))
    }
}

/// What was found so far.
struct Problems(Vec<Problem>);

/// A field of a resource.
struct Place<'a> {
    resource: &'a ResourceKey,
    field: String,
}

impl<'a> Place<'a> {
    fn new(resource: &'a ResourceKey, field: impl fmt::Display) -> Self {
        Self {
            resource,
            field: field.to_string(),
        }
    }
}

impl Problems {
    /// Whether the next problem is one of those that are shown and deserves some thought.
    fn has_room(&self) -> bool {
        self.0.len() < POLICY_ERRORS
    }

    fn add(&mut self, place: &Place<'_>, code: &'static str, message: impl Into<String>) {
        self.0.push(Problem {
            resource: place.resource.clone(),
            field: place.field.clone(),
            code,
            message: message.into(),
            help: None,
        });
    }

    fn add_with(
        &mut self,
        place: &Place<'_>,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0.push(Problem {
            resource: place.resource.clone(),
            field: place.field.clone(),
            code,
            message: message.into(),
            help: Some(help.into()),
        });
    }
}

#[cfg(test)]
mod tests;
