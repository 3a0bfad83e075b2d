//! A streamed completion, read event by event for another dialect. Of several choices the first is
//! told.

use std::borrow::Cow;

use agix_core::limits::ANSWER_TOOL_CALLS;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::choices::Outline;
use super::usage;
use crate::dialect::neutral::{Step, Text};
use crate::dialect::splice::is_given;
use crate::dialect::sse::Event;
use crate::dialect::stream::{Progress, not_an_event};
use crate::dialect::translation::Teller;
use crate::dialect::{Finish, Refused, StreamFault};

/// Reads one stream.
#[derive(Debug)]
pub(in crate::dialect) struct Source {
    begun: bool,
    ended: bool,
    /// The calls so far, by the numbers the provider gives them.
    calls: Vec<u64>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default, borrow)]
    delta: Option<Delta<'a>>,
    /// Of a completion of a text.
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

impl Source {
    /// A source of a stream that has not begun.
    pub(in crate::dialect) const fn new() -> Self {
        Self {
            begun: false,
            ended: false,
            calls: Vec::new(),
        }
    }

    /// Takes one event.
    pub(in crate::dialect) fn read(
        &mut self,
        event: &[u8],
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        const SHAPE: StreamFault = StreamFault::Malformed("an event is not a JSON object");
        let fields = Event::read(event).map_err(|_garbage| not_an_event(event))?;
        let data = fields.data.text();
        if data.starts_with("[DONE]") {
            return self.finish(progress);
        }
        if data.trim_ascii().is_empty() && fields.name != "error" {
            return teller.tell(&Step::Alive);
        }
        let outline = Outline::read(data).ok_or(SHAPE)?;
        let error = outline.error(data);
        if error.is_some() || fields.name == "error" {
            let error = error.unwrap_or(data);
            return Err(StreamFault::Refused(Refused::inside_answer(error)));
        }
        if outline.choices.is_some_and(|choices| choices.failed) {
            return Err(StreamFault::Malformed("a choice ended in an error"));
        }
        if progress.model.is_none() {
            progress.model = outline.model();
        }
        if let Some(report) = outline.reported() {
            progress.usage = usage::of_chat(report);
        }
        let chunk: Chunk<'_> = serde_json::from_str(data)
            .map_err(|_shape| StreamFault::Malformed("its choices have an unknown shape"))?;
        let choices = chunk.choices.unwrap_or_default();
        let first = |choice: &&Choice<'_>| choice.index.unwrap_or(0) == 0;
        let Some(choice) = choices.iter().find(first) else {
            return Ok(());
        };
        if !self.begun {
            self.begun = true;
            let model = progress.model.as_deref().unwrap_or_default();
            teller.tell(&Step::Begin { model })?;
        }
        self.choice(choice, progress, teller)
    }

    /// Takes what is left when the provider closes the stream. A terminator without its empty line
    /// counts.
    pub(in crate::dialect) fn rest(
        &mut self,
        rest: &[u8],
        progress: &mut Progress,
    ) -> Result<(), StreamFault> {
        let Ok(fields) = Event::read(rest) else {
            return Err(not_an_event(rest));
        };
        if fields.data.text().trim_ascii() == "[DONE]" {
            return self.finish(progress);
        }
        Err(StreamFault::Truncated)
    }

    fn finish(&mut self, progress: &mut Progress) -> Result<(), StreamFault> {
        if !self.begun {
            return Err(StreamFault::Malformed("it ended before it began"));
        }
        if !self.ended {
            return Err(StreamFault::Malformed("it does not say why it ended"));
        }
        progress.done = true;
        Ok(())
    }

    fn choice(
        &mut self,
        choice: &Choice<'_>,
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        if let Some(delta) = &choice.delta {
            for thought in [delta.reasoning_content, delta.reasoning] {
                if let Some(thought) = filled(thought) {
                    progress.count(thought);
                    teller.tell(&Step::Think)?;
                }
            }
            for said in [delta.content, delta.refusal] {
                if let Some(said) = filled(said) {
                    progress.count(said);
                    teller.tell(&Step::Say(said))?;
                }
            }
            for call in delta.tool_calls.iter().flatten() {
                self.call(call, progress, teller)?;
            }
        }
        if let Some(said) = filled(choice.text) {
            progress.count(said);
            teller.tell(&Step::Say(said))?;
        }
        let reason = choice.finish_reason.as_deref();
        if let Some(reason) = reason.filter(|reason| !reason.is_empty() && !self.ended) {
            self.ended = true;
            let finish = Finish::from_openai(reason);
            progress.finish = Some(finish);
            teller.tell(&Step::End(finish))?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: &CallDelta<'_>,
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        let last = self.calls.last().copied();
        let name = call.function.as_ref().and_then(|one| one.name.as_deref());
        let name = name.filter(|name| !name.is_empty());
        // Some servers do not number calls: a name then begins the next one.
        let index = match (call.index, last) {
            (Some(index), _) => index,
            (None, Some(last)) if name.is_none() => last,
            (None, last) => last.map_or(0, |last| last.saturating_add(1)),
        };
        let known = self.calls.iter().position(|one| *one == index);
        let place = match known {
            Some(place) => place,
            None => self.begin_call(index, (call.id.as_deref(), name), progress, teller)?,
        };
        let arguments = call.function.as_ref().and_then(|one| one.arguments);
        let Some(arguments) = arguments.filter(|arguments| is_given(arguments)) else {
            return Ok(());
        };
        let piece = Text::new(arguments).ok_or(StreamFault::Malformed(
            "the arguments of a tool call are not a text",
        ))?;
        progress.count(piece);
        teller.tell(&Step::Arguments { call: place, piece })
    }

    fn begin_call(
        &mut self,
        index: u64,
        (id, name): (Option<&str>, Option<&str>),
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<usize, StreamFault> {
        let name = name.ok_or(StreamFault::Malformed("a tool call has no name"))?;
        let place = self.calls.len();
        if place >= ANSWER_TOOL_CALLS {
            return Err(StreamFault::TooLarge("stream calls too many tools"));
        }
        self.calls.push(index);
        progress.pieces = progress.pieces.saturating_add(1);
        let made = format!("call_{place}");
        let id = id.filter(|id| !id.is_empty()).unwrap_or(&made);
        teller.tell(&Step::Call { id, name })?;
        Ok(place)
    }
}

/// A text that says something.
fn filled(raw: Option<&RawValue>) -> Option<Text<'_>> {
    raw.and_then(Text::new)
        .filter(|text| !text.inner().is_empty())
}
