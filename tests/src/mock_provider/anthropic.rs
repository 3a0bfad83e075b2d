//! Anthropic's Messages protocol as its own servers speak it, and its errors.
//!
//! Requests are checked as strictly as there: unknown fields, empty text blocks, a missing
//! `max_tokens`, a temperature above one and the like are refused.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::behaviour::{Behaviour, UsageReport};
use super::rendering::{Accepted, Part, Refused, Rendering, count, text_bytes};
use super::reply::{Answer, Finish, ToolCall};

const FIELDS: [&str; 19] = [
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
];
const SAMPLING: [&str; 2] = ["top_k", "top_p"];
/// Models in the list.
pub(super) const MODELS: [&str; 3] = [
    "claude-opus-4-6",
    "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5-20251001",
];

fn refused(status: u16, kind: &str, message: &str) -> Refused {
    Refused::new(
        status,
        json!({
            "type": "error",
            "error": { "type": kind, "message": message },
            "request_id": "req_mock",
        }),
    )
}

fn invalid(message: &str) -> Refused {
    refused(400, "invalid_request_error", message)
}

/// The refusal of a request without a key or a version, or with another key than the one expected.
pub(super) fn check_key(headers: &HeaderMap, expected: Option<&str>) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = text("x-api-key").or(bearer).unwrap_or_default();
    if key.is_empty() {
        let message = "x-api-key header is required";
        return Err(refused(401, "authentication_error", message));
    }
    if expected.is_some_and(|expected| expected != key) {
        return Err(by_status(401, ""));
    }
    if text("anthropic-version").is_none() {
        return Err(invalid("anthropic-version: header is required"));
    }
    Ok(())
}

/// A request, if the provider would take it.
pub(super) fn accept(body: &[u8]) -> Result<Accepted, Refused> {
    let fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| invalid(&format!("The request body is not valid JSON: {error}")))?;
    let known = |name: &str| FIELDS.contains(&name) || SAMPLING.contains(&name);
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        return Err(invalid(&format!("{name}: Extra inputs are not permitted")));
    }
    let model = fields
        .get("model")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("model: Field required"))?;
    if !model.starts_with("claude-") {
        return Err(by_status(404, model));
    }
    let max_output = fields
        .get("max_tokens")
        .ok_or_else(|| invalid("max_tokens: Field required"))?
        .as_u64()
        .filter(|tokens| *tokens >= 1)
        .ok_or_else(|| invalid("max_tokens: Input should be greater than or equal to 1"))?;
    let most = if model.contains("opus-4-6") {
        128_000
    } else {
        64_000
    };
    if max_output > most {
        return Err(invalid(&format!(
            "max_tokens: {max_output} > {most}, which is the maximum allowed number of output \
             tokens for {model}"
        )));
    }
    check_sampling(&fields, model)?;
    check_stops(&fields)?;
    let messages = fields
        .get("messages")
        .and_then(Value::as_array)
        .ok_or_else(|| invalid("messages: Field required"))?;
    check_messages(messages, model)?;
    if let Some(system) = fields.get("system") {
        check_content("system", system)?;
    }
    Ok(Accepted {
        model: model.to_owned(),
        stream: fields.get("stream").and_then(Value::as_bool) == Some(true),
        include_usage: true,
        max_output: Some(max_output),
        prompt_bytes: messages.iter().map(text_bytes).sum::<usize>()
            + fields.get("system").map_or(0, text_bytes),
        choices: 1,
        tools: check_tools(&fields, messages)?,
    })
}

