//! OpenAI's completions of a text, as servers that still have them speak it. Models of the newer kind
//! are refused, as by OpenAI.

use bytes::Bytes;
use serde_json::{Value, json};

use super::behaviour::{Behaviour, UsageReport};
use super::openai::{fields, finish, head, invalid, model, refusal, refused, usage};
use super::rendering::{Accepted, Part, Refused, Rendering};
use super::reply::Answer;

const OBJECT: &str = "text_completion";

/// A request, if the provider would take it.
pub(super) fn accept(body: &[u8]) -> Result<Accepted, Refused> {
    let fields = fields(body)?;
    let model = model(&fields)?;
    if model.starts_with("gpt-4") || model.starts_with("chat-") {
        return Err(refused(
            404,
            "This is a chat model and not supported in the v1/completions endpoint. Did you mean \
             to use v1/chat/completions?",
            "invalid_request_error",
            Some("model"),
            "",
        ));
    }
    let prompt = match fields.get("prompt") {
        Some(Value::String(prompt)) => prompt.as_str(),
        Some(Value::Array(list)) => list.first().and_then(Value::as_str).unwrap_or_default(),
        _ => return Err(invalid("Invalid 'prompt'.", Some("prompt"), "invalid_type")),
    };
    Ok(Accepted {
        model,
        stream: fields.get("stream").and_then(Value::as_bool) == Some(true),
        include_usage: fields
            .get("stream_options")
            .and_then(|options| options.get("include_usage"))
            == Some(&Value::Bool(true)),
        max_output: fields.get("max_tokens").and_then(Value::as_u64),
        prompt_bytes: prompt.len(),
        choices: fields.get("n").and_then(Value::as_u64).unwrap_or(1),
        tools: false,
    })
}

/// A plain answer.
pub(super) fn plain(answer: &Answer, choices: u64, report: Option<UsageReport>) -> Rendering {
    let choice = |index| choice(index, &answer.text(), Some(finish(answer)));
    let list: Vec<Value> = (0..choices).map(choice).collect();
    let mut body = head(answer, OBJECT);
    body.insert("choices".into(), list.into());
    if report != Some(UsageReport::Missing) {
        body.insert("usage".into(), usage(answer, choices, report));
    }
    let error = refusal(&Behaviour::Status(500), &answer.model).body;
    Rendering {
        content_type: "application/json",
        parts: vec![Part::text(Value::Object(body).to_string())],
        error: Bytes::from(error.to_string()),
    }
}

/// A streamed answer.
pub(super) fn stream(
    answer: &Answer,
    request: &Accepted,
    report: Option<UsageReport>,
) -> Rendering {
    let chunk = |choices: Value| {
        let mut chunk = head(answer, OBJECT);
        chunk.insert("choices".into(), choices);
        chunk
    };
    let event = |chunk: Value| format!("data: {chunk}\n\n");
    let said = |text: &str, finish| event(chunk(json!([choice(0, text, finish)])).into());
    let pieces = answer.pieces.iter();
    let mut parts: Vec<Part> = pieces.map(|piece| Part::text(said(piece, None))).collect();
    parts.push(Part::frame(said("", Some(finish(answer)))));
    if request.include_usage && report != Some(UsageReport::Missing) {
        let mut last = chunk(json!([]));
        last.insert("usage".into(), usage(answer, request.choices, report));
        parts.push(Part::frame(event(last.into())));
    }
    parts.push(Part::frame("data: [DONE]\n\n"));
    let error = refusal(&Behaviour::Status(500), &answer.model).body;
    Rendering {
        content_type: "text/event-stream; charset=utf-8",
        parts,
        error: Bytes::from(event(error)),
    }
}

fn choice(index: u64, text: &str, finish: Option<&str>) -> Value {
    json!({ "text": text, "index": index, "logprobs": null, "finish_reason": finish })
}
