//! Between the caller's protocol and the provider's.
//!
//! A caller speaks OpenAI's chat completions, responses, completions and embeddings, or Anthropic's
//! messages. This module reads what it asks, writes it in the dialect of the provider that will answer, and turns the
//! answer back, stream or not.
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
mod completions;
mod estimate;
mod gemini;
mod neutral;
mod openai;
mod refused;
mod request;
mod responses;
mod simulated;
mod splice;
mod sse;
mod stream;
mod translation;

pub use bounds::thinks_unseen;
pub use estimate::estimated;
pub(crate) use refused::retry_after;
pub use refused::{Refused, decode_error};
pub use request::{ChatRequest, EmbeddingsRequest, InvalidRequest};
pub use simulated::{SimulatedReply, SimulatedStream, simulate, simulate_embeddings};
pub use stream::{StreamDecoder, StreamFault, StreamItem, StreamItemKind};

use agix_core::policy::Api;
use agix_core::units::Tokens;
use agix_core::usage::Usage;
use bytes::Bytes;

/// Parameters that say how a call is to be handled, and nothing of its answer.
const HANDLING: [&str; 9] = [
    "include",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning.summary",
    "service_tier",
    "speed",
    "store",
    "user",
];

/// A protocol on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions and embeddings. Simulated answers are written in it too.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent. No caller speaks it.
    Gemini,
    /// OpenAI's completions of a text, of servers that have them. Only callers of completions are
    /// sent there.
    Completions,
}

/// The dialect of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// OpenAI's chat completions.
    Chat,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's responses.
    Responses,
    /// OpenAI's completions of a text.
    Completions,
}

impl Caller {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Chat,
        Self::Messages,
        Self::Responses,
        Self::Completions,
    ];

    /// The dialect of providers that take the caller's own bytes, if there are such.
    pub const fn native(self) -> Option<Dialect> {
        match self {
            Self::Chat => Some(Dialect::OpenAi),
            Self::Messages => Some(Dialect::Anthropic),
            Self::Responses => None,
            Self::Completions => Some(Dialect::Completions),
        }
    }

    /// Whether it reads the errors of this dialect as they are.
    pub const fn reads_errors(self, dialect: Dialect) -> bool {
        match self {
            Self::Chat | Self::Responses | Self::Completions => {
                matches!(dialect, Dialect::OpenAi | Dialect::Completions)
            }
            Self::Messages => matches!(dialect, Dialect::Anthropic),
        }
    }

    /// What the ids of its answers begin with.
    pub const fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Messages => "msg_",
            Self::Responses => "resp_",
            Self::Completions => "cmpl-",
        }
    }
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Completions,
    ];

    /// The dialect a provider of this kind speaks.
    pub const fn of(api: Api) -> Self {
        match api {
            Api::OpenAi | Api::Azure | Api::Simulated => Self::OpenAi,
            Api::Anthropic => Self::Anthropic,
            Api::Gemini => Self::Gemini,
        }
    }

    /// The dialect in which a request of this caller goes to a model of a provider of this kind.
    pub fn towards(caller: Caller, api: Api, model: &str) -> Self {
        match api {
            Api::OpenAi | Api::Azure
                if caller == Caller::Completions && !completions::only_chats(model) =>
            {
                Self::Completions
            }
            _ => Self::of(api),
        }
    }

    /// The header that carries the provider's key, and what stands before the key in it.
    pub const fn key_header(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenAi | Self::Completions => ("authorization", "Bearer "),
            Self::Anthropic => ("x-api-key", ""),
            Self::Gemini => ("x-goog-api-key", ""),
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
    /// Path below the provider's base address, or what follows the model in it.
    pub path: &'static str,
    /// Headers the dialect wants, besides `content-type` and the key.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body, JSON.
    pub body: Bytes,
    /// Parameters the target does not know and that were left out.
    pub dropped: Vec<&'static str>,
}

impl Encoded {
    /// The parameters left out without which another answer may come. Those that only say who asks,
    /// or how the call is to be handled, are none of them.
    pub fn lost(&self) -> impl Iterator<Item = &'static str> {
        let matters = |name: &&str| !HANDLING.contains(name);
        self.dropped.iter().copied().filter(matters)
    }
}

/// The target cannot serve what the request needs; the text is for `attempts[]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Ineligible(pub &'static str);

/// What a translated answer calls itself. An answer that is passed on keeps its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerIds {
    /// `chatcmpl-...`, `msg_...`, `resp_...` or `cmpl-...`, the same over a whole stream.
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

