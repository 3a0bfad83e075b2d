//! What the mock provider answers when it answers, and what it bills.

use serde::{Deserialize, Serialize};

use super::rendering::Accepted;

/// The answers of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// The text, which may be empty; absent: a sentence naming the model.
    pub text: Option<String>,
    /// Tools it calls after the text, where the request offers any and does not end with what came
    /// of a call.
    pub calls: Vec<ToolCall>,
    /// Tokens billed; absent: counted from the request and the text.
    pub usage: Option<Usage>,
    /// Pause before the head of an answer.
    pub head_ms: u64,
    /// Pause before each piece of a stream.
    pub piece_ms: u64,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments, JSON.
    pub arguments: String,
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input, all of it.
    pub input: u64,
    /// Part of the input read from the cache.
    pub cached_input: u64,
    /// Part of the input written to the cache for five minutes.
    pub cache_write: u64,
    /// Output, all of it.
    pub output: u64,
    /// Part of the output spent on reasoning.
    pub reasoning: u64,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Whole,
    Length,
    Calls,
}

/// An answer worked out for one request.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) model: String,
    /// The text, in the pieces a stream sends.
    pub(super) pieces: Vec<String>,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finish: Finish,
    pub(super) usage: Usage,
    /// Number of this answer, for ids.
    pub(super) number: u64,
    pub(super) created_unix_s: u64,
}

impl Answer {
    /// The answer to a request.
    pub(super) fn new(request: &Accepted, reply: &Reply, number: u64) -> Self {
        let Accepted {
            model,
            max_output,
            prompt_bytes,
            tools,
            ..
        } = request;
        let text = reply
            .text
            .clone()
            .unwrap_or_else(|| format!("This is {model} speaking, in a few words."));
        let mut pieces: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        let mut finish = Finish::Whole;
        if let Some(most) = max_output.and_then(|most| usize::try_from(most).ok())
            && pieces.len() > most
        {
            pieces.truncate(most);
            finish = Finish::Length;
        }
        let calls = if *tools {
            reply.calls.clone()
        } else {
            Vec::new()
        };
        if !calls.is_empty() && finish == Finish::Whole {
            finish = Finish::Calls;
        }
        let usage = reply.usage.unwrap_or_else(|| Usage {
            input: u64::try_from(prompt_bytes.div_ceil(4)).unwrap_or(u64::MAX),
            output: u64::try_from(pieces.len()).unwrap_or(u64::MAX),
            ..Usage::default()
        });
        Self {
            model: model.to_owned(),
            pieces,
            calls,
            finish,
            usage,
            number,
            created_unix_s: crate::clock::unix_seconds(),
        }
    }

    /// The text; none if it only calls tools.
    pub(super) fn said(&self) -> Option<String> {
        let text = self.text();
        (!text.is_empty() || self.calls.is_empty()).then_some(text)
    }

    pub(super) fn text(&self) -> String {
        self.pieces.concat()
    }
}
