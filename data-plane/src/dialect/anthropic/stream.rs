//! A streamed message, read event by event for another dialect.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Block;
use super::usage::Report;
use crate::dialect::neutral::{Step, Text, model_name};
use crate::dialect::sse::Event;
use crate::dialect::stream::{Progress, not_an_event};
use crate::dialect::translation::Teller;
use crate::dialect::{Refused, StreamFault};

/// Reads one stream.
#[derive(Debug)]
pub(in crate::dialect) struct Source {
    begun: bool,
    /// What was reported, until something was that cannot be believed.
    report: Option<Report>,
    /// Whether the message said why it ended.
    ended: bool,
    /// The block of the last call, and how many calls there were.
    call: Option<(u64, usize)>,
    calls: usize,
}

/// The members of an event that some event has.
#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default, borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) content_block: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Start<'a> {
    #[serde(default, borrow)]
    pub(super) model: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ContentDelta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(default, borrow)]
    thinking: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct MessageDelta<'a> {
    #[serde(default, borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
}

impl<'a> Wire<'a> {
    /// The event, unless it says nothing.
    pub(super) fn read(fields: &'a Event<'a>) -> Result<Option<Self>, StreamFault> {
        let text = fields.data.text();
        let is_error = fields.name == "error";
        if text.trim_ascii().is_empty() && !is_error {
            return Ok(None);
        }
        match serde_json::from_str::<Self>(text) {
            Ok(wire) if !is_error && wire.kind != "error" => Ok(Some(wire)),
            Err(_shape) if !is_error => {
                Err(StreamFault::Malformed("an event is not a JSON object"))
            }
            _ => Err(StreamFault::Refused(Refused::inside_answer(text))),
        }
    }
}

impl<'a> ContentDelta<'a> {
    /// The text that the delta adds to its block, whatever kind of text it is.
    pub(super) fn any_text(&self) -> Option<Text<'a>> {
        let texts = [self.text, self.partial_json, self.thinking];
        texts.into_iter().flatten().find_map(Text::new)
    }
}

impl Source {
    /// A source of a stream that has not begun.
    pub(in crate::dialect) fn new() -> Self {
        Self {
            begun: false,
            report: Some(Report::default()),
            ended: false,
            call: None,
            calls: 0,
        }
    }

    /// Takes one event.
    pub(in crate::dialect) fn read(
        &mut self,
        event: &[u8],
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        let fields = Event::read(event).map_err(|_garbage| not_an_event(event))?;
        let Some(wire) = Wire::read(&fields)? else {
            return Ok(());
        };
        match &*wire.kind {
            "message_start" => self.begin(&wire, progress, teller),
            "content_block_start" => self.begin_block(&wire, progress, teller),
            "content_block_delta" => self.go_on(&wire, progress, teller),
            "message_delta" => self.end(&wire, progress, teller),
            "message_stop" => {
                self.begun()?;
                if !self.ended {
                    return Err(StreamFault::Malformed("it does not say why it ended"));
                }
                progress.done = true;
                Ok(())
            }
            "ping" => teller.tell(&Step::Alive),
            // Ends of blocks, and events that are still to be invented.
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        if self.begun {
            return Err(StreamFault::Malformed("it begins twice"));
        }
        self.begun = true;
        let start: Start<'_> = part(wire.message)?;
        note_usage(&mut self.report, start.usage, progress);
        progress.model = model_name(&start.model);
        let model = progress.model.as_deref().unwrap_or_default();
        teller.tell(&Step::Begin { model })
    }

    fn begin_block(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        self.begun()?;
        let block: Block<'_> = part(wire.content_block)?;
        match &*block.kind {
            "text" => match block.text.and_then(Text::new) {
                Some(text) => say(text, progress, teller),
                None => Err(StreamFault::Malformed("a text block has no text")),
            },
            "tool_use" => {
                let (Some(id), Some(name)) = (&block.id, &block.name) else {
                    return Err(StreamFault::Malformed("a tool call lacks its id or name"));
                };
                let index = wire.index.unwrap_or_default();
                self.call = Some((index, self.calls));
                self.calls = self.calls.saturating_add(1);
                progress.pieces = progress.pieces.saturating_add(1);
                teller.tell(&Step::Call { id, name })
            }
            "thinking" | "redacted_thinking" => Ok(()),
            _ => Err(StreamFault::Malformed(
                "it has a block that was not asked for",
            )),
        }
    }

    fn go_on(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        self.begun()?;
        let delta: ContentDelta<'_> = part(wire.delta)?;
        match &*delta.kind {
            "text_delta" => match delta.text.and_then(Text::new) {
                Some(text) => say(text, progress, teller),
                None => Ok(()),
            },
            "input_json_delta" => {
                let index = wire.index.unwrap_or_default();
                let Some((_, call)) = self.call.filter(|(block, _)| *block == index) else {
                    return Err(StreamFault::Malformed(
                        "it goes on with a tool call that is not open",
                    ));
                };
                let Some(piece) = delta.partial_json.and_then(Text::new) else {
                    return Ok(());
                };
                progress.count(piece);
                teller.tell(&Step::Arguments { call, piece })
            }
            // Thinking, signatures and citations are not said to the caller.
            _ => {
                if let Some(thought) = delta.any_text() {
                    progress.count(thought);
                }
                teller.tell(&Step::Think)
            }
        }
    }

    fn end(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        self.begun()?;
        note_usage(&mut self.report, wire.usage, progress);
        let delta: MessageDelta<'_> = part(wire.delta)?;
        let Some(reason) = delta.stop_reason.filter(|_| !self.ended) else {
            return Ok(());
        };
        let finish = super::finish(&reason);
        teller.tell(&Step::End(finish))?;
        progress.finish = Some(finish);
        self.ended = true;
        Ok(())
    }

    fn begun(&self) -> Result<(), StreamFault> {
        if self.begun {
            return Ok(());
        }
        Err(StreamFault::Malformed("it goes on before it began"))
    }
}

fn say(
    text: Text<'_>,
    progress: &mut Progress,
    teller: &mut Teller<'_, '_>,
) -> Result<(), StreamFault> {
    if text.inner().is_empty() {
        return Ok(());
    }
    progress.count(text);
    teller.tell(&Step::Say(text))
}

/// Takes a report of usage in place of what an earlier one said of the same.
pub(super) fn note_usage(
    known: &mut Option<Report>,
    report: Option<&RawValue>,
    progress: &mut Progress,
) {
    if let Some(raw) = report {
        let newer = Report::read(raw);
        *known = known.zip(newer).map(|(old, new)| old.replaced_by(new));
        progress.usage = known.and_then(Report::usage);
    }
}

/// A part an event of its type must have.
pub(super) fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<T, StreamFault> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .ok_or(StreamFault::Malformed(
            "an event lacks what its type promises",
        ))
}
