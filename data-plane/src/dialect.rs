//! Between the caller's protocol and the provider's.
//!
//! A caller speaks OpenAI's chat completions and embeddings. This module reads what it asks, writes
//! it in the dialect of the provider that will answer, and turns the answer back, stream or not.
//!
//! Rules this module keeps:
//! - Pure: bytes in, bytes and events out. No IO, no clock; names and times of answers are
//!   arguments ([`AnswerIds`]).
//! - Same-dialect traffic is not written anew. Of a request only `model` and `stream_options` are
//!   replaced, of a stream only the usage the caller did not ask for is taken out; every other
//!   byte passes as it came.
//! - A stream is whole only if its protocol's terminator was seen. Whatever else ends it is a
//!   [`StreamFault`].
//! - Usage is always asked for. What a provider reports is believed only if it is possible.
//! - What a target cannot serve is [`Ineligible`] with the reason, never quietly left out; the few
//!   parameters that only tune an answer are dropped by name ([`Encoded::dropped`]).
//! - Memory is bounded by `agix_core::limits`, whatever a provider sends.

mod anthropic;
mod bounds;
mod estimate;
mod neutral;
mod openai;
mod refused;
mod request;
mod simulated;
mod splice;
mod sse;
mod stream;

pub use bounds::thinks_unseen;
pub use estimate::estimated;
pub use refused::{Refused, decode_error};
pub use request::{ChatRequest, EmbeddingsRequest, InvalidRequest};
pub use simulated::{SimulatedReply, SimulatedStream, simulate, simulate_embeddings};
pub use stream::{StreamDecoder, StreamFault, StreamItem, StreamItemKind};

use agix_core::policy::Api;
use agix_core::units::Tokens;
use agix_core::usage::Usage;
use bytes::Bytes;

/// A protocol on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions and embeddings. Simulated answers are written in it too.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

impl Dialect {
    /// The dialect a provider of this kind speaks.
    pub const fn of(api: Api) -> Self {
        match api {
            Api::OpenAi | Api::Simulated => Self::OpenAi,
            Api::Anthropic => Self::Anthropic,
        }
    }

    /// The header that carries the provider's key, and what stands before the key in it.
    pub const fn key_header(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenAi => ("authorization", "Bearer "),
            Self::Anthropic => ("x-api-key", ""),
        }
    }
}

/// Who is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The dialect it speaks.
    pub dialect: Dialect,
    /// The model's name there.
    pub model: &'a str,
    /// Most tokens of one answer, if the policy says.
    pub max_output_tokens: Option<Tokens>,
}

/// A request as the target wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Path below the provider's base address.
    pub path: &'static str,
    /// Headers the dialect wants, besides `content-type` and the key.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body, JSON.
    pub body: Bytes,
    /// Parameters the target does not know and that were left out.
    pub dropped: Vec<&'static str>,
}

/// The target cannot serve what the request needs; the text is for `attempts[]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Ineligible(pub &'static str);

/// What a translated answer calls itself. An answer that is passed on keeps its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerIds {
    /// `chatcmpl-...`, the same over a whole stream.
    pub id: String,
    /// Seconds since the Unix epoch.
    pub created: i64,
}

/// A whole answer in the caller's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body, JSON.
    pub body: Bytes,
    /// What the provider billed, if it said so believably.
    pub usage: Option<Usage>,
    /// Bytes of text in the answer, to estimate tokens where the provider reports none.
    pub output_bytes: u64,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Why the first choice ended.
    pub finish: Option<Finish>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It was complete.
    Stop,
    /// The bound on its length was reached.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// The provider's content policy ended it.
    ContentFilter,
    /// A reason agix does not know.
    Other,
}

/// A whole answer that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// Not of the provider's protocol.
    #[error("the provider's answer is not of its protocol: {0}")]
    Malformed(&'static str),
    /// An error inside a 200.
    #[error(transparent)]
    Refused(Refused),
}

/// Writes a chat request for `target`.
pub fn encode(request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Ineligible> {
    match target.dialect {
        Dialect::OpenAi => Ok(openai::encode::chat(request, target.model)),
        Dialect::Anthropic => anthropic::encode(openai::conversation::read(request)?, target),
    }
}

/// Writes an embeddings request for `target`.
pub fn encode_embeddings(
    request: &EmbeddingsRequest,
    target: &Target<'_>,
) -> Result<Encoded, Ineligible> {
    match target.dialect {
        Dialect::OpenAi => Ok(openai::encode::embeddings(request, target.model)),
        Dialect::Anthropic => Err(Ineligible("the target has no embeddings")),
    }
}

/// Reads a whole answer to a chat request.
pub fn decode_answer(dialect: Dialect, ids: &AnswerIds, body: Bytes) -> Result<Answer, BadAnswer> {
    match dialect {
        Dialect::OpenAi => openai::answer::chat(body),
        Dialect::Anthropic => {
            let reply = anthropic::read_answer(&body)?;
            Ok(Answer {
                body: openai::write::whole(ids, &reply, None),
                usage: reply.usage,
                output_bytes: reply.texts.iter().map(|text| text.bytes()).sum(),
                model: (!reply.model.is_empty()).then(|| reply.model.into_owned()),
                finish: Some(reply.finish),
            })
        }
    }
}

/// Reads the answer to an embeddings request.
pub fn decode_embeddings(dialect: Dialect, body: Bytes) -> Result<Answer, BadAnswer> {
    match dialect {
        Dialect::OpenAi => openai::answer::embeddings(body),
        Dialect::Anthropic => Err(BadAnswer::Malformed("the provider has no embeddings")),
    }
}

#[cfg(test)]
mod golden;
