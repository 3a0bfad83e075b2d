//! A streamed message, passed on event by event.
//!
//! Every event is read, since errors and usage can come in any of them, and every byte passes. Only
//! the event that tells why the message ended, and what it cost, waits for the terminator, so that
//! no caller takes a stream that breaks off for whole.

use std::collections::BTreeSet;

use agix_core::limits::STREAM_OPEN_BLOCKS;
use agix_core::usage::Usage;
use bytes::Bytes;

use super::answer::Block;
use super::stream::{ContentDelta, MessageDelta, Start, Wire, note_usage, part};
use super::usage::Report;
use super::write;
use crate::dialect::neutral::model_name;
use crate::dialect::sse::Event;
use crate::dialect::stream::{Outgoing, Progress, not_an_event};
use crate::dialect::{Finish, StreamFault, StreamItemKind};

/// Passes one stream on.
#[derive(Debug)]
pub(in crate::dialect) struct Relay {
    begun: bool,
    /// What was reported, until something was that cannot be believed.
    report: Option<Report>,
    /// Whether the message said why it ended.
    ended: bool,
    /// The event that said so, until the next one.
    held: Option<Bytes>,
    /// The blocks that have begun and have not ended.
    open: BTreeSet<u64>,
}

impl Relay {
    /// A relay of a stream that has not begun.
    pub(in crate::dialect) fn new() -> Self {
        Self {
            begun: false,
            report: Some(Report::default()),
            ended: false,
            held: None,
            open: BTreeSet::new(),
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
        let Some(wire) = Wire::read(&fields)? else {
            outgoing.pass(event, StreamItemKind::Idle);
            return Ok(());
        };
        let begins = wire.kind == "message_start";
        if wire.kind == "ping" {
            outgoing.pass(event, StreamItemKind::Idle);
            return Ok(());
        }
        if begins == self.begun {
            return Err(StreamFault::Malformed(if begins {
                "it begins twice"
            } else {
                "it goes on before it began"
            }));
        }
        if wire.kind == "message_stop" {
            return self.finish(event, progress, outgoing);
        }
        if let Some(held) = self.held.take() {
            outgoing.pass(&held, StreamItemKind::Data);
        }
        let kind = self.note(&wire, progress)?;
        if wire.kind == "message_delta" {
            self.held = Some(event.clone());
        } else {
            outgoing.pass(event, kind);
        }
        Ok(())
    }

    /// Ends the stream as a bound on its length would.
    pub(in crate::dialect) fn cut(&mut self, usage: &Usage, outgoing: &mut Outgoing<'_>) {
        if !self.begun {
            return;
        }
        let buffer = outgoing.buffer(StreamItemKind::Content);
        for block in &self.open {
            write::block_stop(*block, buffer);
        }
        // One that does not say why it ended is no end.
        let end = match self.held.take().filter(|_| self.ended) {
            Some(held) => held,
            None => write::message_delta(Finish::Length, usage),
        };
        outgoing.alone(end, StreamItemKind::Usage);
        write::message_stop(outgoing.buffer(StreamItemKind::Done));
    }

    fn finish(
        &mut self,
        event: &[u8],
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        if !self.ended {
            return Err(StreamFault::Malformed("it does not say why it ended"));
        }
        if let Some(held) = self.held.take() {
            outgoing.alone(held, StreamItemKind::Usage);
        }
        outgoing.pass(event, StreamItemKind::Done);
        progress.done = true;
        Ok(())
    }

    /// Notes what an event tells, and says what it holds.
    fn note(
        &mut self,
        wire: &Wire<'_>,
        progress: &mut Progress,
    ) -> Result<StreamItemKind, StreamFault> {
        match &*wire.kind {
            "message_start" => {
                let start: Start<'_> = part(wire.message)?;
                note_usage(&mut self.report, start.usage, progress);
                progress.model = model_name(&start.model);
                self.begun = true;
            }
            "content_block_start" => {
                self.open.extend(wire.index);
                if self.open.len() > STREAM_OPEN_BLOCKS {
                    return Err(StreamFault::Malformed("it has too many open blocks"));
                }
                // The name of a tool is output. A text that begins has said nothing yet.
                let block = part::<Block<'_>>(wire.content_block);
                if !block.is_ok_and(|it| matches!(&*it.kind, "text" | "thinking")) {
                    progress.pieces = progress.pieces.saturating_add(1);
                }
            }
            "content_block_delta" => {
                let delta: ContentDelta<'_> = part(wire.delta)?;
                if let Some(text) = delta.any_text() {
                    progress.count(text);
                }
                return Ok(StreamItemKind::Content);
            }
            "content_block_stop" => {
                if let Some(index) = wire.index {
                    self.open.remove(&index);
                }
            }
            "message_delta" => {
                note_usage(&mut self.report, wire.usage, progress);
                let delta: MessageDelta<'_> = part(wire.delta)?;
                if let Some(reason) = delta.stop_reason {
                    progress.finish = progress.finish.or(Some(super::finish(&reason)));
                    self.ended = true;
                }
            }
            // Events that are still to be invented.
            _ => return Ok(StreamItemKind::Idle),
        }
        Ok(StreamItemKind::Data)
    }
}
