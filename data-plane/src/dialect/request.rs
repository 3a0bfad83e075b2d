//! What a caller asks, read no further than routing needs.
//!
//! The members that decide where a request goes and what it may cost (`model`, `stream`, `n`, the
//! bounds on output) must stand there once, and under no other spelling: parsers differ in which of
//! two they believe and whether case matters, and a proxy that believes another one than the
//! provider can be cheated of its limits.

mod members;

use std::borrow::Cow;
use std::ops::Range;

use agix_core::id::ModelName;
use agix_core::limits::{REQUEST_CHOICES, REQUEST_DEPTH};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(in crate::dialect) use self::members::present;
use self::members::{Guarded, Members};
use crate::dialect::splice::{Edit, is_given, literal, span_in};
use crate::dialect::{Caller, completions, responses};

/// A request for the next turn of a conversation, in its caller's dialect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    caller: Caller,
    body: Bytes,
    model: ModelName,
    model_span: Range<usize>,
    stream: bool,
    /// What makes the body ask for usage; nothing if it does already or is no stream.
    ask_usage: Option<(Range<usize>, &'static [u8])>,
    include_usage: bool,
    choices: u32,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

/// An embeddings request in OpenAI's dialect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EmbeddingsRequest {
    body: Bytes,
    model: ModelName,
    model_span: Range<usize>,
}

/// Why a body is no request. The text is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// What is wrong.
    pub message: String,
    /// The field at fault.
    pub param: Option<&'static str>,
}

/// The part of `stream_options` that agix changes.
#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

impl ChatRequest {
    /// Reads the body of a request for a chat completion.
    pub fn read(body: Bytes) -> Result<Self, InvalidRequest> {
        Self::read_as(Caller::Chat, body)
    }

    /// Reads the body of a request in this caller's dialect.
    pub fn read_as(caller: Caller, body: Bytes) -> Result<Self, InvalidRequest> {
        let members = Members::read(text(&body)?)?;
        let (model, model_span) = model(&body, &members)?;
        let stream = flag(&members, Guarded::Stream)?;
        let bound = |member| whole_number(&members, member);
        let (include_usage, ask_usage) = match caller {
            Caller::Chat | Caller::Completions => usage_asked(&body, &members, stream)?,
            Caller::Messages | Caller::Responses => (true, None),
        };
        let (choices, max_tokens, max_completion_tokens) = match caller {
            Caller::Chat => (
                choices(&members)?,
                bound(Guarded::MaxTokens)?,
                bound(Guarded::MaxCompletionTokens)?,
            ),
            Caller::Messages => {
                refuse_thread(&members)?;
                (1, bound(Guarded::MaxTokens)?, None)
            }
            Caller::Completions => {
                completions::check(&body)?;
                (choices(&members)?, bound(Guarded::MaxTokens)?, None)
            }
            Caller::Responses => {
                responses::check(&body)?;
                (1, None, bound(Guarded::MaxOutputTokens)?)
            }
        };
        Ok(Self {
            caller,
            body,
            model,
            model_span,
            stream,
            ask_usage,
            include_usage,
            choices,
            max_tokens,
            max_completion_tokens,
        })
    }

    /// Whose dialect it is in.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// The model asked for.
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// Whether the answer is to be a stream.
    pub fn stream(&self) -> bool {
        self.stream
    }

    /// Whether the caller wants usage at the end of a stream.
    pub fn include_usage(&self) -> bool {
        self.include_usage
    }

    /// Answers asked for at once; at least one.
    pub fn choices(&self) -> u32 {
        self.choices
    }

    /// The caller's bound on output tokens: the larger one where it gives both spellings.
    pub fn output_bound(&self) -> Option<u64> {
        self.max_tokens.max(self.max_completion_tokens)
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The bound on output tokens under its newer name, else under its older one.
    pub(super) fn max_output_tokens(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// Where the model stands in the body.
    pub(super) fn model_span(&self) -> Range<usize> {
        self.model_span.clone()
    }

    /// The edit that makes the body ask for usage, if it is a stream and does not already.
    pub(super) fn ask_usage(&self) -> Option<Edit<'static>> {
        self.ask_usage.clone()
    }
}

impl EmbeddingsRequest {
    /// Reads the body of a request.
    pub fn read(body: Bytes) -> Result<Self, InvalidRequest> {
        let members = Members::read(text(&body)?)?;
        let (model, model_span) = model(&body, &members)?;
        Ok(Self {
            body,
            model,
            model_span,
        })
    }

    /// The model asked for.
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Where the model stands in the body.
    pub(super) fn model_span(&self) -> Range<usize> {
        self.model_span.clone()
    }
}

impl InvalidRequest {
    pub(super) fn body(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: None,
        }
    }
}

/// The body as text, if it is text and not nested without end.
fn text(body: &[u8]) -> Result<&str, InvalidRequest> {
    let text = std::str::from_utf8(body)
        .map_err(|invalid| InvalidRequest::body(format!("the body is not UTF-8: {invalid}")))?;
    if is_too_deep(body) {
        return Err(InvalidRequest::body(format!(
            "the body is nested more than {REQUEST_DEPTH} levels deep"
        )));
    }
    Ok(text)
}

