//! OpenAI's protocol as its own servers speak it: chat completions, embeddings, the list of
//! models, and the errors.
//!
//! Requests are checked as strictly as there, so that a wrong translation is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::behaviour::{Behaviour, UsageReport};
use super::rendering::{Accepted, Part, Refused, Rendering, count, text_bytes};
use super::reply::{Answer, Finish, ToolCall};

/// Models in the list.
pub(super) const MODELS: [&str; 6] = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-35-turbo",
    "gpt-5",
    "deepseek-chat",
    "text-embedding-3-small",
];
const ROLES: [&str; 6] = [
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
];
/// Numbers in one embedding.
const EMBEDDING_SIZE: usize = 8;

pub(super) fn refused(
    status: u16,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: &str,
) -> Refused {
    let code = (!code.is_empty()).then_some(code);
    Refused::new(
        status,
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } }),
    )
}

pub(super) fn invalid(message: &str, param: Option<&str>, code: &str) -> Refused {
    refused(400, message, "invalid_request_error", param, code)
}

/// The refusal of a request without a key, or with another than the one expected.
pub(super) fn check_key(headers: &HeaderMap, expected: Option<&str>) -> Result<(), Refused> {
    let key = headers
        .get(http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map_or("", str::trim);
    if !key.is_empty() {
        let right = expected.is_none_or(|expected| expected == key);
        return if right {
            Ok(())
        } else {
            Err(by_status(401, ""))
        };
    }
    Err(refused(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization \
         header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        "invalid_request_error",
        None,
        "",
    ))
}

pub(super) fn fields(body: &[u8]) -> Result<Map<String, Value>, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        invalid(
            &format!("We could not parse the JSON body of your request: {error}."),
            None,
            "",
        )
    })
}

pub(super) fn model(fields: &Map<String, Value>) -> Result<String, Refused> {
    let model = fields
        .get("model")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("you must provide a model parameter", None, ""))?;
    if model.starts_with("claude-") {
        return Err(model_missing(model));
    }
    Ok(model.to_owned())
}

fn model_missing(model: &str) -> Refused {
    refused(
        404,
        &format!("The model `{model}` does not exist or you do not have access to it."),
        "invalid_request_error",
        None,
        "model_not_found",
    )
}

/// A chat request, if the provider would take it.
pub(super) fn accept_chat(body: &[u8]) -> Result<Accepted, Refused> {
    let fields = fields(body)?;
    let model = model(&fields)?;
    let messages = fields
        .get("messages")
        .and_then(Value::as_array)
        .filter(|messages| !messages.is_empty())
        .ok_or_else(|| {
            invalid(
                "Missing required parameter: 'messages'.",
                Some("messages"),
                "missing_required_parameter",
            )
        })?;
    for (index, message) in messages.iter().enumerate() {
        check_message(index, message)?;
    }
    let stream = fields.get("stream").and_then(Value::as_bool) == Some(true);
    let options = fields
        .get("stream_options")
        .filter(|value| !value.is_null());
    if options.is_some() && !stream {
        return Err(invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            Some("stream_options"),
            "",
        ));
    }
    if fields.contains_key("max_tokens") && (model.starts_with("gpt-5") || model.starts_with('o')) {
        return Err(unsupported_parameter());
    }
    let max_output = ["max_completion_tokens", "max_tokens"]
        .into_iter()
        .find_map(|name| fields.get(name).and_then(Value::as_u64));
    Ok(Accepted {
        model,
        stream,
        include_usage: options.and_then(|options| options.get("include_usage"))
            == Some(&Value::Bool(true)),
        max_output,
        prompt_bytes: messages.iter().map(text_bytes).sum(),
        choices: fields.get("n").and_then(Value::as_u64).unwrap_or(1),
        tools: check_tools(&fields, messages)?,
    })
}

