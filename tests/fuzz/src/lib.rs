//! What every parser that reads a stranger's bytes must keep to, whatever the bytes are.
//!
//! A [`Parser`] is one such reader with its promises as a function of bytes, which fails if one is
//! broken: nothing panics, what is no answer never looks like a whole one, the same bytes give the same
//! however they are cut, what is written is read again as the same, and memory has a bound.
//!
//! The inputs under `corpus/` and the golden files of the dialects are run in every test run, each as
//! it is and damaged. `scripts/fuzz` searches for more, led by the branches they take.
//!
//! A new dialect breaks the build here, until it is said which parsers read it.
#![expect(clippy::panic, reason = "a broken promise is told by failing")]

mod answers;
mod damage;
mod policies;
mod refusals;
mod requests;
mod seeds;
mod streams;
mod webhooks;

pub use damage::damaged;
pub use seeds::{Seed, golden_folders, seeds};

use agix_proxy::dialect::{Caller, Dialect};

/// Something that reads a stranger's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Parser {
    /// Its name, and that of its folder under `corpus/`.
    pub name: &'static str,
    /// Fails if a promise is broken.
    pub check: fn(&[u8]),
}

const fn parser(name: &'static str, check: fn(&[u8])) -> Parser {
    Parser { name, check }
}

/// All of them. What a caller asks is `NAME-request`; what a provider says is `NAME-answer`, whole,
/// and `NAME-stream`.
pub const PARSERS: [Parser; 22] = [
    parser("chat-request", |bytes| {
        requests::conversation(Caller::Chat, bytes);
    }),
    parser("messages-request", |bytes| {
        requests::conversation(Caller::Messages, bytes);
    }),
    parser("responses-request", |bytes| {
        requests::conversation(Caller::Responses, bytes);
    }),
    parser("completions-request", |bytes| {
        requests::conversation(Caller::Completions, bytes);
    }),
    parser("embeddings-request", requests::embeddings),
    parser("openai-answer", |bytes| {
        answers::whole(Dialect::OpenAi, bytes);
    }),
    parser("anthropic-answer", |bytes| {
        answers::whole(Dialect::Anthropic, bytes);
    }),
    parser("gemini-answer", |bytes| {
        answers::whole(Dialect::Gemini, bytes);
    }),
    parser("completions-answer", |bytes| {
        answers::whole(Dialect::Completions, bytes);
    }),
    parser("embeddings-answer", answers::embeddings),
    parser("count-answer", answers::count),
    parser("openai-stream", |bytes| {
        streams::stream(Dialect::OpenAi, bytes);
    }),
    parser("anthropic-stream", |bytes| {
        streams::stream(Dialect::Anthropic, bytes);
    }),
    parser("gemini-stream", |bytes| {
        streams::stream(Dialect::Gemini, bytes);
    }),
    parser("completions-stream", |bytes| {
        streams::stream(Dialect::Completions, bytes);
    }),
    parser("refusal", refusals::refusal),
    parser("policy-document", policies::document),
    parser("policy-wire", policies::wire),
    parser("policy-delta", policies::delta),
    parser("template", webhooks::template),
    parser("signature", webhooks::signature),
    parser("callback-address", webhooks::address),
];

/// The parser of this name.
pub fn find(name: &str) -> Option<Parser> {
    PARSERS.into_iter().find(|parser| parser.name == name)
}

/// What the corpus calls the requests of a caller.
pub const fn of_caller(caller: Caller) -> &'static str {
    match caller {
        Caller::Chat => "chat",
        Caller::Messages => "messages",
        Caller::Responses => "responses",
        Caller::Completions => "completions",
    }
}

/// What the corpus calls the dialect of a provider.
pub const fn of_dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
        Dialect::Completions => "completions",
    }
}
