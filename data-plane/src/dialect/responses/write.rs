//! Answers of another dialect, written as responses.

mod frame;
mod stream;

use agix_core::usage::Usage;
use bytes::Bytes;
use serde::Serialize;

use self::frame::{Frame, Status};
pub(in crate::dialect) use self::stream::StreamWriter;
use crate::dialect::neutral::{Part, Reply, Text};
use crate::dialect::{AnswerIds, ChatRequest, Finish};

/// What a response is made of: pieces that the caller reads one after the other.
#[derive(Debug)]
struct Item {
    kind: Kind,
    /// What it says, or the arguments it calls with, as JSON writes a text.
    text: String,
    open: bool,
}

#[derive(Debug)]
enum Kind {
    Message,
    /// A call of a function; its id and name are JSON.
    Call {
        id: String,
        name: String,
    },
}

/// A report of usage.
#[derive(Serialize)]
struct Report {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<&Usage> for Report {
    fn from(usage: &Usage) -> Self {
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        let total = usage.total_input().saturating_add(usage.total_output());
        Self {
            input_tokens: usage.total_input().get(),
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached_input.get(),
                cache_write_tokens: written.get(),
            },
            output_tokens: usage.total_output().get(),
            output_tokens_details: OutputDetails {
                reasoning_tokens: usage.reasoning.get(),
            },
            total_tokens: total.get(),
        }
    }
}

impl Item {
    fn call(id: &str, name: &str) -> Self {
        Self {
            kind: Kind::Call {
                id: to_json(&id),
                name: to_json(&name),
            },
            text: String::new(),
            open: true,
        }
    }

    const fn message() -> Self {
        Self {
            kind: Kind::Message,
            text: String::new(),
            open: true,
        }
    }

    /// Its name within the response of this number.
    fn id(&self, number: &str, index: usize) -> String {
        match self.kind {
            Kind::Message => format!("msg_{number}_{index}"),
            Kind::Call { .. } => format!("fc_{number}_{index}"),
        }
    }

    /// The item as it stands in the output.
    fn json(&self, id: &str, status: &str) -> String {
        let text = &self.text;
        match &self.kind {
            Kind::Message => format!(
                r#"{{"id":"{id}","type":"message","status":"{status}","role":"assistant","content":[{}]}}"#,
                part(text)
            ),
            Kind::Call { id: call, name } => format!(
                r#"{{"id":"{id}","type":"function_call","status":"{status}","arguments":"{text}","call_id":{call},"name":{name}}}"#
            ),
        }
    }

    /// The item before it says anything.
    fn begun(&self, id: &str) -> String {
        match &self.kind {
            Kind::Message => format!(
                r#"{{"id":"{id}","type":"message","status":"in_progress","role":"assistant","content":[]}}"#
            ),
            Kind::Call { .. } => self.json(id, "in_progress"),
        }
    }
}

/// The one part of a message.
fn part(text: &str) -> String {
    format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#)
}

/// A whole answer.
pub(in crate::dialect) fn whole(
    ids: &AnswerIds,
    request: &ChatRequest,
    reply: &Reply<'_>,
) -> Bytes {
    let frame = Frame::new(ids, request.body());
    let mut items: Vec<Item> = Vec::new();
    for part in &reply.parts {
        match part {
            Part::Text(text) => say(&mut items, *text),
            Part::Call(call) => {
                let arguments = to_json(&call.arguments.get());
                items.push(Item {
                    text: unquoted(&arguments).to_owned(),
                    ..Item::call(&call.id, &call.name)
                });
            }
            Part::Media(_) | Part::Outcome(_) => {}
        }
    }
    let ended = Status::of(reply.finish);
    let output: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let last = index.saturating_add(1) == items.len();
            let status = if last {
                ended.word()
            } else {
                Status::Completed.word()
            };
            item.json(&item.id(frame.number(), index), status)
        })
        .collect();
    let usage = reply.usage.as_ref();
    frame
        .object(&ended, &to_json(&reply.model), &output, usage)
        .into()
}

/// Adds to the message that is being said, or begins one.
fn say(items: &mut Vec<Item>, text: Text<'_>) {
    if text.inner().is_empty() {
        return;
    }
    match items.last_mut() {
        Some(item) if matches!(item.kind, Kind::Message) => item.text.push_str(text.inner()),
        _ => items.push(Item {
            text: text.inner().to_owned(),
            ..Item::message()
        }),
    }
}

/// What stands between the quotation marks of a JSON text.
fn unquoted(text: &str) -> &str {
    text.get(1..text.len().saturating_sub(1))
        .unwrap_or_default()
}

/// JSON of a structure of numbers and texts, which always has one.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl Status {
    /// Of an answer that ended so. One that agix does not know ended the answer all the same.
    const fn of(finish: Finish) -> Self {
        match finish {
            Finish::Stop | Finish::ToolCalls | Finish::Other => Self::Completed,
            Finish::Length => Self::Incomplete("max_output_tokens"),
            Finish::ContentFilter => Self::Incomplete("content_filter"),
        }
    }
}
