//! Which provider serves a model.
//!
//! A name with an entry in `models` goes where the entry says. `provider/model` names the provider
//! itself. Any other name is routed by its family (`gpt-*`, `claude-*`...) to the built-in provider
//! of that name, or to the policy's own entry for it.

use crate::id::{ModelName, ProviderName};
use crate::policy::{Api, Policy, Provider, Reference, Secret};

/// Where a model is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The provider's name.
    pub provider: ProviderName,
    /// The model's name there.
    pub upstream_model: String,
}

/// No provider serves the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unroutable {
    /// The name belongs to no known family and has no entry.
    #[error(
        "no provider serves the model `{model}`: add it under `models`, or write `provider/model`"
    )]
    UnknownModel {
        /// The model.
        model: ModelName,
    },
    /// The provider named does not exist.
    #[error("the model `{model}` names the provider `{provider}`, which does not exist")]
    UnknownProvider {
        /// The model.
        model: ModelName,
        /// The provider.
        provider: ProviderName,
    },
}

/// A built-in provider.
struct BuiltIn {
    name: &'static str,
    api: Api,
    base_url: &'static str,
    key: Option<&'static str>,
    families: &'static [&'static str],
}

const BUILT_IN: [BuiltIn; 5] = [
    BuiltIn {
        name: "openai",
        api: Api::OpenAi,
        base_url: "https://api.openai.com/v1",
        key: Some("${OPENAI_API_KEY:-}"),
        families: &[
            "gpt-",
            "chatgpt-",
            "o1",
            "o3",
            "o4",
            "text-embedding-",
            "text-davinci-",
            "davinci-",
            "babbage-",
        ],
    },
    BuiltIn {
        name: "anthropic",
        api: Api::Anthropic,
        base_url: "https://api.anthropic.com",
        key: Some("${ANTHROPIC_API_KEY:-}"),
        families: &["claude-"],
    },
    BuiltIn {
        name: "deepseek",
        api: Api::OpenAi,
        base_url: "https://api.deepseek.com/v1",
        key: Some("${DEEPSEEK_API_KEY:-}"),
        families: &["deepseek-"],
    },
    BuiltIn {
        name: "gemini",
        api: Api::OpenAi,
        base_url: "https://generativelanguage.googleapis.com/v1beta/openai",
        key: Some("${GEMINI_API_KEY:-}"),
        families: &["gemini-"],
    },
    BuiltIn {
        name: "ollama",
        api: Api::OpenAi,
        base_url: "http://127.0.0.1:11434/v1",
        key: None,
        families: &[],
    },
];

/// The built-in provider of that name.
pub(super) fn built_in(name: &str) -> Option<Provider> {
    let found = BUILT_IN.iter().find(|entry| entry.name == name)?;
    Some(Provider {
        api: found.api,
        base_url: Some(Reference::literal(found.base_url)),
        api_key: found
            .key
            .and_then(|key| Reference::parse(key).ok())
            .map(Secret::new),
        headers: std::collections::BTreeMap::new(),
        simulate: None,
    })
}

/// Names of the built-in providers.
pub(super) fn built_in_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|entry| entry.name)
}

impl Policy {
    /// Names of the built-in providers.
    pub fn built_in_providers() -> impl Iterator<Item = ProviderName> {
        built_in_names().filter_map(|name| ProviderName::new(name).ok())
    }

    /// The provider of that name: the policy's own, else the built-in one.
    pub fn provider(&self, name: &ProviderName) -> Option<Provider> {
        self.providers
            .get(name)
            .cloned()
            .or_else(|| built_in(name.as_str()))
    }

    /// Where `model` is served.
    pub fn route(&self, model: &ModelName) -> Result<Route, Unroutable> {
        if let Some(entry) = self.models.get(model) {
            if self.provider(&entry.provider).is_none() {
                return Err(Unroutable::UnknownProvider {
                    model: model.clone(),
                    provider: entry.provider.clone(),
                });
            }
            let upstream_model = entry
                .upstream_model
                .clone()
                .unwrap_or_else(|| model.as_str().to_owned());
            return Ok(Route {
                provider: entry.provider.clone(),
                upstream_model,
            });
        }
        if let Some((provider, upstream_model)) = model.as_str().split_once('/')
            && let Ok(provider) = ProviderName::new(provider)
            && self.provider(&provider).is_some()
            && !upstream_model.is_empty()
        {
            return Ok(Route {
                provider,
                upstream_model: upstream_model.to_owned(),
            });
        }
        BUILT_IN
            .iter()
            .find(|entry| {
                entry
                    .families
                    .iter()
                    .any(|head| model.as_str().starts_with(head))
            })
            .and_then(|entry| ProviderName::new(entry.name).ok())
            .map(|provider| Route {
                provider,
                upstream_model: model.as_str().to_owned(),
            })
            .ok_or_else(|| Unroutable::UnknownModel {
                model: model.clone(),
            })
    }
}