/// Whether a tool may be called: some are offered, and nothing is told of a call just now. Each call is answered in the next message, before anything else there.
fn check_tools(fields: &Map<String, Value>, messages: &[Value]) -> Result<bool, Refused> {
    let tools = fields.get("tools").and_then(Value::as_array);
    for tool in tools.into_iter().flatten() {
        let is_object = tool.pointer("/input_schema/type") == Some(&json!("object"));
        if tool.get("type").is_none() && !is_object {
            return Err(invalid("tools.0.custom.input_schema.type: Field required"));
        }
    }
    let ids = |message: Option<&Value>, kind: &str, name: &str| -> Vec<String> {
        let blocks = message.and_then(|message| message.get("content")?.as_array());
        blocks
            .into_iter()
            .flatten()
            .take_while(|block| kind == "tool_use" || block["type"] == "tool_result")
            .filter(|block| block["type"] == kind)
            .filter_map(|block| block[name].as_str().map(str::to_owned))
            .collect()
    };
    let mut used = false;
    for (index, message) in messages.iter().enumerate() {
        let calls = ids(Some(message), "tool_use", "id");
        let results = ids(
            messages.get(index.saturating_add(1)),
            "tool_result",
            "tool_use_id",
        );
        used |= !calls.is_empty();
        if calls != results {
            return Err(invalid(
                "messages: `tool_use` ids were found without `tool_result` blocks immediately \
                 after. Each `tool_use` block must have a corresponding `tool_result` block in the \
                 next message.",
            ));
        }
    }
    let offered = tools.is_some_and(|tools| !tools.is_empty());
    if used && !offered {
        return Err(invalid(
            "Requests which include `tool_use` or `tool_result` blocks must define tools",
        ));
    }
    let last = messages
        .last()
        .and_then(|message| message.get("content")?.as_array());
    let told = last.is_some_and(|blocks| blocks.iter().any(|it| it["type"] == "tool_result"));
    Ok(offered && !told)
}

/// The answer to the question how many tokens a request has.
pub(super) fn count_tokens(headers: &HeaderMap, key: Option<&str>, body: &[u8]) -> Refused {
    if let Err(refused) = check_key(headers, key) {
        return refused;
    }
    let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let bytes = ["system", "messages", "tools"]
        .into_iter()
        .filter_map(|name| fields.get(name))
        .map(text_bytes)
        .sum::<usize>();
    Refused::new(200, json!({ "input_tokens": bytes.div_ceil(4) }))
}

fn check_sampling(fields: &Map<String, Value>, model: &str) -> Result<(), Refused> {
    if let Some(temperature) = fields.get("temperature") {
        let legal = temperature
            .as_f64()
            .is_some_and(|value| (0.0..=1.0).contains(&value));
        if !legal {
            return Err(invalid("temperature: range: 0..1"));
        }
        if fields.contains_key("top_p") && model.contains("-4-") {
            return Err(invalid(
                "`temperature` and `top_p` cannot both be specified for this model. Please use \
                 only one.",
            ));
        }
    }
    Ok(())
}

fn check_stops(fields: &Map<String, Value>) -> Result<(), Refused> {
    let Some(stops) = fields.get("stop_sequences") else {
        return Ok(());
    };
    let legal = stops.as_array().is_some_and(|stops| {
        stops
            .iter()
            .all(|stop| stop.as_str().is_some_and(|text| !text.trim().is_empty()))
    });
    if legal {
        return Ok(());
    }
    Err(invalid(
        "stop_sequences: each stop sequence must contain non-whitespace",
    ))
}

