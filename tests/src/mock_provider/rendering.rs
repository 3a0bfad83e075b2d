//! An answer as bytes of a protocol, before anything goes wrong with it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::behaviour::UsageReport;

/// An answer in the parts it is sent in.
#[derive(Debug)]
pub(super) struct Rendering {
    pub(super) content_type: &'static str,
    pub(super) parts: Vec<Part>,
    /// The protocol's error, as a body or as an event.
    pub(super) error: Bytes,
}

/// One event of a stream, or a whole plain body.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// Whether it carries text, hence output the provider bills.
    pub(super) text: bool,
}

impl Part {
    pub(super) fn frame(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            text: false,
        }
    }

    pub(super) fn text(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            text: true,
        }
    }
}

/// A token count of an answer: the true one, or the absurd one asked for.
pub(super) fn count(tokens: u64, report: Option<UsageReport>) -> Value {
    match report {
        None | Some(UsageReport::Missing) => json!(tokens),
        Some(UsageReport::Negative) => json!(-1_000_000_000_i64),
        Some(UsageReport::Huge) => json!(1e308),
        Some(UsageReport::BeyondSigned) => json!(1_u64 << 63),
    }
}

/// A request the provider takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) model: String,
    pub(super) stream: bool,
    /// Usage is wanted in the stream.
    pub(super) include_usage: bool,
    pub(super) max_output: Option<u64>,
    /// Bytes of all texts of the request.
    pub(super) prompt_bytes: usize,
    /// Answers wanted.
    pub(super) choices: u64,
    /// Whether a tool may be called.
    pub(super) tools: bool,
}

/// A request the provider refuses, or an answer in its error format.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) body: Value,
    /// Further headers of the answer.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refused {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    pub(super) fn with_retry_after(mut self, value: Option<&String>) -> Self {
        self.headers
            .extend(value.map(|value| ("retry-after", value.clone())));
        self
    }
}

/// Bytes of all strings under `value`.
pub(super) fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "type" && *name != "role")
            .map(|(_, value)| text_bytes(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
