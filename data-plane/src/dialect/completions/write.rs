//! Answers of another dialect, written as completions of a text.

use agix_core::usage::Usage;
use bytes::{Bytes, BytesMut};

use crate::dialect::neutral::{Part, Reply, Text};
use crate::dialect::openai::relay::DONE;
use crate::dialect::openai::write::{Report, head, to_json};
use crate::dialect::{AnswerIds, BadAnswer, Finish, StreamFault};

const OBJECT: &str = "text_completion";
const NO_TOOLS: &str = "it calls a tool that was not offered";

/// Writes the events of one stream.
#[derive(Debug)]
pub(in crate::dialect) struct StreamWriter {
    name: AnswerIds,
    /// Every event up to its choices; empty until the model is known.
    head: String,
    /// Whether the caller wants usage.
    usage_asked: bool,
}

impl StreamWriter {
    /// A writer of a stream with this name.
    pub(in crate::dialect) const fn new(name: AnswerIds, usage_asked: bool) -> Self {
        Self {
            name,
            head: String::new(),
            usage_asked,
        }
    }

    /// Notes the model. This protocol has no event for a beginning.
    pub(in crate::dialect) fn begin(&mut self, model: &str) {
        self.head = head(OBJECT, &self.name, model, None);
    }

    /// Appends a piece of text.
    pub(in crate::dialect) fn say(&self, text: Text<'_>, out: &mut BytesMut) {
        self.choice(text.inner(), "null", out);
    }

    /// Appends why the answer ended.
    pub(in crate::dialect) fn end(&self, finish: Finish, out: &mut BytesMut) {
        self.choice("", finish.as_openai_json(), out);
    }

    /// The fault of a provider that calls what it was not offered.
    pub(in crate::dialect) const fn called() -> StreamFault {
        StreamFault::Malformed(NO_TOOLS)
    }

    /// Appends a sign of life.
    pub(in crate::dialect) fn alive(out: &mut BytesMut) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    /// The event that carries only usage, if the caller wants it.
    pub(in crate::dialect) fn usage(&self, usage: &Usage) -> Option<Bytes> {
        if !self.usage_asked {
            return None;
        }
        let report = to_json(&Report::from(usage));
        let event = [
            "data: ",
            &self.head,
            r#","choices":[],"usage":"#,
            &report,
            "}\n\n",
        ];
        Some(event.concat().into())
    }

    /// Appends the terminator.
    pub(in crate::dialect) fn done(out: &mut BytesMut) {
        out.extend_from_slice(DONE);
    }

    fn choice(&self, text: &str, finish: &str, out: &mut BytesMut) {
        let usage = if self.usage_asked {
            r#"}],"usage":null}"#
        } else {
            "}]}"
        };
        let pieces = [
            "data: ",
            &self.head,
            r#","choices":[{"text":""#,
            text,
            r#"","index":0,"logprobs":null,"finish_reason":"#,
            finish,
            usage,
            "\n\n",
        ];
        for piece in pieces {
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

/// A whole answer.
pub(in crate::dialect) fn whole(ids: &AnswerIds, reply: &Reply<'_>) -> Result<Bytes, BadAnswer> {
    let mut body = head(OBJECT, ids, &reply.model, None);
    body.push_str(r#","choices":[{"text":""#);
    for part in &reply.parts {
        match part {
            Part::Text(text) => body.push_str(text.inner()),
            Part::Call(_) => return Err(BadAnswer::Malformed(NO_TOOLS)),
            Part::Media(_) | Part::Outcome(_) => {}
        }
    }
    body.push_str(r#"","index":0,"logprobs":null,"finish_reason":"#);
    body.push_str(reply.finish.as_openai_json());
    body.push_str("}]");
    if let Some(usage) = &reply.usage {
        body.push_str(r#","usage":"#);
        body.push_str(&to_json(&Report::from(usage)));
    }
    body.push('}');
    Ok(body.into())
}
