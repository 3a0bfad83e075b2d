//! Requests to a provider of the caller's own dialect: the caller's bytes, with the model's name at
//! the provider, and asking for usage.

use std::ops::Range;

use bytes::Bytes;

use crate::dialect::splice::{Edit, splice};
use crate::dialect::{ChatRequest, EmbeddingsRequest, Encoded};

/// Writes a chat request.
pub(in crate::dialect) fn chat(request: &ChatRequest, model: &str) -> Encoded {
    let body = request.body();
    let body = with_model(body, request.model_span(), model, request.ask_usage());
    encoded("/chat/completions", body)
}

/// Writes a request for the completion of a text.
pub(in crate::dialect) fn completion(request: &ChatRequest, model: &str) -> Encoded {
    let body = request.body();
    let body = with_model(body, request.model_span(), model, request.ask_usage());
    encoded("/completions", body)
}

/// The caller's body with nothing changed but the model.
pub(in crate::dialect) fn renamed(request: &ChatRequest, model: &str) -> Bytes {
    with_model(request.body(), request.model_span(), model, None)
}

/// Writes an embeddings request.
pub(in crate::dialect) fn embeddings(request: &EmbeddingsRequest, model: &str) -> Encoded {
    let body = with_model(request.body(), request.model_span(), model, None);
    encoded("/embeddings", body)
}

fn encoded(path: &'static str, body: Bytes) -> Encoded {
    Encoded {
        path,
        headers: &[],
        body,
        dropped: Vec::new(),
    }
}

/// `body` with `model` at `span` and the other edit made; the same bytes if nothing changes.
fn with_model(body: &Bytes, span: Range<usize>, model: &str, edit: Option<Edit<'static>>) -> Bytes {
    let name = serde_json::Value::from(model).to_string();
    let renamed = body.get(span.clone()) != Some(name.as_bytes());
    let rename = renamed.then_some((span, name.as_bytes()));
    match (rename, edit) {
        (None, None) => body.clone(),
        (Some(only), None) | (None, Some(only)) => splice(body, &[only]),
        (Some(rename), Some(edit)) if rename.0.start < edit.0.start => {
            splice(body, &[rename, edit])
        }
        (Some(rename), Some(edit)) => splice(body, &[edit, rename]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat_body(body: &'static str, model: &str) -> Bytes {
        let request = ChatRequest::read(Bytes::from_static(body.as_bytes())).unwrap();
        chat(&request, model).body
    }

    #[test]
    fn an_unchanged_request_is_not_even_copied() {
        let body = Bytes::from_static(br#"{ "model": "gpt-4o", "x": [ 1.0 ] }"#);
        let request = ChatRequest::read(body.clone()).unwrap();
        let encoded = chat(&request, "gpt-4o");
        assert_eq!(encoded.body.as_ptr(), body.as_ptr());
        assert_eq!(encoded.path, "/chat/completions");
    }

    #[test]
    fn only_the_model_and_the_usage_option_change() {
        for (body, sent) in [
            (
                r#"{ "model": "gpt-4o", "x":[1.0,"é\u00e9"],"seed":18446744073709551616 }"#,
                r#"{ "model": "up/str\"eam", "x":[1.0,"é\u00e9"],"seed":18446744073709551616 }"#,
            ),
            (
                r#"{"stream":true,"stream_options":{"a":1},"model":"gpt-4o"}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true,"a":1},"model":"up/str\"eam"}"#,
            ),
            (
                r#"{"model":"gpt-4o","stream_options":null,"stream":true}"#,
                r#"{"model":"up/str\"eam","stream_options":{"include_usage":true},"stream":true}"#,
            ),
            (
                r#"{"model":"gpt-4o","stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"model":"up/str\"eam","stream":true}"#,
            ),
        ] {
            assert_eq!(chat_body(body, "up/str\"eam"), sent, "{body}");
        }
    }

    #[test]
    fn a_model_written_with_escapes_is_the_same_model() {
        assert_eq!(
            chat_body(r#"{"model":"gpt\u002d4o"}"#, "gpt-4o"),
            r#"{"model":"gpt-4o"}"#
        );
    }

    #[test]
    fn embeddings_change_only_the_model() {
        let body =
            Bytes::from_static(br#"{"input":["a","b"],"model":"e","encoding_format":"base64"}"#);
        let request = EmbeddingsRequest::read(body).unwrap();
        let encoded = embeddings(&request, "text-embedding-3-small");
        assert_eq!(encoded.path, "/embeddings");
        assert_eq!(
            encoded.body,
            r#"{"input":["a","b"],"model":"text-embedding-3-small","encoding_format":"base64"}"#
        );
    }
}
