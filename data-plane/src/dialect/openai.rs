//! OpenAI's chat completions and embeddings: the dialect of callers, and of most providers.
//!
//! | module | direction |
//! | --- | --- |
//! | `encode` | request to a provider of the same dialect: spliced, not written anew |
//! | `request` | another dialect's conversation to a provider |
//! | `answer` | a provider's whole answer, passed on as it is or read for another dialect |
//! | `relay` | a provider's stream, passed on event by event |
//! | `stream` | a provider's stream, read for another dialect |
//! | `conversation` | a caller's request, read for another dialect |
//! | `write` | another dialect's answer or stream, written for the caller |
//! | `usage`, `choices` | what answers and events have in common |

pub(super) mod answer;
mod choices;
pub(super) mod conversation;
pub(super) mod encode;
pub(super) mod relay;
pub(super) mod request;
pub(super) mod stream;
mod usage;
pub(super) mod write;

pub(super) use self::usage::Count;
