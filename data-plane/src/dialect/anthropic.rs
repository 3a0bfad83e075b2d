//! Anthropic's messages: a dialect of callers and of providers.
//!
//! | module | direction |
//! | --- | --- |
//! | `request` | a conversation to messages |
//! | `answer` | a whole message back, or passed on |
//! | `stream` | a streamed message back |
//! | `relay` | a streamed message passed on event by event |
//! | `conversation` | a caller's request, read for another dialect |
//! | `write` | another dialect's answer or stream, written for the caller |
//! | `model` | what each generation of models takes |
//! | `usage` | what is billed |

mod answer;
mod conversation;
mod model;
mod relay;
mod request;
mod stream;
mod usage;
mod write;

pub(super) use self::answer::{pass as pass_answer, read as read_answer};
pub(super) use self::conversation::read as read_conversation;
pub(super) use self::relay::Relay;
pub(super) use self::request::encode;
pub(super) use self::stream::Source;
pub(super) use self::write::{StreamWriter, whole as write_answer};

use crate::dialect::Finish;

/// The version of the protocol that requests are written in.
const HEADERS: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

/// The bound on output that a request to `model` carries, out of the caller's and the policy's.
pub(super) fn output_bound(model: &str, asked: Option<u64>, policy: Option<u64>) -> u64 {
    model::Abilities::of(model).output_bound(asked, policy)
}

/// The headers of a request that agix writes.
pub(super) const fn headers() -> &'static [(&'static str, &'static str)] {
    HEADERS
}

/// Why a message ended.
fn finish(reason: &str) -> Finish {
    match reason {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" => Finish::Length,
        "refusal" => Finish::ContentFilter,
        "tool_use" => Finish::ToolCalls,
        _ => Finish::Other,
    }
}
