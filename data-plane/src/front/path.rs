//! What a request's path says: the endpoint, whose protocol it is, and perhaps who is calling.
//!
//! `/a/{agent}` names the agent, for callers that cannot send a header. `/openai` and `/anthropic`
//! say which client library is calling, and change nothing but the shape of what both protocols
//! have. `/v1` may be there or not, since some libraries add it and others do not.

use http::{HeaderMap, HeaderName};

use crate::dialect::Caller;

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// A path, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// The agent it names.
    pub(crate) agent: Option<&'a str>,
    /// The endpoint, `/chat/completions`.
    pub(crate) endpoint: &'a str,
    library: Option<Caller>,
}

impl<'a> Path<'a> {
    /// Takes a path apart.
    pub(crate) fn read(path: &'a str) -> Self {
        let (agent, rest) =
            named_agent(path).map_or((None, path), |(agent, rest)| (Some(agent), rest));
        let (library, rest) = if let Some(rest) = below(rest, "/openai") {
            (Some(Caller::Chat), rest)
        } else if let Some(rest) = below(rest, "/anthropic") {
            (Some(Caller::Messages), rest)
        } else {
            (None, rest)
        };
        Self {
            agent,
            endpoint: below(rest, "/v1").unwrap_or(rest),
            library,
        }
    }

    /// The endpoint with what a caller chooses left out; nothing if there is no such endpoint.
    pub(crate) fn route(&self) -> Option<&'static str> {
        match self.endpoint {
            "/chat/completions" => Some("/v1/chat/completions"),
            "/responses" => Some("/v1/responses"),
            "/completions" => Some("/v1/completions"),
            "/messages" => Some("/v1/messages"),
            "/messages/count_tokens" => Some("/v1/messages/count_tokens"),
            "/embeddings" => Some("/v1/embeddings"),
            "/models" => Some("/v1/models"),
            one if one.starts_with("/models/") => Some("/v1/models/{model}"),
            one if one.starts_with("/webhooks/") => Some("/v1/webhooks/{name}"),
            _ => None,
        }
    }

    /// Whose protocol the answer is to be in.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        match self.endpoint {
            "/messages" | "/messages/count_tokens" => Caller::Messages,
            "/chat/completions" | "/embeddings" => Caller::Chat,
            "/responses" => Caller::Responses,
            "/completions" => Caller::Completions,
            _ => self.library.unwrap_or_else(|| {
                if headers.contains_key(ANTHROPIC_VERSION) {
                    Caller::Messages
                } else {
                    Caller::Chat
                }
            }),
        }
    }
}

fn named_agent(path: &str) -> Option<(&str, &str)> {
    let named = path.strip_prefix("/a/")?;
    let end = named.find('/')?;
    named.split_at_checked(end)
}

/// What follows `head`, which must be whole segments.
fn below<'a>(path: &'a str, head: &str) -> Option<&'a str> {
    path.strip_prefix(head).filter(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_base_url_may_end_where_the_library_likes() {
        for (path, agent, endpoint, library) in [
            ("/v1/chat/completions", None, "/chat/completions", None),
            ("/chat/completions", None, "/chat/completions", None),
            (
                "/openai/v1/chat/completions",
                None,
                "/chat/completions",
                Some(Caller::Chat),
            ),
            (
                "/anthropic/v1/messages",
                None,
                "/messages",
                Some(Caller::Messages),
            ),
            (
                "/a/reader/anthropic/messages",
                Some("reader"),
                "/messages",
                Some(Caller::Messages),
            ),
            ("/a/reader/v1/models", Some("reader"), "/models", None),
            ("/v1/v1/models", None, "/v1/models", None),
            ("/v10/models", None, "/v10/models", None),
            ("/a/reader", None, "/a/reader", None),
            ("/", None, "/", None),
        ] {
            let read = Path::read(path);
            let expected = Path {
                agent,
                endpoint,
                library,
            };
            assert_eq!(read, expected, "{path}");
        }
    }

    #[test]
    fn what_both_protocols_have_is_answered_in_the_callers() {
        let mut headers = HeaderMap::new();
        let models = Path::read("/v1/models");
        assert_eq!(models.caller(&headers), Caller::Chat);
        let prefixed = Path::read("/anthropic/v1/models");
        assert_eq!(prefixed.caller(&headers), Caller::Messages);
        headers.insert(
            ANTHROPIC_VERSION,
            http::HeaderValue::from_static("2023-06-01"),
        );
        assert_eq!(models.caller(&headers), Caller::Messages);
        let chat = Path::read("/v1/chat/completions");
        assert_eq!(chat.caller(&headers), Caller::Chat);
        let responses = Path::read("/a/reader/openai/v1/responses");
        assert_eq!(responses.caller(&headers), Caller::Responses);
    }

    proptest! {
        /// What a path says is a part of it, and leads to an endpoint or to none.
        #[test]
        fn any_path_is_taken_apart(
            path in "(/a)?(/[a-z]{0,3})?(/openai|/anthropic)?(/v1)?/(messages|models/)?.{0,9}|.*",
        ) {
            let read = Path::read(&path);
            prop_assert!(path.ends_with(read.endpoint));
            prop_assert!(read.agent.is_none_or(|agent| !agent.contains('/')));
            let inner = Path::read(read.endpoint);
            prop_assert!(inner.endpoint.len() <= read.endpoint.len());
            prop_assert!(read.route().is_none_or(|route| route.starts_with("/v1/")));
        }
    }
}