/// Whether a tool may be called: some are offered, and the last message is not what came of a call.
/// Every call must be followed by a message with its result, and every result must follow its call.
fn check_tools(fields: &Map<String, Value>, messages: &[Value]) -> Result<bool, Refused> {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if message.get("role").and_then(Value::as_str) == Some("tool") {
            let id = message.get("tool_call_id").and_then(Value::as_str);
            let place = open.iter().position(|call| Some(*call) == id);
            let Some(place) = place else {
                return Err(invalid(
                    "messages with role 'tool' must be a response to a preceding message with \
                     'tool_calls'.",
                    None,
                    "",
                ));
            };
            open.remove(place);
            continue;
        }
        if !open.is_empty() {
            break;
        }
        for call in message
            .get("tool_calls")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
            if arguments.is_none() || call.pointer("/function/name").is_none() {
                return Err(invalid("Invalid 'tool_calls'.", None, ""));
            }
            open.extend(call.get("id").and_then(Value::as_str));
        }
    }
    if !open.is_empty() {
        return Err(invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding \
             to each 'tool_call_id'.",
            None,
            "",
        ));
    }
    let tools = fields.get("tools").and_then(Value::as_array);
    for tool in tools.into_iter().flatten() {
        if tool.get("type").and_then(Value::as_str) != Some("function")
            || tool.pointer("/function/name").is_none()
        {
            return Err(invalid("Invalid value for 'tools'.", Some("tools"), ""));
        }
    }
    let last = messages
        .last()
        .and_then(|message| message.get("role")?.as_str());
    Ok(last != Some("tool") && tools.is_some_and(|tools| !tools.is_empty()))
}

fn check_message(index: usize, message: &Value) -> Result<(), Refused> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or("");
    if !ROLES.contains(&role) {
        return Err(invalid(
            &format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', \
                 'function', 'tool', and 'developer'."
            ),
            Some(&format!("messages[{index}].role")),
            "invalid_value",
        ));
    }
    let content = message.get("content");
    let legal = match content {
        Some(Value::String(_)) => true,
        Some(Value::Array(parts)) => parts.iter().all(|part| part.get("type").is_some()),
        None | Some(Value::Null) => role == "assistant",
        Some(_) => false,
    };
    if legal {
        return Ok(());
    }
    Err(invalid(
        "Invalid type for 'messages.content': expected one of a string or array of objects.",
        Some(&format!("messages[{index}].content")),
        "invalid_type",
    ))
}

/// A plain answer.
pub(super) fn chat(answer: &Answer, choices: u64, report: Option<UsageReport>) -> Rendering {
    let list: Vec<Value> = (0..choices)
        .map(|index| {
            let mut message = json!({
                "role": "assistant",
                "content": answer.said(),
                "refusal": null,
                "annotations": [],
            });
            if !answer.calls.is_empty() {
                message["tool_calls"] = (0..).zip(&answer.calls).map(tool_call).collect();
            }
            json!({
                "index": index,
                "message": message,
                "logprobs": null,
                "finish_reason": finish(answer),
            })
        })
        .collect();
    let mut body = head(answer, "chat.completion");
    body.insert("choices".into(), list.into());
    if report != Some(UsageReport::Missing) {
        body.insert("usage".into(), usage(answer, choices, report));
    }
    Rendering {
        content_type: "application/json",
        parts: vec![Part::text(Value::Object(body).to_string())],
        error: Bytes::from(
            refusal(&Behaviour::Status(500), &answer.model)
                .body
                .to_string(),
        ),
    }
}

