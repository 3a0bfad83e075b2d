//! OpenAI's chat completions and embeddings: the dialect of callers, and of most providers.
//!
//! | module | direction |
//! | --- | --- |
//! | `encode` | request to a provider of the same dialect: spliced, not written anew |
//! | `answer` | a provider's whole answer, passed on as it is |
//! | `relay` | a provider's stream, passed on event by event |
//! | `conversation` | a caller's request, read for another dialect |
//! | `write` | another dialect's answer or stream, written for the caller |
//! | `usage`, `choices` | what answers and events have in common |

pub(super) mod answer;
mod choices;
pub(super) mod conversation;
pub(super) mod encode;
pub(super) mod relay;
mod usage;
pub(super) mod write;

pub(super) use self::usage::Count;
