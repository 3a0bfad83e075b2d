//! OpenAI's responses: a dialect of callers.
//!
//! Nothing is kept from one request to the next. What refers to something that OpenAI would have
//! kept, or is run by OpenAI itself, is refused before any target is looked for; `store` may be
//! asked for, and the answer says that it was not done.
//!
//! | module | direction |
//! | --- | --- |
//! | `stateless` | what of a request is refused wherever it would go |
//! | `conversation` | a caller's request, read for another dialect |
//! | `write` | another dialect's answer or stream, written for the caller |

mod conversation;
mod stateless;
mod write;

pub(super) use self::conversation::read as read_conversation;
pub(super) use self::stateless::check;
pub(super) use self::write::{StreamWriter, whole as write_answer};
