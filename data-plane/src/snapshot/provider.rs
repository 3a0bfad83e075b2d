//! A provider with its address and keys looked up.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agix_core::id::ProviderName;
use agix_core::policy::{Api, Provider, Reference, SimulatedOutcome, Simulation};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

/// An endpoint of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Chat completions or messages, whatever the provider calls it.
    Chat,
    /// Completions of a text.
    Completions,
    /// Embeddings.
    Embeddings,
    /// How many tokens a request has.
    CountTokens,
}

/// A provider, ready to be called.
#[derive(Debug)]
pub(crate) struct ProviderRuntime {
    pub(crate) name: ProviderName,
    pub(crate) api: Api,
    /// Absent for a simulated provider, and the others also where there are none.
    chat: Option<Url>,
    completions: Option<Url>,
    embeddings: Option<Url>,
    count_tokens: Option<Url>,
    /// Of a provider that has an address for each model.
    by_model: Option<Url>,
    /// Content type, key and the policy's own headers.
    pub(crate) headers: HeaderMap,
    /// Whether the provider wants a key and none is known.
    pub(crate) lacks_key: bool,
    pub(crate) script: Arc<Script>,
}

/// What is in the way of using a provider.
#[derive(Debug)]
pub(crate) struct Unresolved {
    pub(crate) field: String,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// A simulated model's script and how far it has got. All workers take turns from one script.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) simulation: Simulation,
    turns: AtomicU64,
}

impl Script {
    pub(crate) fn new(simulation: Simulation) -> Self {
        Self {
            simulation,
            turns: AtomicU64::new(0),
        }
    }

    /// What the next call does.
    pub(crate) fn next(&self) -> SimulatedOutcome {
        let outcomes = &self.simulation.outcomes;
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let count = u64::try_from(outcomes.len()).unwrap_or(u64::MAX).max(1);
        let place = usize::try_from(turn % count).unwrap_or(0);
        outcomes
            .get(place)
            .copied()
            .unwrap_or(SimulatedOutcome::Answer)
    }
}

impl ProviderRuntime {
    pub(super) fn resolve(name: &ProviderName, provider: &Provider) -> Result<Self, Unresolved> {
        let base = provider
            .base_url
            .as_ref()
            .map(|url| look_up("base_url", url))
            .transpose()?;
        let key = provider
            .api_key
            .as_ref()
            .map(|key| look_up("api_key", key.expose()))
            .transpose()?
            .filter(|key| !key.is_empty());
        let base = base
            .as_deref()
            .map(|text| base_url(provider.api, text))
            .transpose()?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &key {
            let (header, value) = match provider.api {
                Api::Anthropic => (HeaderName::from_static("x-api-key"), key.clone()),
                Api::Gemini => (HeaderName::from_static("x-goog-api-key"), key.clone()),
                Api::Azure => (HeaderName::from_static("api-key"), key.clone()),
                Api::OpenAi | Api::Simulated => (AUTHORIZATION, format!("Bearer {key}")),
            };
            headers.insert(header, secret_value("api_key", &value)?);
        }
        for (header, value) in &provider.headers {
            let field = format!("headers.{header}");
            let value = secret_value(&field, &look_up(&field, value.expose())?)?;
            let header = HeaderName::from_bytes(header.as_bytes()).map_err(|error| Unresolved {
                field,
                message: format!("`{header}` cannot be a header's name: {error}"),
                help: "use letters, digits and `-`".to_owned(),
            })?;
            headers.insert(header, value);
        }
        let paths = match provider.api {
            Api::OpenAi => (
                Some("/chat/completions"),
                Some("/completions"),
                Some("/embeddings"),
            ),
            Api::Anthropic => (Some("/v1/messages"), None, None),
            // An address with a version is one for each deployment.
            Api::Azure if base.as_ref().is_none_or(|base| base.query().is_none()) => (
                Some("/openai/v1/chat/completions"),
                Some("/openai/v1/completions"),
                Some("/openai/v1/embeddings"),
            ),
            Api::Gemini | Api::Azure | Api::Simulated => (None, None, None),
        };
        let at = |path: Option<&str>| Some(join(base.as_ref()?, path?));
        Ok(Self {
            name: name.clone(),
            api: provider.api,
            chat: at(paths.0),
            completions: at(paths.1),
            embeddings: at(paths.2),
            count_tokens: at(
                (provider.api == Api::Anthropic).then_some("/v1/messages/count_tokens")
            ),
            by_model: base.filter(|base| provider.api == Api::Gemini || base.query().is_some()),
            headers,
            lacks_key: provider.api_key.is_some() && key.is_none(),
            script: Arc::new(Script::new(provider.simulate.clone().unwrap_or_default())),
        })
    }

