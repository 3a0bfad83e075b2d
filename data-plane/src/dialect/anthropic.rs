//! Anthropic's messages.
//!
//! | module | direction |
//! | --- | --- |
//! | `request` | a conversation to messages |
//! | `answer` | a whole message back |
//! | `stream` | a streamed message back |
//! | `model` | what each generation of models takes |
//! | `usage` | what is billed |

mod answer;
mod model;
mod request;
mod stream;
mod usage;

pub(super) use self::answer::read as read_answer;
pub(super) use self::request::encode;
pub(super) use self::stream::Translator;

use crate::dialect::Finish;

/// The version of the protocol that requests are written in.
const HEADERS: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

/// The bound on output that a request to `model` carries, out of the caller's and the policy's.
pub(super) fn output_bound(model: &str, asked: Option<u64>, policy: Option<u64>) -> u64 {
    model::Abilities::of(model).output_bound(asked, policy)
}

/// Why a message ended. A reason that only tools have is none that was asked for.
fn finish(reason: &str) -> Result<Finish, &'static str> {
    Ok(match reason {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" => Finish::Length,
        "refusal" => Finish::ContentFilter,
        "tool_use" => return Err("it calls a tool that was not offered"),
        _ => Finish::Other,
    })
}
