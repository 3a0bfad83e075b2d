//! A stream written as the events of a response. They are numbered from zero without a gap.
//!
//! Text and calls are told as they come, and once more when they are whole, as this protocol does;
//! so they are kept until the stream ends, up to the size of a plain answer. A message ends where
//! something else begins. Calls may be told beside each other, and end with the answer.

use agix_core::limits::UPSTREAM_ANSWER_BYTES;
use agix_core::usage::Usage;
use bytes::{Bytes, BytesMut};
use serde_json::json;

use super::frame::{Frame, Status};
use super::{Item, Kind, part, to_json};
use crate::dialect::neutral::Text;
use crate::dialect::{AnswerIds, ChatRequest, Finish, StreamFault};

/// Writes the events of one stream.
#[derive(Debug)]
pub(in crate::dialect) struct StreamWriter {
    frame: Frame,
    /// JSON; empty until the stream has begun.
    model: String,
    /// The number of the next event.
    next: u64,
    items: Vec<Item>,
    /// The items that are calls, in their order.
    calls: Vec<usize>,
    /// Bytes kept in the items.
    kept: usize,
    ended: Status,
}

impl StreamWriter {
    /// A writer of a stream with this name, in answer to this request.
    pub(in crate::dialect) fn new(ids: &AnswerIds, request: &ChatRequest) -> Self {
        Self {
            frame: Frame::new(ids, request.body()),
            model: String::new(),
            next: 0,
            items: Vec::new(),
            calls: Vec::new(),
            kept: 0,
            ended: Status::Completed,
        }
    }

