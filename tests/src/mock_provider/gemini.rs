//! Google's generateContent as its own servers speak it, and its errors. The model and whether the
//! answer is a stream stand in the path.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::behaviour::{Behaviour, UsageReport};
use super::rendering::{Accepted, Part, Refused, Rendering, count, text_bytes};
use super::reply::{Answer, Finish};

const FIELDS: [&str; 7] = [
    "cachedContent",
    "contents",
    "generationConfig",
    "safetySettings",
    "systemInstruction",
    "toolConfig",
    "tools",
];
const PARTS: [&str; 6] = [
    "functionCall",
    "functionResponse",
    "inlineData",
    "text",
    "thought",
    "thoughtSignature",
];

fn refused(code: u16, status: &str, message: &str) -> Refused {
    Refused::new(
        code,
        json!({ "error": { "code": code, "message": message, "status": status } }),
    )
}

fn invalid(message: &str) -> Refused {
    refused(400, "INVALID_ARGUMENT", message)
}

/// The model and method of a path.
pub(super) fn call_of(path: &str) -> Option<(&str, bool)> {
    let (model, method) = path.strip_prefix("/v1beta/models/")?.split_once(':')?;
    match method {
        "generateContent" => Some((model, false)),
        "streamGenerateContent" => Some((model, true)),
        _ => None,
    }
}

/// The refusal of a request without a key, or with another than the one expected.
pub(super) fn check_key(headers: &HeaderMap, expected: Option<&str>) -> Result<(), Refused> {
    let key = headers.get("x-goog-api-key");
    let key = key.and_then(|value| value.to_str().ok()).unwrap_or("");
    if key.is_empty() || expected.is_some_and(|expected| expected != key) {
        return Err(by_status(401, ""));
    }
    Ok(())
}

/// A request, if the provider would take it.
pub(super) fn accept(model: &str, stream: bool, body: &[u8]) -> Result<Accepted, Refused> {
    let fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| invalid(&format!("Invalid JSON payload received. {error}")))?;
    if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(invalid(&format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        )));
    }
    if !model.starts_with("gemini-") {
        return Err(by_status(404, model));
    }
    let contents = fields.get("contents").and_then(Value::as_array);
    let contents = contents
        .filter(|contents| !contents.is_empty())
        .ok_or_else(|| invalid("* GenerateContentRequest.contents: contents is not specified"))?;
    for content in contents {
        check_content(content)?;
    }
    check_calls(contents)?;
    let max_output = fields
        .get("generationConfig")
        .and_then(|config| config.get("maxOutputTokens")?.as_u64());
    Ok(Accepted {
        model: model.to_owned(),
        stream,
        include_usage: true,
        max_output,
        prompt_bytes: contents.iter().map(text_bytes).sum::<usize>()
            + fields.get("systemInstruction").map_or(0, text_bytes),
        choices: 1,
        tools: fields.get("tools").is_some() && !ends_with_result(contents),
    })
}

fn check_content(content: &Value) -> Result<(), Refused> {
    if !matches!(content["role"].as_str(), Some("user" | "model")) {
        return Err(invalid("Please use a valid role: user, model."));
    }
    let parts = content["parts"]
        .as_array()
        .filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| invalid("contents.parts must not be empty."))?;
    let fields = parts
        .iter()
        .filter_map(Value::as_object)
        .flat_map(Map::keys);
    match fields
        .into_iter()
        .find(|name| !PARTS.contains(&name.as_str()))
    {
        Some(name) => Err(invalid(&format!(
            "Unknown name \"{name}\" at 'contents.parts'"
        ))),
        None => Ok(()),
    }
}

/// As many results as calls, by name, in the content that follows.
fn check_calls(contents: &[Value]) -> Result<(), Refused> {
    let names = |content: Option<&Value>, kind: &str| -> Vec<String> {
        let parts = content.and_then(|content| content["parts"].as_array());
        parts
            .into_iter()
            .flatten()
            .filter_map(|part| part[kind]["name"].as_str().map(str::to_owned))
            .collect()
    };
    for (index, content) in contents.iter().enumerate() {
        let calls = names(Some(content), "functionCall");
        let results = names(contents.get(index.saturating_add(1)), "functionResponse");
        if calls != results {
            return Err(invalid(
                "Please ensure that the number of function response parts is equal to the number \
                 of function call parts of the function call turn.",
            ));
        }
    }
    Ok(())
}