fn check_messages(messages: &[Value], model: &str) -> Result<(), Refused> {
    let role = |message: &Value| {
        message
            .get("role")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let Some(last) = messages.last() else {
        return Err(invalid("messages: at least one message is required"));
    };
    if messages.first().and_then(role).as_deref() != Some("user") {
        return Err(invalid(
            "messages: first message must use the \"user\" role",
        ));
    }
    for (index, message) in messages.iter().enumerate() {
        if !matches!(role(message).as_deref(), Some("user" | "assistant")) {
            return Err(invalid(&format!(
                "messages.{index}.role: Input should be 'user' or 'assistant'"
            )));
        }
        let fields = message.as_object().map(Map::keys).into_iter().flatten();
        if let Some(extra) = fields
            .into_iter()
            .find(|name| *name != "role" && *name != "content")
        {
            return Err(invalid(&format!(
                "messages.{index}.{extra}: Extra inputs are not permitted"
            )));
        }
        let content = message
            .get("content")
            .ok_or_else(|| invalid(&format!("messages.{index}.content: Field required")))?;
        check_content(&format!("messages.{index}.content"), content)?;
    }
    if role(last).as_deref() == Some("assistant") && model.contains("-4-6") {
        return Err(invalid(
            "This model does not support assistant message prefill. The conversation must end \
             with a user message.",
        ));
    }
    Ok(())
}

fn check_content(place: &str, content: &Value) -> Result<(), Refused> {
    let blocks = match content {
        Value::String(text) if !text.is_empty() => return Ok(()),
        Value::String(_) => {
            return Err(invalid(&format!(
                "{place}: all messages must have non-empty content except for the optional final \
                 assistant message"
            )));
        }
        Value::Array(blocks) if !blocks.is_empty() => blocks,
        _ => return Err(invalid(&format!("{place}: Input should be a valid list"))),
    };
    for (index, block) in blocks.iter().enumerate() {
        let kind = block.get("type").and_then(Value::as_str).unwrap_or("");
        if ![
            "text",
            "image",
            "document",
            "tool_use",
            "tool_result",
            "thinking",
        ]
        .contains(&kind)
        {
            return Err(invalid(&format!(
                "{place}.{index}: Input tag '{kind}' found using 'type' does not match any of the \
                 expected tags"
            )));
        }
        let text = block.get("text").and_then(Value::as_str).unwrap_or("");
        if kind == "text" && text.is_empty() {
            return Err(invalid("messages: text content blocks must be non-empty"));
        }
    }
    Ok(())
}

/// A plain answer.
pub(super) fn messages(answer: &Answer, report: Option<UsageReport>) -> Rendering {
    let mut body = json!({
        "id": id(answer),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content(answer),
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
    });
    if report != Some(UsageReport::Missing)
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("usage".into(), usage(answer, answer.usage.output, report));
    }
    Rendering {
        content_type: "application/json",
        parts: vec![Part::text(body.to_string())],
        error: Bytes::from(by_status(529, &answer.model).body.to_string()),
    }
}

/// A streamed answer.
pub(super) fn messages_stream(answer: &Answer, report: Option<UsageReport>) -> Rendering {
    let mut message = json!({
        "id": id(answer),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    });
    let mut end = json!({
        "type": "message_delta",
        "delta": { "stop_reason": stop_reason(answer), "stop_sequence": null },
    });
    if report != Some(UsageReport::Missing) {
        message["usage"] = usage(answer, 1, report);
        // What it thought is known at the end.
        message["usage"]["output_tokens_details"] = Value::Null;
        end["usage"] = usage(answer, answer.usage.output, report);
    }
    let mut parts = vec![Part::frame(event(
        &json!({ "type": "message_start", "message": message }),
    ))];
    let says = answer.said().is_some();
    if says {
        parts.push(Part::frame(event(&json!({
            "type": "content_block_start",
            "index": 0,
            "content_block": { "type": "text", "text": "" },
        }))));
    }
    parts.push(Part::frame(event(&json!({ "type": "ping" }))));
    parts.extend(answer.pieces.iter().map(|piece| {
        Part::text(event(&json!({
            "type": "content_block_delta",
            "index": 0,
            "delta": { "type": "text_delta", "text": piece },
        })))
    }));
    if says {
        parts.push(Part::frame(event(
            &json!({ "type": "content_block_stop", "index": 0 }),
        )));
    }
    parts.extend((u64::from(says)..).zip(&answer.calls).flat_map(call_parts));
    parts.extend([
        Part::frame(event(&end)),
        Part::frame(event(&json!({ "type": "message_stop" }))),
    ]);
    Rendering {
        content_type: "text/event-stream; charset=utf-8",
        parts,
        error: Bytes::from(event(&json!({
            "type": "error",
            "error": { "type": "overloaded_error", "message": "Overloaded" },
        }))),
    }
}