    /// Appends the events that begin the response.
    pub(in crate::dialect) fn begin(&mut self, model: &str, out: &mut BytesMut) {
        self.model = to_json(&model);
        let response = self
            .frame
            .object(&Status::InProgress, &self.model, &[], None);
        for kind in ["response.created", "response.in_progress"] {
            self.event(kind, &[r#""response":"#, &response], out);
        }
    }

    /// Appends a piece of text.
    pub(in crate::dialect) fn say(
        &mut self,
        text: Text<'_>,
        out: &mut BytesMut,
    ) -> Result<(), StreamFault> {
        let open = self.items.last().filter(|item| item.open);
        if !open.is_some_and(|item| matches!(item.kind, Kind::Message)) {
            self.begin_item(Item::message(), out);
        }
        let index = self.items.len().saturating_sub(1);
        self.add(index, text)?;
        let place = self.place(index);
        let members = [
            place.as_str(),
            r#","content_index":0,"delta":""#,
            text.inner(),
            r#"","logprobs":[]"#,
        ];
        self.event("response.output_text.delta", &members, out);
        Ok(())
    }

    /// Appends the beginning of a call.
    pub(in crate::dialect) fn call(&mut self, id: &str, name: &str, out: &mut BytesMut) {
        let last = self.items.len().saturating_sub(1);
        let speaks = |item: &Item| matches!(item.kind, Kind::Message);
        if self.items.last().is_some_and(speaks) {
            self.end_item(last, Status::Completed.word(), out);
        }
        self.calls.push(self.items.len());
        self.begin_item(Item::call(id, name), out);
    }

    /// Appends a piece of the arguments of a call.
    pub(in crate::dialect) fn arguments(
        &mut self,
        call: usize,
        piece: Text<'_>,
        out: &mut BytesMut,
    ) -> Result<(), StreamFault> {
        let index = *self.calls.get(call).ok_or(StreamFault::Malformed(
            "it goes on with a tool call that has not begun",
        ))?;
        self.add(index, piece)?;
        let place = self.place(index);
        let members = [place.as_str(), r#","delta":""#, piece.inner(), r#"""#];
        self.event("response.function_call_arguments.delta", &members, out);
        Ok(())
    }

    /// Ends what is open; why the response ended is told with the usage.
    pub(in crate::dialect) fn end(&mut self, finish: Finish, out: &mut BytesMut) {
        self.ended = Status::of(finish);
        let last = self.items.len().saturating_sub(1);
        for index in 0..self.items.len() {
            let status = if index == last {
                self.ended.word()
            } else {
                Status::Completed.word()
            };
            self.end_item(index, status, out);
        }
    }

    /// Appends a sign of life. It has no number, since it may be left out on the way.
    pub(in crate::dialect) fn alive(out: &mut BytesMut) {
        out.extend_from_slice(b"event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n");
    }

    /// The event that ends the response and tells what is billed, if that is known.
    pub(in crate::dialect) fn ended(&mut self, usage: Option<&Usage>) -> Bytes {
        let last = self.items.len().saturating_sub(1);
        let output: Vec<_> = self
            .items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let status = if index == last {
                    self.ended.word()
                } else {
                    Status::Completed.word()
                };
                item.json(&item.id(self.frame.number(), index), status)
            })
            .collect();
        let response = self.frame.object(&self.ended, &self.model, &output, usage);
        let kind = format!("response.{}", self.ended.word());
        let mut out = BytesMut::new();
        self.event(&kind, &[r#""response":"#, &response], &mut out);
        out.freeze()
    }

    /// The events that tell of an answer that broke off.
    pub(in crate::dialect) fn broken_off(&mut self, message: &str, code: &str) -> Bytes {
        let mut out = BytesMut::new();
        let error = error(message, code);
        self.event("error", &[&error], &mut out);
        let told = json!({ "code": code, "message": message }).to_string();
        let failed = Status::Failed(told);
        let response = self.frame.object(&failed, &self.model, &[], None);
        self.event("response.failed", &[r#""response":"#, &response], &mut out);
        out.freeze()
    }

    fn begin_item(&mut self, item: Item, out: &mut BytesMut) {
        let index = self.items.len();
        let id = item.id(self.frame.number(), index);
        let begun = item.begun(&id);
        let speaks = matches!(item.kind, Kind::Message);
        self.items.push(item);
        let number = index.to_string();
        let members = [r#""output_index":"#, &number, r#","item":"#, &begun];
        self.event("response.output_item.added", &members, out);
        if speaks {
            let place = self.place(index);
            let part = part("");
            let members = [&place, r#","content_index":0,"part":"#, &part];
            self.event("response.content_part.added", &members, out);
        }
    }

    /// Tells the whole of an item, unless that was done.
    fn end_item(&mut self, index: usize, status: &str, out: &mut BytesMut) {
        let place = self.place(index);
        let Some(item) = self.items.get_mut(index).filter(|item| item.open) else {
            return;
        };
        item.open = false;
        let whole = item.json(&item.id(self.frame.number(), index), status);
        let text = std::mem::take(&mut item.text);
        if matches!(item.kind, Kind::Message) {
            let members = [
                place.as_str(),
                r#","content_index":0,"logprobs":[],"text":""#,
                &text,
                r#"""#,
            ];
            self.event("response.output_text.done", &members, out);
            let part = part(&text);
            let members = [place.as_str(), r#","content_index":0,"part":"#, &part];
            self.event("response.content_part.done", &members, out);
        } else {
            let members = [place.as_str(), r#","arguments":""#, &text, r#"""#];
            self.event("response.function_call_arguments.done", &members, out);
        }
        if let Some(item) = self.items.get_mut(index) {
            item.text = text;
        }
        let number = index.to_string();
        let members = [r#""output_index":"#, &number, r#","item":"#, &whole];
        self.event("response.output_item.done", &members, out);
    }

    /// Keeps a piece of what an item says.
    fn add(&mut self, index: usize, piece: Text<'_>) -> Result<(), StreamFault> {
        let piece = piece.inner();
        self.kept = self.kept.saturating_add(piece.len());
        if self.kept > UPSTREAM_ANSWER_BYTES {
            return Err(StreamFault::TooLarge("answer is larger than agix takes"));
        }
        if let Some(item) = self.items.get_mut(index) {
            item.text.push_str(piece);
        }
        Ok(())
    }

    /// The members that say where in the response an event belongs.
    fn place(&self, index: usize) -> String {
        let id = self.items.get(index);
        let id = id.map(|item| item.id(self.frame.number(), index));
        format!(
            r#""item_id":"{}","output_index":{index}"#,
            id.unwrap_or_default()
        )
    }

    fn event(&mut self, kind: &str, members: &[&str], out: &mut BytesMut) {
        let number = self.next.to_string();
        self.next = self.next.saturating_add(1);
        let head = [
            "event: ",
            kind,
            "\ndata: {\"type\":\"",
            kind,
            r#"","sequence_number":"#,
            &number,
            ",",
        ];
        for piece in head.iter().chain(members).chain(&["}\n\n"]) {
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

/// The members of an error event. What the protocol has at the top stands below `error` as well,
/// where its client libraries look.
fn error(message: &str, code: &str) -> String {
    let error = json!({
        "message": message,
        "type": "upstream_error",
        "param": null,
        "code": code,
    });
    let (message, code) = (to_json(&message), to_json(&code));
    format!(r#""code":{code},"message":{message},"param":null,"error":{error}"#)
}
