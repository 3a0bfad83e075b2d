//! A streamed message, translated event by event.

use std::borrow::Cow;

use agix_core::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Block;
use super::usage::Report;
use crate::dialect::neutral::{Step, Text};
use crate::dialect::openai::relay::DONE;
use crate::dialect::openai::write::StreamWriter;
use crate::dialect::sse::Event;
use crate::dialect::stream::{Outgoing, Progress, not_an_event};
use crate::dialect::{AnswerIds, Finish, Refused, StreamFault, StreamItemKind};

/// Translates one stream.
#[derive(Debug)]
pub(in crate::dialect) struct Translator {
    ids: AnswerIds,
    usage_asked: bool,
    /// Present once the message has begun.
    writer: Option<StreamWriter>,
    /// Whether the caller was told that it has begun. It is told with the first block, so that an
    /// error right behind the beginning can still be failed over from.
    told: bool,
    /// What was reported, until something was that cannot be believed.
    report: Option<Report>,
    /// Whether the message said why it ended.
    ended: bool,
}

/// The members of an event that some event has.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Start<'a> {
    #[serde(default, borrow)]
    model: Cow<'a, str>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ContentDelta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MessageDelta<'a> {
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

impl Translator {
    /// A translator of a stream that calls itself so.
    pub(in crate::dialect) fn new(ids: AnswerIds, usage_asked: bool) -> Self {
        Self {
            ids,
            usage_asked,
            writer: None,
            told: false,
            report: Some(Report::default()),
            ended: false,
        }
    }

    /// Takes one event.
    pub(in crate::dialect) fn read(
        &mut self,
        event: &[u8],
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let fields = Event::read(event).map_err(|_garbage| not_an_event(event))?;
        let text = fields.data.text();
        let is_error = fields.name == "error";
        if text.trim_ascii().is_empty() && !is_error {
            return Ok(());
        }
        let wire: Wire<'_> = match serde_json::from_str(text) {
            Ok(wire) if !is_error => wire,
            Err(_shape) if !is_error => {
                return Err(StreamFault::Malformed("an event is not a JSON object"));
            }
            _ => return Err(StreamFault::Refused(Refused::inside_answer(text))),
        };
        match &*wire.kind {
            "error" => Err(StreamFault::Refused(Refused::inside_answer(text))),
            "message_start" => self.begin(&wire, progress),
            "content_block_start" => self.begin_block(&wire, progress, outgoing),
            "content_block_delta" => self.go_on(&wire, progress, outgoing),
            "message_delta" => self.end(&wire, progress, outgoing),
            "message_stop" => self.finish(progress, outgoing),
            // Pings, ends of blocks, and events that are still to be invented.
            _ => Ok(()),
        }
    }

    /// Ends the stream as a bound on its length would.
    pub(in crate::dialect) fn cut(&mut self, usage: &Usage, outgoing: &mut Outgoing<'_>) {
        let ended = self.ended;
        let Ok(writer) = self.tell(outgoing) else {
            outgoing.pass(DONE, StreamItemKind::Done);
            return;
        };
        if !ended {
            let buffer = outgoing.buffer(StreamItemKind::Content);
            writer.write(&Step::End(Finish::Length), buffer);
        }
        if let Some(event) = writer.usage(usage) {
            outgoing.alone(event, StreamItemKind::Usage);
        }
        outgoing.pass(DONE, StreamItemKind::Done);
    }

    fn begin(&mut self, wire: &Wire<'_>, progress: &mut Progress) -> Result<(), StreamFault> {
        if self.writer.is_some() {
            return Err(StreamFault::Malformed("it begins twice"));
        }
        let start: Start<'_> = part(wire.message)?;
        self.note_usage(start.usage, progress);
        let model = start.model.into_owned();
        self.writer = Some(StreamWriter::new(&self.ids, &model, None, self.usage_asked));
        progress.model = (!model.is_empty()).then_some(model);
        Ok(())
    }

    fn begin_block(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let block: Block<'_> = part(wire.content_block)?;
        let said = block.said().map_err(StreamFault::Malformed)?;
        self.say(said, progress, outgoing)
    }

    fn go_on(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let delta: ContentDelta<'_> = part(wire.delta)?;
        let said = match &*delta.kind {
            "text_delta" => delta.text.and_then(Text::new),
            "input_json_delta" => {
                return Err(StreamFault::Malformed(
                    "it calls a tool that was not offered",
                ));
            }
            // Thinking, signatures and citations are not said to the caller.
            _ => None,
        };
        self.say(said, progress, outgoing)
    }

    fn say(
        &mut self,
        said: Option<Text<'_>>,
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let writer = self.tell(outgoing)?;
        if let Some(text) = said.filter(|text| !text.inner().is_empty()) {
            progress.output_bytes = progress.output_bytes.saturating_add(text.bytes());
            progress.pieces = progress.pieces.saturating_add(1);
            writer.write(&Step::Say(text), outgoing.buffer(StreamItemKind::Content));
        }
        Ok(())
    }

    fn end(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        self.note_usage(wire.usage, progress);
        let delta: MessageDelta<'_> = part(wire.delta)?;
        let Some(reason) = delta.stop_reason.filter(|_| !self.ended) else {
            return self.begun().map(|_writer| ());
        };
        let finish = super::finish(&reason).map_err(StreamFault::Malformed)?;
        let writer = self.tell(outgoing)?;
        writer.write(&Step::End(finish), outgoing.buffer(StreamItemKind::Content));
        progress.finish = Some(finish);
        self.ended = true;
        Ok(())
    }

    fn finish(
        &mut self,
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let writer = self.begun()?;
        if !self.ended {
            return Err(StreamFault::Malformed("it does not say why it ended"));
        }
        if let Some(event) = progress
            .usage
            .as_ref()
            .and_then(|usage| writer.usage(usage))
        {
            outgoing.alone(event, StreamItemKind::Usage);
        }
        writer.write(&Step::Done, outgoing.buffer(StreamItemKind::Done));
        progress.done = true;
        Ok(())
    }

    fn begun(&self) -> Result<&StreamWriter, StreamFault> {
        self.writer
            .as_ref()
            .ok_or(StreamFault::Malformed("it goes on before it began"))
    }

    /// Tells the caller that the message has begun, unless it was told.
    fn tell(&mut self, outgoing: &mut Outgoing<'_>) -> Result<&StreamWriter, StreamFault> {
        let told = std::mem::replace(&mut self.told, true);
        let writer = self.begun()?;
        if !told {
            writer.write(&Step::Begin, outgoing.buffer(StreamItemKind::Data));
        }
        Ok(writer)
    }

    fn note_usage(&mut self, report: Option<&RawValue>, progress: &mut Progress) {
        if let Some(raw) = report {
            let newer = Report::read(raw);
            self.report = self
                .report
                .zip(newer)
                .map(|(old, new)| old.replaced_by(new));
            progress.usage = self.report.and_then(Report::usage);
        }
    }
}

/// A part an event of its type must have.
fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<T, StreamFault> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .ok_or(StreamFault::Malformed(
            "an event lacks what its type promises",
        ))
}
