//! Answers of another dialect, written as messages.

use agix_core::units::Tokens;
use agix_core::usage::Usage;
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::neutral::{Part, Reply, Text};
use crate::dialect::{Finish, StreamFault};

/// How the event of a piece of a call's arguments begins.
const ARGUMENTS: &str = r#"{"type":"input_json_delta","partial_json":""#;

/// Writes the events of one stream.
#[derive(Debug)]
pub(in crate::dialect) struct StreamWriter {
    id: String,
    /// The number of the next block.
    next: u64,
    open: Option<Open>,
    /// How many calls there were.
    calls: usize,
    /// Calls that began while another one was open. Blocks follow each other, so they are told once
    /// that one has ended.
    later: Vec<Later>,
    /// The tokens of the request, by estimate; what they really are is told at the end.
    input: Tokens,
    finish: Finish,
}

/// A call that has begun and is not told of yet.
#[derive(Debug)]
struct Later {
    call: usize,
    block: String,
    /// Its arguments so far, as JSON writes a text.
    arguments: String,
}

/// The block that has begun and has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Call(usize),
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    usage: Report,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a RawValue,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
}

/// A report of usage.
#[derive(Serialize, Default)]
struct Report {
    #[serde(rename = "input_tokens")]
    input: u64,
    #[serde(rename = "cache_creation_input_tokens")]
    written: u64,
    #[serde(rename = "cache_read_input_tokens")]
    cached: u64,
    #[serde(rename = "output_tokens")]
    output: u64,
}

impl From<&Usage> for Report {
    fn from(usage: &Usage) -> Self {
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        Self {
            input: usage.input.get(),
            written: written.get(),
            cached: usage.cached_input.get(),
            output: usage.total_output().get(),
        }
    }
}

impl StreamWriter {
    /// A writer of a stream with this id.
    pub(in crate::dialect) const fn new(id: String, input: Tokens) -> Self {
        Self {
            id,
            input,
            later: Vec::new(),
            next: 0,
            open: None,
            calls: 0,
            finish: Finish::Other,
        }
    }

