//! Google's generateContent: a dialect of providers.
//!
//! | module | direction |
//! | --- | --- |
//! | `request` | a conversation to contents |
//! | `answer` | a whole response back |
//! | `stream` | a streamed response back |
//! | `response` | what whole and streamed responses have in common |
//!
//! The model and whether the answer is a stream stand in the address, not in the body.

mod answer;
mod request;
mod response;
mod stream;

pub(super) use self::answer::read as read_answer;
pub(super) use self::request::encode;
pub(super) use self::stream::Source;
