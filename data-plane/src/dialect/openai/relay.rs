//! Streams of an OpenAI-compatible provider, passed on event by event.
//!
//! Every event is read, since garbage, errors and usage can come in any of them, but only what has
//! to do with usage is touched: agix asks for it always, and the caller gets what it asked for.
//! - Not asked: the event that only carries usage is held back, and `usage` members are cut out.
//! - Asked: usage comes once, in an event of its own before the terminator, wherever and however
//!   often the provider sent it. If the provider sent none, there is none.

use agix_core::usage::Usage;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::choices::{Choices, Outline};
use super::usage;
use super::write::StreamWriter;
use crate::dialect::splice::{Edit, member_around, span_in, span_of, splice};
use crate::dialect::sse::{Data, Event};
use crate::dialect::stream::{Outgoing, Progress, not_an_event};
use crate::dialect::{Refused, StreamFault, StreamItemKind};

/// The terminator of a stream.
pub(in crate::dialect) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Passes one stream on.
#[derive(Debug)]
pub(in crate::dialect) struct Relay {
    /// Whether the caller wants usage.
    asked: bool,
    /// The member of a choice that says nothing more.
    empty: &'static str,
    /// The last usage event, held until the terminator.
    held: Option<Bytes>,
    /// Whether anything of the answer has come.
    begun: bool,
    /// The last event of the answer, which says how the stream calls itself.
    last: Bytes,
    /// The choices that have begun and have not ended, a bit for each index.
    open: u128,
}

/// The choices of an event, as they stand there.
#[derive(Deserialize)]
struct WithChoices<'a> {
    #[serde(borrow)]
    choices: &'a RawValue,
}

impl Relay {
    /// A relay for a caller that asked for usage or did not.
    pub(in crate::dialect) fn new(asked: bool) -> Self {
        Self {
            asked,
            empty: r#""delta":{}"#,
            held: None,
            begun: false,
            last: Bytes::new(),
            open: 0,
        }
    }

    /// The same for completions of a text, whose choices hold it.
    pub(in crate::dialect) fn of_texts(asked: bool) -> Self {
        Self {
            empty: r#""text":"""#,
            ..Self::new(asked)
        }
    }

    /// Takes one event.
    pub(in crate::dialect) fn read(
        &mut self,
        event: &Bytes,
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let fields = Event::read(event).map_err(|_garbage| not_an_event(event))?;
        let data = fields.data.text();
        if data.starts_with("[DONE]") {
            return self.end(event, progress, outgoing);
        }
        if data.trim_ascii().is_empty() && fields.name != "error" {
            outgoing.pass(event, StreamItemKind::Idle);
            return Ok(());
        }
        let outline =
            Outline::read(data).ok_or(StreamFault::Malformed("an event is not a JSON object"))?;
        let error = outline.error(data);
        if error.is_some() || fields.name == "error" {
            let error = error.unwrap_or(data);
            return Err(StreamFault::Refused(Refused::inside_answer(error)));
        }
        if outline.choices.is_some_and(|choices| choices.failed) {
            return Err(StreamFault::Malformed("a choice ended in an error"));
        }
        self.note(&outline, event, progress);
        match self.usage_edit(&outline, event, data) {
            Change::Nothing => outgoing.pass(event, kind_of(outline.choices)),
            Change::HoldBack => {}
            Change::Edit(edit) => pass_edited(event, &fields.data, edit, &outline, outgoing),
        }
        Ok(())
    }

    /// Takes what is left when the provider closes the stream. A terminator without its empty line
    /// counts.
    pub(in crate::dialect) fn rest(
        &mut self,
        rest: &Bytes,
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let Ok(fields) = Event::read(rest) else {
            return Err(not_an_event(rest));
        };
        if fields.data.text().trim_ascii() == "[DONE]" {
            return self.end(DONE, progress, outgoing);
        }
        Err(StreamFault::Truncated)
    }

    fn end(
        &mut self,
        event: &[u8],
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        if !self.begun {
            return Err(StreamFault::Malformed("it ended before it began"));
        }
        if let Some(held) = self.held.take() {
            outgoing.alone(held, StreamItemKind::Usage);
        }
        outgoing.pass(event, StreamItemKind::Done);
        progress.done = true;
        Ok(())
    }