/// A call of a tool, its arguments in pieces.
fn call_parts((index, call): (u64, &ToolCall)) -> Vec<Part> {
    let (head, tail) = call.arguments.split_at(call.arguments.len() / 2);
    let begin = Part::text(event(&json!({
        "type": "content_block_start",
        "index": index,
        "content_block": {
            "type": "tool_use", "id": format!("toolu_{index}"), "name": call.name, "input": {},
        },
    })));
    let pieces = ["", head, tail].map(|piece| {
        Part::text(event(&json!({
            "type": "content_block_delta",
            "index": index,
            "delta": { "type": "input_json_delta", "partial_json": piece },
        })))
    });
    let end = event(&json!({ "type": "content_block_stop", "index": index }));
    std::iter::once(begin)
        .chain(pieces)
        .chain([Part::frame(end)])
        .collect()
}

fn content(answer: &Answer) -> Value {
    let text = answer
        .said()
        .map(|text| json!({ "type": "text", "text": text }));
    let calls = (u64::from(text.is_some())..)
        .zip(&answer.calls)
        .map(|(index, call)| {
            json!({
                "type": "tool_use",
                "id": format!("toolu_{index}"),
                "name": call.name,
                "input": serde_json::from_str(&call.arguments).unwrap_or(Value::Null),
            })
        });
    text.into_iter().chain(calls).collect()
}

fn event(data: &Value) -> String {
    let name = data.get("type").and_then(Value::as_str).unwrap_or("");
    format!("event: {name}\ndata: {data}\n\n")
}

fn id(answer: &Answer) -> String {
    format!("msg_mock{:06}", answer.number)
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Calls => "tool_use",
        Finish::Whole => "end_turn",
        Finish::Length => "max_tokens",
    }
}

/// Anthropic counts cached input apart from the rest.
fn usage(answer: &Answer, output: u64, report: Option<UsageReport>) -> Value {
    let usage = answer.usage;
    let fresh = usage
        .input
        .saturating_sub(usage.cached_input)
        .saturating_sub(usage.cache_write);
    json!({
        "input_tokens": count(fresh, report),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached_input,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": count(output, report),
        "output_tokens_details": { "thinking_tokens": usage.reasoning },
        "service_tier": "standard",
    })
}

/// The list of models.
pub(super) fn models() -> Value {
    let data: Vec<Value> = MODELS
        .iter()
        .map(|id| {
            json!({
                "type": "model",
                "id": id,
                "display_name": id,
                "created_at": "2026-02-05T00:00:00Z",
            })
        })
        .collect();
    json!({
        "data": data,
        "has_more": false,
        "first_id": MODELS.first(),
        "last_id": MODELS.last(),
    })
}

/// The provider's own words for a refusal.
pub(super) fn refusal(behaviour: &Behaviour, model: &str) -> Refused {
    match behaviour {
        Behaviour::Status(status) => by_status(*status, model),
        Behaviour::RateLimited { retry_after } => {
            by_status(429, model).with_retry_after(retry_after.as_ref())
        }
        Behaviour::QuotaExhausted => by_status(402, model),
        Behaviour::SpendLimit => invalid(
            "You have reached your specified API usage limits. You will regain access on \
             2026-12-01 at 00:00 UTC.",
        ),
        Behaviour::ContextLength => invalid("prompt is too long: 210342 tokens > 200000 maximum"),
        Behaviour::ContentFilter => invalid("Output blocked by content filtering policy"),
        _ => by_status(500, model),
    }
}

fn by_status(status: u16, model: &str) -> Refused {
    let (kind, message) = match status {
        400 => ("invalid_request_error", "messages: Field required".into()),
        401 => ("authentication_error", "invalid x-api-key".into()),
        402 => (
            "billing_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
             Billing to upgrade or purchase credits."
                .into(),
        ),
        403 => (
            "permission_error",
            "Your API key does not have permission to use the specified resource".into(),
        ),
        404 => ("not_found_error", format!("model: {model}")),
        413 => (
            "request_too_large",
            "Request exceeds the maximum size".into(),
        ),
        429 => (
            "rate_limit_error",
            "This request would exceed the rate limit for your organization of 50 requests per \
             minute."
                .into(),
        ),
        504 => ("timeout_error", "Request timed out".into()),
        503 | 529 => ("overloaded_error", "Overloaded".into()),
        _ => ("api_error", "Internal server error".into()),
    };
    refused(status, kind, &message)
}