/// A streamed answer.
pub(super) fn chat_stream(
    answer: &Answer,
    request: &Accepted,
    report: Option<UsageReport>,
) -> Rendering {
    let chunk = |index: u64, delta: Value, finish: Option<&str>| {
        let mut chunk = head(answer, "chat.completion.chunk");
        chunk.insert(
            "choices".into(),
            json!([{ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish }]),
        );
        if request.include_usage {
            chunk.insert("usage".into(), Value::Null);
        }
        chunk.insert("obfuscation".into(), json!("w6J1"));
        format!("data: {}\n\n", Value::Object(chunk))
    };
    let all = || 0..request.choices;
    let mut parts: Vec<Part> = Vec::with_capacity(answer.pieces.len().saturating_add(4));
    parts.extend(all().map(|index| {
        let delta = json!({ "role": "assistant", "content": "", "refusal": null });
        Part::frame(chunk(index, delta, None))
    }));
    for piece in &answer.pieces {
        parts
            .extend(all().map(|index| Part::text(chunk(index, json!({ "content": piece }), None))));
    }
    for call in (0..).zip(&answer.calls) {
        let mut begin = tool_call(call);
        begin["index"] = json!(call.0);
        begin["function"]["arguments"] = json!("");
        let begin = json!({ "tool_calls": [begin] });
        parts.extend(all().map(|index| Part::text(chunk(index, begin.clone(), None))));
        // Arguments come in pieces, too.
        let (head, tail) = call.1.arguments.split_at(call.1.arguments.len() / 2);
        for piece in [head, tail] {
            let piece = json!({ "index": call.0, "function": { "arguments": piece } });
            let piece = json!({ "tool_calls": [piece] });
            parts.extend(all().map(|index| Part::text(chunk(index, piece.clone(), None))));
        }
    }
    parts.extend(all().map(|index| Part::frame(chunk(index, json!({}), Some(finish(answer))))));
    if request.include_usage && report != Some(UsageReport::Missing) {
        let mut last = head(answer, "chat.completion.chunk");
        last.insert("choices".into(), json!([]));
        last.insert("usage".into(), usage(answer, request.choices, report));
        last.insert("obfuscation".into(), json!("9"));
        parts.push(Part::frame(format!("data: {}\n\n", Value::Object(last))));
    }
    parts.push(Part::frame("data: [DONE]\n\n"));
    let error = refusal(&Behaviour::Status(500), &answer.model).body;
    Rendering {
        content_type: "text/event-stream; charset=utf-8",
        parts,
        error: Bytes::from(format!("data: {error}\n\n")),
    }
}

pub(super) fn head(answer: &Answer, object: &str) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert(
        "id".into(),
        format!("chatcmpl-mock{:06}", answer.number).into(),
    );
    head.insert("object".into(), object.into());
    head.insert("created".into(), answer.created_unix_s.into());
    head.insert("model".into(), answer.model.clone().into());
    head.insert("service_tier".into(), "default".into());
    head.insert("system_fingerprint".into(), "fp_mock".into());
    head
}

