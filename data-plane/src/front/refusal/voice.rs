//! How a caller is told of an error: in its own protocol's shape, in an answer or in a stream.
//!
//! Anthropic's protocol names a few kinds of error, by the status. What agix says beyond that stands
//! beside, as in OpenAI's shape: `code`, `param` and `agix`.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::quota;
use crate::attempt::AttemptReport;
use crate::dialect::Caller;
use crate::front::reply::Ids;

/// What Anthropic calls a request whose conversation it cannot hold. Its libraries send such a request
/// anew with the whole conversation, if they find this word.
pub(super) const NO_THREADS: &str = "thread_unsupported_request";

/// The shape of errors for one request.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    caller: Caller,
    ids: Ids,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct MessageEnvelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: MessageError<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct MessageError<'a> {
    #[serde(flatten)]
    error: ErrorBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<ErrorCode>,
}

/// Where Anthropic's libraries look for a code.
#[derive(Serialize)]
struct ErrorCode {
    error_code: &'static str,
}

#[derive(Serialize)]
struct ResponseError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    code: Option<&'a str>,
    message: &'a str,
    param: Option<&'a str>,
    error: ErrorBody<'a>,
}

/// What an error says.
#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    pub(super) message: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) param: Option<&'a str>,
    pub(super) code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agix: Option<Details<'a>>,
}

#[derive(Serialize)]
pub(super) struct Details<'a> {
    #[serde(flatten)]
    pub(super) quota: Option<&'a quota::Details>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) attempts: &'a [AttemptReport],
}

impl Voice {
    /// For a request of this caller and these names.
    pub(crate) const fn new(caller: Caller, ids: Ids) -> Self {
        Self { caller, ids }
    }

    /// The body of an answer.
    pub(super) fn body(&self, status: StatusCode, error: ErrorBody<'_>) -> Bytes {
        match self.caller {
            Caller::Chat | Caller::Responses | Caller::Completions => encode(&Envelope { error }),
            Caller::Messages => encode(&MessageEnvelope {
                kind: "error",
                error: MessageError {
                    details: (error.code == Some(NO_THREADS)).then_some(ErrorCode {
                        error_code: NO_THREADS,
                    }),
                    error: ErrorBody {
                        kind: kind_of(status),
                        ..error
                    },
                },
                request_id: self.ids.request(),
            }),
        }
    }

    /// A sign of life before a stream has begun. In OpenAI's dialects it is a comment, which is no
    /// event.
    pub(crate) fn alive(&self) -> Bytes {
        Bytes::from_static(match self.caller {
            Caller::Chat | Caller::Responses | Caller::Completions => b": keep-alive\n\n",
            Caller::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
        })
    }

    /// The event that ends a stream.
    pub(crate) fn event(&self, message: &str, code: &str) -> Bytes {
        let error = ErrorBody {
            message,
            kind: "upstream_error",
            param: None,
            code: Some(code),
            agix: None,
        };
        if self.caller == Caller::Responses {
            return response_event(error);
        }
        let body = self.body(StatusCode::BAD_GATEWAY, error);
        let name: &[u8] = match self.caller {
            Caller::Chat | Caller::Responses | Caller::Completions => b"",
            Caller::Messages => b"event: error\n",
        };
        [name, b"data: ", &body, b"\n\n"].concat().into()
    }
}

/// The error event of a stream of responses that has not begun. What the protocol has at the top
/// stands below `error` as well, where its client libraries look.
fn response_event(error: ErrorBody<'_>) -> Bytes {
    let event = ResponseError {
        kind: "error",
        sequence_number: 0,
        code: error.code,
        message: error.message,
        param: error.param,
        error,
    };
    [b"event: error\ndata: ", &encode(&event)[..], b"\n\n"]
        .concat()
        .into()
}

/// What Anthropic calls an error of this status.
fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn encode(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn an_error_in_a_stream_has_the_shape_that_the_callers_library_raises() {
        let chat = Voice::new(Caller::Chat, Ids::draw(None)).event("It broke.", "truncated");
        let data = chat.strip_prefix(b"data: ").unwrap();
        assert_eq!(json(data)["error"]["message"], "It broke.");
        let response = Voice::new(Caller::Responses, Ids::draw(None)).event("It broke.", "stalled");
        let data = json(response.strip_prefix(b"event: error\ndata: ").unwrap());
        assert_eq!(
            (&data["type"], &data["sequence_number"]),
            (&json!("error"), &json!(0))
        );
        assert_eq!(data["message"], "It broke.");
        assert_eq!(data["error"]["code"], "stalled");
        let ids = Ids::draw(None);
        let messages = Voice::new(Caller::Messages, ids.clone()).event("It broke.", "truncated");
        let data = messages.strip_prefix(b"event: error\ndata: ").unwrap();
        assert_eq!(
            json(data),
            json!({
                "type": "error",
                "error": {
                    "message": "It broke.",
                    "type": "api_error",
                    "param": null,
                    "code": "truncated",
                },
                "request_id": ids.request(),
            })
        );
    }
}
