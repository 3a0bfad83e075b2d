//! Requests as agents send them.

use serde_json::{Value, json};

/// A plain chat request for `model`.
pub fn chat(model: &str) -> Value {
    json!({
        "model": model,
        "messages": [
            { "role": "system", "content": "Answer in one sentence." },
            { "role": "user", "content": "Who are you?" },
        ],
    })
}

/// The same, streamed.
pub fn stream(model: &str) -> Value {
    let mut request = chat(model);
    request["stream"] = json!(true);
    request
}

/// The same, streamed, with the usage event.
pub fn stream_with_usage(model: &str) -> Value {
    let mut request = stream(model);
    request["stream_options"] = json!({ "include_usage": true });
    request
}

/// A text to be completed, streamed, with the usage event.
pub fn completion_stream(model: &str) -> Value {
    json!({
        "model": model,
        "prompt": "Once upon a time",
        "max_tokens": 100,
        "stream": true,
        "stream_options": { "include_usage": true },
    })
}

/// The same question, for a streamed response.
pub fn response_stream(model: &str) -> Value {
    json!({
        "model": model,
        "instructions": "Answer in one sentence.",
        "input": "Who are you?",
        "stream": true,
    })
}