    /// Appends the event that begins the message.
    pub(in crate::dialect) fn begin(&self, model: &str, out: &mut BytesMut) {
        let message = to_json(&Message {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Report {
                input: self.input.get(),
                ..Report::default()
            },
        });
        let data = [r#"{"type":"message_start","message":"#, &message, "}"];
        event("message_start", &data, out);
    }

    /// Appends a piece of text.
    pub(in crate::dialect) fn say(&mut self, text: Text<'_>, out: &mut BytesMut) {
        if self.open != Some(Open::Text) {
            self.tell_later(out);
            self.begin_block(Open::Text, r#"{"type":"text","text":""}"#, out);
        }
        self.delta(r#"{"type":"text_delta","text":""#, text.inner(), out);
    }

    /// Appends the beginning of a call.
    pub(in crate::dialect) fn call(&mut self, id: &str, name: &str, out: &mut BytesMut) {
        let block = format!(
            r#"{{"type":"tool_use","id":{},"name":{},"input":{{}}}}"#,
            to_json(&id),
            to_json(&name)
        );
        let call = self.calls;
        self.calls = call.saturating_add(1);
        if matches!(self.open, Some(Open::Call(_))) {
            let arguments = String::new();
            self.later.push(Later {
                call,
                block,
                arguments,
            });
            return;
        }
        self.begin_block(Open::Call(call), &block, out);
    }

    /// Appends a piece of the arguments of a call, or keeps it until its turn has come.
    pub(in crate::dialect) fn arguments(
        &mut self,
        call: usize,
        piece: Text<'_>,
        out: &mut BytesMut,
    ) -> Result<(), StreamFault> {
        if self.open != Some(Open::Call(call)) {
            let later = self.later.iter_mut().find(|later| later.call == call);
            let Some(later) = later else {
                return Err(StreamFault::Malformed(
                    "it goes on with a tool call that is not open",
                ));
            };
            later.arguments.push_str(piece.inner());
            return Ok(());
        }
        self.delta(ARGUMENTS, piece.inner(), out);
        Ok(())
    }

    /// Ends the last block; why is told with the usage.
    pub(in crate::dialect) fn end(&mut self, finish: Finish, out: &mut BytesMut) {
        self.tell_later(out);
        self.end_block(out);
        let called = self.calls > 0 && finish == Finish::Stop;
        self.finish = if called { Finish::ToolCalls } else { finish };
    }

    /// Appends a sign of life.
    pub(in crate::dialect) fn alive(out: &mut BytesMut) {
        event("ping", &[r#"{"type":"ping"}"#], out);
    }

    /// The event that tells why the message ended and what is billed.
    pub(in crate::dialect) fn usage(&self, usage: &Usage) -> Bytes {
        message_delta(self.finish, usage)
    }

    /// Appends the terminator.
    pub(in crate::dialect) fn done(out: &mut BytesMut) {
        message_stop(out);
    }

    /// Tells of the calls whose turn has come.
    fn tell_later(&mut self, out: &mut BytesMut) {
        for later in std::mem::take(&mut self.later) {
            self.begin_block(Open::Call(later.call), &later.block, out);
            if !later.arguments.is_empty() {
                self.delta(ARGUMENTS, &later.arguments, out);
            }
        }
    }

    fn begin_block(&mut self, open: Open, block: &str, out: &mut BytesMut) {
        self.end_block(out);
        self.open = Some(open);
        let index = self.next.to_string();
        self.next = self.next.saturating_add(1);
        let data = [
            r#"{"type":"content_block_start","index":"#,
            &index,
            r#","content_block":"#,
            block,
            "}",
        ];
        event("content_block_start", &data, out);
    }

    fn end_block(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            block_stop(self.next.saturating_sub(1), out);
        }
    }

    fn delta(&self, head: &str, text: &str, out: &mut BytesMut) {
        let index = self.next.saturating_sub(1).to_string();
        let data = [
            r#"{"type":"content_block_delta","index":"#,
            &index,
            r#","delta":"#,
            head,
            text,
            r#""}}"#,
        ];
        event("content_block_delta", &data, out);
    }
}

/// A whole message.
pub(in crate::dialect) fn whole(id: &str, reply: &Reply<'_>) -> Bytes {
    let texts: Vec<_> = reply
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(*text),
            Part::Call(_) | Part::Media(_) | Part::Outcome(_) => None,
        })
        .filter(|text| !text.inner().is_empty())
        .collect();
    let said = crate::dialect::neutral::joined(&texts, "").filter(|_| !texts.is_empty());
    let text = said.as_deref().map(|text| Block::Text { text });
    let calls: Vec<_> = reply
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Call(call) => Some(Block::ToolUse {
                id: &call.id,
                name: &call.name,
                input: &call.arguments,
            }),
            Part::Text(_) | Part::Media(_) | Part::Outcome(_) => None,
        })
        .collect();
    let finish = match reply.finish {
        Finish::Stop if !calls.is_empty() => Finish::ToolCalls,
        finish => finish,
    };
    let message = Message {
        id,
        kind: "message",
        role: "assistant",
        model: &reply.model,
        content: text.into_iter().chain(calls).collect(),
        stop_reason: Some(finish.as_anthropic()),
        stop_sequence: None,
        usage: reply.usage.as_ref().map(Report::from).unwrap_or_default(),
    };
    to_json(&message).into()
}

/// Appends the end of a block.
pub(super) fn block_stop(index: u64, out: &mut BytesMut) {
    let index = index.to_string();
    let data = [r#"{"type":"content_block_stop","index":"#, &index, "}"];
    event("content_block_stop", &data, out);
}

/// The event that tells why a message ended and what is billed.
pub(super) fn message_delta(finish: Finish, usage: &Usage) -> Bytes {
    let report = to_json(&Report::from(usage));
    let mut out = BytesMut::new();
    let data = [
        r#"{"type":"message_delta","delta":{"stop_reason":""#,
        finish.as_anthropic(),
        r#"","stop_sequence":null},"usage":"#,
        &report,
        "}",
    ];
    event("message_delta", &data, &mut out);
    out.freeze()
}

/// Appends the terminator.
pub(super) fn message_stop(out: &mut BytesMut) {
    event("message_stop", &[r#"{"type":"message_stop"}"#], out);
}

fn event(name: &str, data: &[&str], out: &mut BytesMut) {
    let head = ["event: ", name, "\ndata: "];
    for piece in head.iter().chain(data).chain(&["\n\n"]) {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// JSON of a structure of numbers and texts, which always has one.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl Finish {
    /// The reason in Anthropic's words. One that agix does not know ended the message all the same.
    const fn as_anthropic(self) -> &'static str {
        match self {
            Self::Stop | Self::Other => "end_turn",
            Self::Length => "max_tokens",
            Self::ToolCalls => "tool_use",
            Self::ContentFilter => "refusal",
        }
    }
}
