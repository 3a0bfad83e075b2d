//! A streamed response, read event by event: each is a response of its own with what is new. There is
//! no terminator but the reason why the candidate ended.

use agix_core::limits::ANSWER_TOOL_CALLS;
use serde_json::value::{RawValue, to_raw_value};

use super::answer::call_id;
use super::response::{FunctionCall, Response};
use crate::dialect::StreamFault;
use crate::dialect::neutral::{Step, Text, model_name, object_in};
use crate::dialect::sse::Event;
use crate::dialect::stream::{Progress, not_an_event};
use crate::dialect::translation::Teller;

/// Reads one stream.
#[derive(Debug)]
pub(in crate::dialect) struct Source {
    /// The answer's id, which those of its calls are made of.
    id: String,
    begun: bool,
    calls: usize,
}

impl Source {
    /// A source of a stream that has not begun.
    pub(in crate::dialect) const fn new(id: String) -> Self {
        Self {
            id,
            begun: false,
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
        let data = fields.data.text();
        if data.trim_ascii().is_empty() {
            return teller.tell(&Step::Alive);
        }
        let mut response =
            Response::read(data).ok_or(StreamFault::Malformed("an event is not a JSON object"))?;
        if let Some(refused) = response.refused() {
            return Err(StreamFault::Refused(refused));
        }
        // The counts are of all up to now: the last report is the one that counts.
        if response.usage_metadata.is_some() {
            progress.usage = response.usage();
        }
        if progress.model.is_none() {
            progress.model = model_name(&response.model_version);
        }
        let Some(mut candidate) = response.candidate() else {
            return Ok(());
        };
        if !self.begun {
            self.begun = true;
            let model = progress.model.as_deref().unwrap_or_default();
            teller.tell(&Step::Begin { model })?;
        }
        for said in candidate.parts() {
            if let Some(call) = said.function_call {
                self.call(call, progress, teller)?;
                continue;
            }
            let text = said.text.and_then(Text::new);
            if let Some(text) = text.filter(|text| !text.inner().is_empty()) {
                progress.count(text);
                teller.tell(&if said.thought {
                    Step::Think
                } else {
                    Step::Say(text)
                })?;
            }
        }
        if let Some(finish) = candidate.finish(self.calls > 0) {
            let finish = finish.map_err(StreamFault::Malformed)?;
            progress.finish = Some(finish);
            teller.tell(&Step::End(finish))?;
            progress.done = true;
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: FunctionCall<'_>,
        progress: &mut Progress,
        teller: &mut Teller<'_, '_>,
    ) -> Result<(), StreamFault> {
        const WRONG: StreamFault =
            StreamFault::Malformed("the arguments of a tool call are not a JSON object");
        let place = self.calls;
        if place >= ANSWER_TOOL_CALLS {
            return Err(StreamFault::TooLarge("stream calls too many tools"));
        }
        self.calls = place.saturating_add(1);
        let arguments = object_in(call.args.map_or("", RawValue::get)).ok_or(WRONG)?;
        let written = to_raw_value(arguments.get()).map_err(|_impossible| WRONG)?;
        let piece = Text::new(&written).ok_or(WRONG)?;
        progress.count(piece);
        let id = call_id(call.id, &self.id, place);
        teller.tell(&Step::Call {
            id: &id,
            name: &call.name,
        })?;
        teller.tell(&Step::Arguments { call: place, piece })
    }
}