/// Whether lists and objects are nested deeper than [`REQUEST_DEPTH`]. A body with fewer opening
/// brackets than that, as most are, is not looked through.
fn is_too_deep(body: &[u8]) -> bool {
    let enough = memchr::memchr2_iter(b'{', b'[', body).nth(REQUEST_DEPTH);
    if enough.is_none() {
        return false;
    }
    let mut depth = 0_usize;
    let mut rest = body;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > REQUEST_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    false
}

/// What follows a JSON string whose opening quotation mark has been read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(place) = memchr::memchr2(b'"', b'\\', rest) {
        let escape = rest.get(place) == Some(&b'\\');
        rest = rest
            .get(place + 1 + usize::from(escape)..)
            .unwrap_or_default();
        if !escape {
            return rest;
        }
    }
    &[]
}

fn model(body: &[u8], members: &Members<'_>) -> Result<(ModelName, Range<usize>), InvalidRequest> {
    let wrong = |message: String| Guarded::Model.wrong(message);
    let raw = members
        .get(Guarded::Model)
        .ok_or_else(|| wrong("you must name a `model`".to_owned()))?;
    let name = match literal(raw) {
        Some(name) if !name.contains('\\') => Cow::Borrowed(name),
        _ => serde_json::from_str(raw.get())
            .map(Cow::Owned)
            .map_err(|_not_text| wrong("`model` must be a text".to_owned()))?,
    };
    let model = ModelName::new(&name).map_err(|invalid| wrong(invalid.to_string()))?;
    Ok((model, span_in(body, raw)))
}

fn flag(members: &Members<'_>, member: Guarded) -> Result<bool, InvalidRequest> {
    match members.get(member).map(RawValue::get) {
        None | Some("null" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(member.wrong(format!("`{}` must be true or false", member.name()))),
    }
}

fn whole_number(members: &Members<'_>, member: Guarded) -> Result<Option<u64>, InvalidRequest> {
    match members.get(member).map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_syntax| {
            let name = member.name();
            member.wrong(format!("`{name}` must be a whole number, not negative"))
        }),
    }
}

/// A conversation that one provider holds can neither go to another nor be bounded in what it costs.
fn refuse_thread(members: &Members<'_>) -> Result<(), InvalidRequest> {
    if members.get(Guarded::Thread).is_some_and(is_given) {
        return Err(Guarded::Thread.wrong(
            "`thread` is not supported, since no conversations are stored: send the whole \
             conversation as `messages`"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Answers asked for at once.
fn choices(members: &Members<'_>) -> Result<u32, InvalidRequest> {
    let Some(count) = whole_number(members, Guarded::N)? else {
        return Ok(1);
    };
    u32::try_from(count)
        .ok()
        .filter(|count| (1..=REQUEST_CHOICES).contains(count))
        .ok_or_else(|| Guarded::N.wrong(format!("`n` must be between 1 and {REQUEST_CHOICES}")))
}

/// Whether the caller wants usage at the end of a stream, and what makes the body ask for it.
fn usage_asked(
    body: &[u8],
    members: &Members<'_>,
    stream: bool,
) -> Result<(bool, Option<Edit<'static>>), InvalidRequest> {
    match members.get(Guarded::StreamOptions) {
        _ if !stream => Ok((false, None)),
        None => Ok((false, Some(insert_stream_options(body)))),
        Some(options) => read_stream_options(body, options),
    }
}

fn insert_stream_options(body: &[u8]) -> Edit<'static> {
    let start = memchr::memchr(b'{', body).map_or(0, |brace| brace + 1);
    (start..start, br#""stream_options":{"include_usage":true},"#)
}

fn read_stream_options(
    body: &[u8],
    raw: &RawValue,
) -> Result<(bool, Option<Edit<'static>>), InvalidRequest> {
    let text = raw.get();
    let span = span_in(body, raw);
    if text == "null" || !text.starts_with('{') {
        return match text {
            "null" => Ok((false, Some((span, br#"{"include_usage":true}"#)))),
            _ => Err(Guarded::StreamOptions.wrong("`stream_options` must be an object".to_owned())),
        };
    }
    let options: StreamOptions<'_> = serde_json::from_str(text).map_err(|_duplicate| {
        Guarded::StreamOptions.wrong("`stream_options.include_usage` stands there twice".to_owned())
    })?;
    let is_empty = text.trim_start_matches('{').trim_start() == "}";
    match options.include_usage.map(|value| (value, value.get())) {
        Some((_, "true")) => Ok((true, None)),
        Some((value, "false" | "null")) => Ok((false, Some((span_in(body, value), b"true")))),
        Some(_) => Err(Guarded::StreamOptions
            .wrong("`stream_options.include_usage` must be true or false".to_owned())),
        None if is_empty => Ok((false, Some((span, br#"{"include_usage":true}"#)))),
        None => {
            let inside = span.start + 1;
            Ok((false, Some((inside..inside, br#""include_usage":true,"#))))
        }
    }
}

#[cfg(test)]
mod tests;
