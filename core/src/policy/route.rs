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

/// The built-in provider of the family that the model name `name` belongs to.
pub(super) fn by_name(name: &str) -> Option<ProviderName> {
    let fits = |entry: &&BuiltIn| entry.families.iter().any(|head| name.starts_with(head));
    let found = BUILT_IN.iter().find(fits)?;
    ProviderName::new(found.name).ok()
}

/// What the names of all families begin with.
pub(super) fn family_heads() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().flat_map(|entry| entry.families).copied()
}

/// The name under which a model of a family is asked for: OpenAI knows Azure's `gpt-35-turbo` as
/// `gpt-3.5-turbo`.
fn upstream_name(name: &str) -> String {
    match name.strip_prefix("gpt-35-") {
        Some(rest) => format!("gpt-3.5-{rest}"),
        None => name.to_owned(),
    }
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

    /// Whether there is a provider of that name.
    pub(super) fn has_provider(&self, name: &str) -> bool {
        self.providers.contains_key(name) || built_in_names().any(|known| known == name)
    }

    /// Where `model` is served.
    pub fn route(&self, model: &ModelName) -> Result<Route, Unroutable> {
        if let Some(entry) = self.models.get(model) {
            if !self.has_provider(entry.provider.as_str()) {
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
            && self.has_provider(provider.as_str())
            && !upstream_model.is_empty()
        {
            return Ok(Route {
                provider,
                upstream_model: upstream_model.to_owned(),
            });
        }
        let provider = by_name(model.as_str()).ok_or_else(|| Unroutable::UnknownModel {
            model: model.clone(),
        })?;
        Ok(Route {
            provider,
            upstream_model: upstream_name(model.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Model;

    fn name(model: &str) -> ModelName {
        ModelName::new(model).unwrap()
    }

    fn route(policy: &Policy, model: &str) -> Result<(String, String), Unroutable> {
        let route = policy.route(&name(model))?;
        Ok((route.provider.to_string(), route.upstream_model))
    }

    fn model(provider: &str, upstream_model: Option<&str>) -> Model {
        Model {
            provider: ProviderName::new(provider).unwrap(),
            upstream_model: upstream_model.map(ToOwned::to_owned),
            price: None,
            context_window: None,
            max_output_tokens: None,
            simulate: None,
        }
    }

    #[test]
    fn a_name_without_an_entry_goes_to_its_family() {
        let policy = Policy::default();
        for (model, provider, upstream) in [
            ("gpt-4o", "openai", "gpt-4o"),
            ("gpt-35-turbo", "openai", "gpt-3.5-turbo"),
            ("o3-mini", "openai", "o3-mini"),
            ("claude-opus-4-6", "anthropic", "claude-opus-4-6"),
            ("deepseek-chat", "deepseek", "deepseek-chat"),
            ("gemini-2.5-pro", "gemini", "gemini-2.5-pro"),
            ("ollama/llama3:8b", "ollama", "llama3:8b"),
            ("openai/gpt-35-turbo", "openai", "gpt-35-turbo"),
        ] {
            let expected = Ok((provider.to_owned(), upstream.to_owned()));
            assert_eq!(route(&policy, model), expected, "{model}");
        }
        assert!(matches!(
            route(&policy, "llama3"),
            Err(Unroutable::UnknownModel { .. })
        ));
        assert!(matches!(
            route(&policy, "nowhere/llama3"),
            Err(Unroutable::UnknownModel { .. })
        ));
    }

    #[test]
    fn an_entry_goes_before_the_family() {
        let mut policy = Policy::default();
        let mut add = |model, entry| policy.models.insert(name(model), entry);
        add("gpt-35-turbo", model("ollama", None));
        add("fast", model("anthropic", Some("claude-haiku-4-5")));
        add("lost", model("nowhere", None));
        assert_eq!(
            route(&policy, "gpt-35-turbo"),
            Ok(("ollama".to_owned(), "gpt-35-turbo".to_owned()))
        );
        assert_eq!(
            route(&policy, "fast"),
            Ok(("anthropic".to_owned(), "claude-haiku-4-5".to_owned()))
        );
        assert!(matches!(
            route(&policy, "lost"),
            Err(Unroutable::UnknownProvider { .. })
        ));
    }
}