    /// The host of its address, and the port.
    pub(crate) fn server(&self) -> Option<(&str, Option<u16>)> {
        let url = self.chat.as_ref().or(self.by_model.as_ref())?;
        Some((url.host_str()?, url.port_or_known_default()))
    }

    /// Where the endpoint of a model is, if the provider has it. For some a stream is elsewhere.
    pub(crate) fn url(
        &self,
        endpoint: Endpoint,
        model: &str,
        stream: bool,
    ) -> Option<Cow<'_, Url>> {
        if let Some(base) = &self.by_model {
            return self
                .url_of_model(base, endpoint, model, stream)
                .map(Cow::Owned);
        }
        let url = match endpoint {
            Endpoint::Chat => &self.chat,
            Endpoint::Completions => &self.completions,
            Endpoint::Embeddings => &self.embeddings,
            Endpoint::CountTokens => &self.count_tokens,
        };
        url.as_ref().map(Cow::Borrowed)
    }

    fn url_of_model(
        &self,
        base: &Url,
        endpoint: Endpoint,
        model: &str,
        stream: bool,
    ) -> Option<Url> {
        let mut url = base.clone();
        let mut path = url.path_segments_mut().ok()?;
        path.pop_if_empty();
        match (self.api, endpoint) {
            (Api::Gemini, Endpoint::Chat) => {
                let method = if stream {
                    "streamGenerateContent"
                } else {
                    "generateContent"
                };
                path.push("models").push(&format!("{model}:{method}"));
            }
            (Api::Azure, Endpoint::Chat) => {
                path.extend(["openai", "deployments", model, "chat", "completions"]);
            }
            (Api::Azure, Endpoint::Completions) => {
                path.extend(["openai", "deployments", model, "completions"]);
            }
            (Api::Azure, Endpoint::Embeddings) => {
                path.extend(["openai", "deployments", model, "embeddings"]);
            }
            _ => return None,
        }
        drop(path);
        if self.api == Api::Gemini && stream {
            url.set_query(Some("alt=sse"));
        }
        Some(url)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::CountTokens => "count_tokens",
        })
    }
}

pub(super) fn look_up(field: &str, reference: &Reference) -> Result<String, Unresolved> {
    reference
        .resolve(|name| std::env::var(name).ok(), read_file)
        .map_err(|missing| Unresolved {
            field: field.to_owned(),
            message: format!("{missing} in the environment of this proxy"),
            help: "provide it where the proxy runs, or give a default: `${NAME:-default}` \
               (`${NAME:-}` for none)"
                .to_owned(),
        })
}

fn read_file(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn secret_value(field: &str, text: &str) -> Result<HeaderValue, Unresolved> {
    let mut value = HeaderValue::from_str(text).map_err(|_secret| Unresolved {
        field: field.to_owned(),
        message: "the value contains characters that no HTTP header may carry".to_owned(),
        help: "look for a line break or a blank in the variable or file".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The address up to the endpoints' paths, without a slash at the end.
fn base_url(api: Api, text: &str) -> Result<Url, Unresolved> {
    let refused = |why: String| Unresolved {
        field: "base_url".to_owned(),
        message: format!("`{text}` is not a usable address: {why}"),
        help: "write it like `https://api.example.com/v1`".to_owned(),
    };
    let trimmed = text.trim_end_matches('/');
    let trimmed = match api {
        Api::Anthropic => trimmed.strip_suffix("/v1").unwrap_or(trimmed),
        Api::Azure => {
            let trimmed = trimmed.strip_suffix("/v1").unwrap_or(trimmed);
            trimmed.strip_suffix("/openai").unwrap_or(trimmed)
        }
        Api::OpenAi | Api::Gemini | Api::Simulated => trimmed,
    };
    let url = Url::parse(trimmed).map_err(|error| refused(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(format!(
            "`{}` is neither http nor https",
            url.scheme()
        )));
    }
    let versioned = url.query().is_some_and(|query| {
        api == Api::Azure && query.starts_with("api-version=") && !query.contains('&')
    });
    if (url.query().is_some() && !versioned) || url.fragment().is_some() {
        return Err(refused("it must not have a query or fragment".to_owned()));
    }
    Ok(url)
}

fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let joined = format!("{}{path}", base.path().trim_end_matches('/'));
    url.set_path(&joined);
    url
}

#[cfg(test)]
mod tests;