/// Writes a request for `target`.
pub fn encode(request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Ineligible> {
    let conversation = match (request.caller(), target.dialect) {
        (Caller::Chat, Dialect::OpenAi) => {
            return Ok(openai::encode::chat(request, target.model));
        }
        (Caller::Messages, Dialect::Anthropic) => {
            return Ok(Encoded {
                path: "/v1/messages",
                headers: anthropic::headers(),
                body: openai::encode::renamed(request, target.model),
                dropped: Vec::new(),
            });
        }
        (Caller::Chat, _) => openai::conversation::read(request)?,
        (Caller::Messages, _) => anthropic::read_conversation(request)?,
        (Caller::Responses, _) => responses::read_conversation(request)?,
        (Caller::Completions, Dialect::Completions) => {
            return Ok(openai::encode::completion(request, target.model));
        }
        (Caller::Completions, _) => completions::read_conversation(request)?,
    };
    match target.dialect {
        Dialect::OpenAi => openai::request::encode(conversation, target),
        Dialect::Anthropic => anthropic::encode(conversation.without_extras(), target),
        Dialect::Gemini => gemini::encode(conversation.without_extras(), target),
        Dialect::Completions => Err(Ineligible("the target only completes texts")),
    }
}

/// Writes an embeddings request for `target`.
pub fn encode_embeddings(
    request: &EmbeddingsRequest,
    target: &Target<'_>,
) -> Result<Encoded, Ineligible> {
    match target.dialect {
        Dialect::OpenAi => Ok(openai::encode::embeddings(request, target.model)),
        Dialect::Anthropic | Dialect::Gemini | Dialect::Completions => {
            Err(Ineligible("the target has no embeddings"))
        }
    }
}

/// Reads a whole answer to `request`.
pub fn decode_answer(
    dialect: Dialect,
    request: &ChatRequest,
    ids: &AnswerIds,
    body: Bytes,
) -> Result<Answer, BadAnswer> {
    let reply = match (request.caller(), dialect) {
        (Caller::Chat, Dialect::OpenAi) | (Caller::Completions, Dialect::Completions) => {
            return openai::answer::chat(body);
        }
        (Caller::Messages, Dialect::Anthropic) => return anthropic::pass_answer(body),
        (_, Dialect::OpenAi | Dialect::Completions) => openai::answer::read(&body)?,
        (_, Dialect::Anthropic) => anthropic::read_answer(&body)?,
        (_, Dialect::Gemini) => gemini::read_answer(&body, ids)?,
    };
    Ok(Answer {
        body: match request.caller() {
            Caller::Chat => openai::write::whole(ids, &reply, None),
            Caller::Messages => anthropic::write_answer(&ids.id, &reply),
            Caller::Responses => responses::write_answer(ids, request, &reply),
            Caller::Completions => completions::write_answer(ids, &reply)?,
        },
        usage: reply.usage,
        output_bytes: reply.output_bytes(),
        finish: Some(reply.finish),
        model: neutral::model_name(&reply.model),
    })
}

/// Reads the answer of a provider that was asked how many tokens a request has.
pub fn decode_count(body: Bytes) -> Result<Answer, BadAnswer> {
    #[derive(serde::Deserialize)]
    struct Count {
        #[serde(rename = "input_tokens")]
        _input_tokens: openai::Count,
    }
    serde_json::from_slice::<Count>(&body)
        .map_err(|_shape| BadAnswer::Malformed("it counts no tokens"))?;
    Ok(unbilled(body))
}

/// An estimate of the tokens of a request, for a target that cannot be asked.
pub fn counted(request: &ChatRequest) -> Answer {
    let tokens = estimate::tokens_of(request.body().len());
    unbilled(format!(r#"{{"input_tokens":{tokens}}}"#).into())
}

fn unbilled(body: Bytes) -> Answer {
    Answer {
        body,
        usage: Some(Usage::default()),
        output_bytes: 0,
        model: None,
        finish: None,
    }
}

/// Reads the answer to an embeddings request.
pub fn decode_embeddings(dialect: Dialect, body: Bytes) -> Result<Answer, BadAnswer> {
    match dialect {
        Dialect::OpenAi => openai::answer::embeddings(body),
        Dialect::Anthropic | Dialect::Gemini | Dialect::Completions => {
            Err(BadAnswer::Malformed("the provider has no embeddings"))
        }
    }
}

#[cfg(test)]
mod golden;