fn tool_call((index, call): (u64, &ToolCall)) -> Value {
    json!({
        "id": format!("call_{index}"),
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

pub(super) fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Calls => "tool_calls",
        Finish::Whole => "stop",
        Finish::Length => "length",
    }
}

pub(super) fn usage(answer: &Answer, choices: u64, report: Option<UsageReport>) -> Value {
    let usage = answer.usage;
    let output = usage.output.saturating_mul(choices);
    if answer.model.starts_with("deepseek-") {
        return json!({
            "prompt_tokens": count(usage.input, report),
            "completion_tokens": count(output, report),
            "total_tokens": count(usage.input.saturating_add(output), report),
            "prompt_cache_hit_tokens": usage.cached_input,
            "prompt_cache_miss_tokens": usage.input.saturating_sub(usage.cached_input),
            "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
        });
    }
    json!({
        "prompt_tokens": count(usage.input, report),
        "completion_tokens": count(output, report),
        "total_tokens": count(usage.input.saturating_add(output), report),
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// An embeddings request, if the provider would take it, and its inputs.
pub(super) fn accept_embeddings(body: &[u8]) -> Result<(Accepted, usize, bool), Refused> {
    let fields = fields(body)?;
    let model = model(&fields)?;
    let inputs = match fields.get("input") {
        Some(Value::String(text)) if !text.is_empty() => 1,
        Some(Value::Array(list)) if !list.is_empty() => {
            if list.iter().all(Value::is_u64) {
                1
            } else {
                list.len()
            }
        }
        _ => {
            return Err(invalid(
                "'$.input' is invalid. Please check the API reference: \
                 https://platform.openai.com/docs/api-reference.",
                None,
                "",
            ));
        }
    };
    let base64 = fields.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let accepted = Accepted {
        model,
        stream: false,
        include_usage: false,
        max_output: None,
        prompt_bytes: fields.get("input").map_or(0, text_bytes),
        choices: 1,
        tools: false,
    };
    Ok((accepted, inputs, base64))
}

/// The answer to an embeddings request.
pub(super) fn embeddings(
    answer: &Answer,
    inputs: usize,
    base64: bool,
    report: Option<UsageReport>,
) -> Rendering {
    let data: Vec<Value> = (0..inputs)
        .map(|index| {
            let numbers = [0.125_f32; EMBEDDING_SIZE];
            let embedding = if base64 {
                let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
                STANDARD.encode(bytes).into()
            } else {
                json!(numbers)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let mut body = json!({ "object": "list", "data": data, "model": answer.model });
    if report != Some(UsageReport::Missing) {
        let input = count(answer.usage.input, report);
        body["usage"] = json!({ "prompt_tokens": input, "total_tokens": input });
    }
    Rendering {
        content_type: "application/json",
        parts: vec![Part::frame(body.to_string())],
        error: Bytes::from(
            refusal(&Behaviour::Status(500), &answer.model)
                .body
                .to_string(),
        ),
    }
}

/// The list of models.
pub(super) fn models() -> Value {
    let data: Vec<Value> = MODELS
        .iter()
        .map(|id| json!({ "id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system" }))
        .collect();
    json!({ "object": "list", "data": data })
}

fn unsupported_parameter() -> Refused {
    invalid(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
         'max_completion_tokens' instead.",
        Some("max_tokens"),
        "unsupported_parameter",
    )
}

/// The provider's own words for a refusal.
pub(super) fn refusal(behaviour: &Behaviour, model: &str) -> Refused {
    match behaviour {
        Behaviour::Status(status) => by_status(*status, model),
        Behaviour::RateLimited { retry_after } => {
            by_status(429, model).with_retry_after(retry_after.as_ref())
        }
        Behaviour::QuotaExhausted | Behaviour::SpendLimit => refused(
            429,
            "You exceeded your current quota, please check your plan and billing details. For \
             more information on this error, read the docs: \
             https://platform.openai.com/docs/guides/error-codes/api-errors.",
            "insufficient_quota",
            None,
            "insufficient_quota",
        ),
        Behaviour::ContextLength => invalid(
            "This model's maximum context length is 128000 tokens. However, your messages \
             resulted in 140212 tokens. Please reduce the length of the messages.",
            Some("messages"),
            "context_length_exceeded",
        ),
        Behaviour::ContentFilter => invalid(
            "Your request was rejected as a result of our safety system. Your request may contain \
             content that is not allowed by our safety system.",
            None,
            "content_policy_violation",
        ),
        _ => by_status(500, model),
    }
}

fn by_status(status: u16, model: &str) -> Refused {
    let server = |message: &str| refused(status, message, "server_error", None, "");
    match status {
        400 => unsupported_parameter(),
        401 => refused(
            401,
            "Incorrect API key provided: sk-test-*******1234. You can find your API key at \
             https://platform.openai.com/account/api-keys.",
            "invalid_request_error",
            None,
            "invalid_api_key",
        ),
        402 => refused(
            402,
            "Insufficient Balance",
            "unknown_error",
            None,
            "invalid_request_error",
        ),
        403 => refused(
            403,
            "Country, region, or territory not supported",
            "request_forbidden",
            None,
            "unsupported_country_region_territory",
        ),
        404 => model_missing(model),
        422 => refused(422, "Unprocessable", "invalid_request_error", None, ""),
        429 => refused(
            429,
            &format!(
                "Rate limit reached for {model} in organization org-mock on requests per min \
                 (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s."
            ),
            "requests",
            None,
            "rate_limit_exceeded",
        ),
        503 => server("The server is overloaded or not ready yet."),
        _ => server(
            "The server had an error while processing your request. Sorry about that! You can \
             retry your request, or contact us through our help center if the error persists.",
        ),
    }
}