    /// Ends the stream as a bound on its length would.
    pub(in crate::dialect) fn cut(&mut self, usage: &Usage, outgoing: &mut Outgoing<'_>) {
        let fields = Event::read(&self.last).ok();
        let head = fields.and_then(|fields| StreamWriter::head_of(fields.data.text()));
        if let Some(head) = head {
            let writer = StreamWriter::resumed(head, self.asked);
            writer.cut(
                self.open,
                self.empty,
                outgoing.buffer(StreamItemKind::Content),
            );
            if let Some(event) = writer.usage(usage) {
                outgoing.alone(event, StreamItemKind::Usage);
            }
        }
        outgoing.pass(DONE, StreamItemKind::Done);
    }

    fn note(&mut self, outline: &Outline<'_>, event: &Bytes, progress: &mut Progress) {
        if let Some(choices) = outline.choices {
            if choices.count > 0 {
                self.begun = true;
                self.last = event.clone();
                self.open = (self.open | choices.seen) & !choices.ended;
            }
            progress.pieces = progress.pieces.saturating_add(choices.pieces);
            progress.output_bytes = progress.output_bytes.saturating_add(choices.bytes);
            progress.finish = progress.finish.or(choices.finish);
        }
        if progress.model.is_none() {
            progress.model = outline.model();
        }
        if let Some(report) = outline.reported() {
            progress.usage = usage::of_chat(report);
        }
    }

    /// What is to be done about the usage in an event.
    fn usage_edit(&mut self, outline: &Outline<'_>, event: &Bytes, data: &str) -> Change {
        let Some(value) = outline.usage else {
            return Change::Nothing;
        };
        let span = span_in(data.as_bytes(), value);
        let reports = outline.reported().is_some();
        let alone = outline.choices.is_none_or(|choices| choices.count == 0);
        match (self.asked, reports, alone) {
            (true, false, _) => Change::Nothing,
            (true, true, true) => {
                self.held = Some(event.clone());
                Change::HoldBack
            }
            (true, true, false) => {
                self.held = without_choices(data);
                Change::Edit((span, b"null"))
            }
            (false, true, true) => Change::HoldBack,
            (false, ..) => Change::Edit((member_around(data.as_bytes(), span), b"")),
        }
    }
}

/// What is to be done to an event.
enum Change {
    Nothing,
    HoldBack,
    /// An edit of its data.
    Edit(Edit<'static>),
}

fn kind_of(choices: Option<Choices>) -> StreamItemKind {
    match choices {
        None => StreamItemKind::Idle,
        Some(choices) if choices.content => StreamItemKind::Content,
        Some(_) => StreamItemKind::Data,
    }
}

fn pass_edited(
    event: &[u8],
    data: &Data<'_>,
    (range, new): Edit<'static>,
    outline: &Outline<'_>,
    outgoing: &mut Outgoing<'_>,
) {
    let kind = kind_of(outline.choices);
    let whole = match data {
        // The data is a piece of the event: what stands around it passes too.
        Data::Line(line) => {
            event.get(span_of(event, line.as_bytes()).map_or(0, |span| span.start)..)
        }
        _ => None,
    };
    let Some(from_data) = whole else {
        let buffer = outgoing.buffer(kind);
        buffer.extend_from_slice(b"data: ");
        buffer.extend_from_slice(&splice(data.text().as_bytes(), &[(range, new)]));
        buffer.extend_from_slice(b"\n\n");
        return;
    };
    let before = event.len() - from_data.len() + range.start;
    outgoing.pass(event.get(..before).unwrap_or_default(), kind);
    outgoing.pass(new, kind);
    outgoing.pass(from_data.get(range.end..).unwrap_or_default(), kind);
}

/// The event that carries only the usage of this one.
fn without_choices(data: &str) -> Option<Bytes> {
    let parsed: WithChoices<'_> = serde_json::from_str(data).ok()?;
    let choices = span_in(data.as_bytes(), parsed.choices);
    let emptied = splice(data.as_bytes(), &[(choices, b"[]")]);
    Some([b"data: ", &emptied[..], b"\n\n"].concat().into())
}

#[cfg(test)]
mod tests;