/// Whether what came of a call is told just now.
fn ends_with_result(contents: &[Value]) -> bool {
    let last = contents.last().and_then(|last| last["parts"].as_array());
    last.is_some_and(|parts| parts.iter().any(|part| !part["functionResponse"].is_null()))
}

/// A plain answer.
pub(super) fn content(answer: &Answer, report: Option<UsageReport>) -> Rendering {
    let text = answer.said().map(|text| json!({ "text": text }));
    let parts: Vec<_> = text.into_iter().chain(calls(answer)).collect();
    Rendering {
        content_type: "application/json; charset=UTF-8",
        parts: vec![Part::text(
            response(
                answer,
                &parts,
                Some(finish(answer)),
                report,
                visible(answer),
            )
            .to_string(),
        )],
        error: Bytes::from(by_status(503, &answer.model).body.to_string()),
    }
}

/// A streamed answer.
pub(super) fn stream(answer: &Answer, report: Option<UsageReport>) -> Rendering {
    let event = |value: &Value| format!("data: {value}\r\n\r\n");
    let said = answer.pieces.iter().map(|piece| json!({ "text": piece }));
    // What was billed is counted up to each event.
    let mut parts: Vec<_> = (1..)
        .zip(said.chain(calls(answer)))
        .map(|(place, part)| {
            let so_far = visible(answer).min(place);
            Part::text(event(&response(answer, &[part], None, report, so_far)))
        })
        .collect();
    let last = json!({ "text": "" });
    let whole = visible(answer);
    let last = response(answer, &[last], Some(finish(answer)), report, whole);
    parts.push(Part::frame(event(&last)));
    Rendering {
        content_type: "text/event-stream",
        parts,
        error: Bytes::from(event(&by_status(503, &answer.model).body)),
    }
}

fn calls(answer: &Answer) -> impl Iterator<Item = Value> + '_ {
    answer.calls.iter().map(|call| {
        let args: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        json!({ "functionCall": { "name": call.name, "args": args } })
    })
}

fn response(
    answer: &Answer,
    parts: &[Value],
    finish: Option<&str>,
    report: Option<UsageReport>,
    output: u64,
) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    let mut response = json!({
        "candidates": [candidate],
        "modelVersion": answer.model,
        "responseId": format!("mock{:06}", answer.number),
    });
    if report != Some(UsageReport::Missing) {
        let usage = answer.usage;
        response["usageMetadata"] = json!({
            "promptTokenCount": count(usage.input, report),
            "cachedContentTokenCount": usage.cached_input,
            "candidatesTokenCount": count(output, report),
            "thoughtsTokenCount": usage.reasoning,
            "totalTokenCount": count(
                usage.input.saturating_add(output).saturating_add(usage.reasoning),
                report,
            ),
        });
    }
    response
}

/// Tokens of the output that the caller sees.
fn visible(answer: &Answer) -> u64 {
    answer.usage.output.saturating_sub(answer.usage.reasoning)
}

fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Whole | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

/// The provider's own words for a refusal.
pub(super) fn refusal(behaviour: &Behaviour, model: &str) -> Refused {
    match behaviour {
        Behaviour::Status(status) => by_status(*status, model),
        Behaviour::RateLimited { retry_after } => {
            by_status(429, model).with_retry_after(retry_after.as_ref())
        }
        Behaviour::QuotaExhausted | Behaviour::SpendLimit => by_status(429, model),
        Behaviour::ContextLength => invalid(
            "The input token count (1200000) exceeds the maximum number of tokens allowed \
             (1048576).",
        ),
        Behaviour::ContentFilter => refused(400, "FAILED_PRECONDITION", "Blocked by policy."),
        _ => by_status(500, model),
    }
}

fn by_status(status: u16, model: &str) -> Refused {
    let (name, message) = match status {
        // A wrong key is a bad request here.
        401 => return invalid("API key not valid. Please pass a valid API key."),
        400 => (
            "INVALID_ARGUMENT",
            "Request contains an invalid argument.".into(),
        ),
        403 => ("PERMISSION_DENIED", "Permission denied.".into()),
        404 => (
            "NOT_FOUND",
            format!("models/{model} is not found for API version v1beta"),
        ),
        429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted.".into()),
        503 => ("UNAVAILABLE", "The model is overloaded.".into()),
        504 => ("DEADLINE_EXCEEDED", "Deadline exceeded.".into()),
        _ => ("INTERNAL", "An internal error has occurred.".into()),
    };
    refused(status, name, &message)
}
