//! What callers ask.

use agix_core::units::Tokens;
use agix_proxy::dialect::{self, Caller, ChatRequest, Dialect, EmbeddingsRequest, Target};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

const MODELS: [&str; 2] = ["claude-sonnet-4-5", "gpt-4o"];

/// Reads a request for a conversation and writes it for every dialect.
pub(crate) fn conversation(caller: Caller, bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let Ok(request) = ChatRequest::read_as(caller, body.clone()) else {
        return;
    };
    assert_eq!(*request.body(), body);
    drop(dialect::counted(&request));
    for dialect in Dialect::ALL {
        for model in MODELS {
            let Some(sent) = written(&request, dialect, model) else {
                continue;
            };
            let target = target(dialect, model);
            let bounds = request.bounds(request.input_bound(), &target);
            assert!(bounds.output > Tokens::ZERO || request.output_bound() == Some(0));
            if caller.native() == Some(dialect) {
                only_the_model_differs(&body, &sent, model);
            } else {
                is_read_as_the_same(caller, dialect, &sent, model);
            }
        }
    }
}

/// Reads a request for embeddings.
pub(crate) fn embeddings(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let Ok(request) = EmbeddingsRequest::read(body.clone()) else {
        return;
    };
    for dialect in Dialect::ALL {
        let target = target(dialect, "text-embedding-3-small");
        if let Ok(encoded) = dialect::encode_embeddings(&request, &target) {
            only_the_model_differs(&body, &encoded.body, "text-embedding-3-small");
        }
    }
}

fn target(dialect: Dialect, model: &str) -> Target<'_> {
    Target {
        dialect,
        model,
        max_output_tokens: None,
    }
}

fn written(request: &ChatRequest, dialect: Dialect, model: &str) -> Option<Bytes> {
    let encoded = dialect::encode(request, &target(dialect, model)).ok()?;
    Some(encoded.body)
}

/// Same dialect, same bytes: `model` has the target's name, a stream asks for usage, and that is all.
fn only_the_model_differs(asked: &[u8], sent: &[u8], model: &str) {
    assert!(is_json(sent));
    // Some JSON is no text: half of a pair of surrogates.
    let (Ok(mut asked), Ok(mut sent)) = (read(asked), read(sent)) else {
        return;
    };
    assert_eq!(sent["model"], model);
    for request in [&mut asked, &mut sent] {
        if let Some(request) = request.as_object_mut() {
            request.remove("model");
            request.remove("stream_options");
        }
    }
    assert_eq!(asked, sent);
}

/// Whether it is JSON by its grammar.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn read(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(bytes)
}

/// What was translated is a request of its dialect. Going there and back again settles what was left
/// open, and after that changes nothing more.
fn is_read_as_the_same(caller: Caller, dialect: Dialect, sent: &Bytes, model: &str) {
    assert!(is_json(sent));
    let speaks = |it: &Caller| it.native() == Some(dialect);
    let Some(there) = Caller::ALL.into_iter().find(speaks) else {
        return;
    };
    let told = ChatRequest::read_as(there, sent.clone());
    assert!(told.is_ok(), "{told:?}: {}", sent.escape_ascii());
    // Nothing is translated to what no provider speaks.
    let Some(native) = caller.native() else {
        return;
    };
    // What a target cannot have is said, and not translated.
    let round = |sent: Bytes| {
        let told = ChatRequest::read_as(there, sent).ok()?;
        let back = written(&told, native, model)?;
        let back = ChatRequest::read_as(caller, back).ok()?;
        written(&back, dialect, model)
    };
    let once = round(sent.clone());
    if let Some((once, twice)) = once.clone().zip(once.and_then(round)) {
        assert_eq!(without_defaults(&twice), without_defaults(&once));
    }
}

/// The name of a user is hashed each time, and what is as ever may be said or left out.
fn without_defaults(request: &[u8]) -> Option<Value> {
    let mut request = read(request).ok()?;
    let fields = request.as_object_mut()?;
    for name in ["metadata", "user", "safety_identifier"] {
        fields.remove(name);
    }
    fields.retain(|name, value| !matches!(name.as_str(), "temperature" | "top_p") || *value != 1);
    Some(request)
}
