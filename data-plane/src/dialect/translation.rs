//! A stream of one dialect told in another: a source reads the provider's events as steps, a teller
//! writes the steps as events of the caller.
//!
//! The beginning is told together with the first step that follows it, so that an error right behind
//! the beginning can still be failed over from.

use agix_core::units::Tokens;
use agix_core::usage::Usage;
use bytes::Bytes;

use crate::dialect::estimate::tokens_of;
use crate::dialect::neutral::Step;
use crate::dialect::stream::{Outgoing, Progress};
use crate::dialect::{
    AnswerIds, Caller, ChatRequest, Dialect, Finish, StreamFault, StreamItemKind, anthropic,
    completions, gemini, openai, responses,
};

/// One stream under translation.
#[derive(Debug)]
pub(in crate::dialect) struct Translation {
    source: Source,
    writer: Writer,
}

/// The part that knows the provider's dialect.
#[derive(Debug)]
enum Source {
    OpenAi(openai::stream::Source),
    Anthropic(anthropic::Source),
    Gemini(gemini::Source),
}

/// The part that knows the caller's dialect, and how far the stream has got.
#[derive(Debug)]
struct Writer {
    kind: Kind,
    /// The model of a stream that has begun and was not told of.
    untold: Option<String>,
    told: bool,
    ended: bool,
}

#[derive(Debug)]
enum Kind {
    Chat(openai::write::StreamWriter),
    Messages(anthropic::StreamWriter),
    Responses(Box<responses::StreamWriter>),
    Completions(completions::StreamWriter),
}

/// Writes steps for the caller.
#[derive(Debug)]
pub(in crate::dialect) struct Teller<'t, 'o> {
    writer: &'t mut Writer,
    outgoing: &'t mut Outgoing<'o>,
}

impl Translation {
    /// Of a stream of this dialect for this caller.
    pub(in crate::dialect) fn new(
        dialect: Dialect,
        caller: Caller,
        ids: AnswerIds,
        request: &ChatRequest,
    ) -> Self {
        let usage_asked = request.include_usage();
        let input = tokens_of(request.body().len());
        Self {
            source: match dialect {
                Dialect::OpenAi | Dialect::Completions => {
                    Source::OpenAi(openai::stream::Source::new())
                }
                Dialect::Anthropic => Source::Anthropic(anthropic::Source::new()),
                Dialect::Gemini => Source::Gemini(gemini::Source::new(ids.id.clone())),
            },
            writer: Writer {
                kind: match caller {
                    Caller::Chat => {
                        Kind::Chat(openai::write::StreamWriter::new(&ids, None, usage_asked))
                    }
                    Caller::Messages => Kind::Messages(anthropic::StreamWriter::new(ids.id, input)),
                    Caller::Responses => {
                        Kind::Responses(Box::new(responses::StreamWriter::new(&ids, request)))
                    }
                    Caller::Completions => {
                        Kind::Completions(completions::StreamWriter::new(ids, usage_asked))
                    }
                },
                untold: None,
                told: false,
                ended: false,
            },
        }
    }

    /// Takes one event.
    pub(in crate::dialect) fn read(
        &mut self,
        event: &[u8],
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        let mut teller = Teller {
            writer: &mut self.writer,
            outgoing,
        };
        match &mut self.source {
            Source::OpenAi(source) => source.read(event, progress, &mut teller)?,
            Source::Anthropic(source) => source.read(event, progress, &mut teller)?,
            Source::Gemini(source) => source.read(event, progress, &mut teller)?,
        }
        if progress.done {
            self.finish(progress, outgoing);
        }
        Ok(())
    }

    /// Takes what is left when the provider closes the stream.
    pub(in crate::dialect) fn rest(
        &mut self,
        rest: &[u8],
        progress: &mut Progress,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        if rest.trim_ascii_start().starts_with(b"{") {
            return Err(crate::dialect::stream::not_an_event(rest));
        }
        match &mut self.source {
            Source::OpenAi(source) => source.rest(rest, progress)?,
            Source::Anthropic(_) | Source::Gemini(_) => return Err(StreamFault::Truncated),
        }
        self.finish(progress, outgoing);
        Ok(())
    }

    /// Ends the stream as a bound on its length would.
    pub(in crate::dialect) fn cut(&mut self, usage: &Usage, outgoing: &mut Outgoing<'_>) {
        if self.writer.told || self.writer.untold.is_some() {
            if !self.writer.ended {
                // Only pieces of calls can be refused.
                drop(self.writer.write(&Step::End(Finish::Length), outgoing));
            }
            self.writer.usage(usage, outgoing);
        }
        self.writer.done(outgoing);
    }

    fn finish(&mut self, progress: &Progress, outgoing: &mut Outgoing<'_>) {
        let seen = Usage {
            output: Tokens::new(progress.pieces),
            ..Usage::default()
        };
        let usage = progress.usage.as_ref();
        match (&mut self.writer.kind, usage) {
            (Kind::Responses(writer), _) => {
                outgoing.alone(writer.ended(usage), StreamItemKind::Usage);
            }
            (_, Some(usage)) => self.writer.usage(usage, outgoing),
            (Kind::Messages(_), None) => self.writer.usage(&seen, outgoing),
            (Kind::Chat(_) | Kind::Completions(_), None) => {}
        }
        self.writer.done(outgoing);
    }

    /// How the caller is told that the stream broke off, where its protocol has more to say of that
    /// than an error.
    pub(in crate::dialect) fn broken_off(&mut self, message: &str, code: &str) -> Option<Bytes> {
        match &mut self.writer.kind {
            Kind::Responses(writer) if self.writer.told => Some(writer.broken_off(message, code)),
            Kind::Responses(_) | Kind::Chat(_) | Kind::Messages(_) | Kind::Completions(_) => None,
        }
    }
}

impl Teller<'_, '_> {
    /// Tells the caller of one step.
    pub(in crate::dialect) fn tell(&mut self, step: &Step<'_>) -> Result<(), StreamFault> {
        self.writer.write(step, self.outgoing)
    }
}

impl Writer {
    fn write(&mut self, step: &Step<'_>, outgoing: &mut Outgoing<'_>) -> Result<(), StreamFault> {
        match step {
            Step::Begin { model } => {
                self.untold = Some((*model).to_owned());
                return Ok(());
            }
            Step::Alive if !self.told => return Ok(()),
            Step::Alive | Step::Think if self.told => {
                let buffer = outgoing.buffer(StreamItemKind::Idle);
                match &self.kind {
                    Kind::Chat(_) => openai::write::StreamWriter::alive(buffer),
                    Kind::Messages(_) => anthropic::StreamWriter::alive(buffer),
                    Kind::Responses(_) => responses::StreamWriter::alive(buffer),
                    Kind::Completions(_) => completions::StreamWriter::alive(buffer),
                }
                return Ok(());
            }
            _ => {}
        }
        let buffer = outgoing.buffer(StreamItemKind::Content);
        if let Some(model) = self.untold.take() {
            self.told = true;
            match &mut self.kind {
                Kind::Chat(writer) => writer.begin(&model, buffer),
                Kind::Messages(writer) => writer.begin(&model, buffer),
                Kind::Responses(writer) => writer.begin(&model, buffer),
                Kind::Completions(writer) => writer.begin(&model),
            }
        }
        match &mut self.kind {
            Kind::Chat(writer) => writer.write(step, buffer),
            Kind::Messages(writer) => match step {
                Step::Say(text) => writer.say(*text, buffer),
                Step::Call { id, name } => writer.call(id, name, buffer),
                Step::Arguments { call, piece } => writer.arguments(*call, *piece, buffer)?,
                Step::End(finish) => writer.end(*finish, buffer),
                Step::Begin { .. } | Step::Think | Step::Alive => {}
            },
            Kind::Completions(writer) => match step {
                Step::Say(text) => writer.say(*text, buffer),
                Step::End(finish) => writer.end(*finish, buffer),
                Step::Call { .. } | Step::Arguments { .. } => {
                    return Err(completions::StreamWriter::called());
                }
                Step::Begin { .. } | Step::Think | Step::Alive => {}
            },
            Kind::Responses(writer) => match step {
                Step::Say(text) => writer.say(*text, buffer)?,
                Step::Call { id, name } => writer.call(id, name, buffer),
                Step::Arguments { call, piece } => writer.arguments(*call, *piece, buffer)?,
                Step::End(finish) => writer.end(*finish, buffer),
                Step::Begin { .. } | Step::Think | Step::Alive => {}
            },
        }
        self.ended |= matches!(step, Step::End(_));
        Ok(())
    }

    fn usage(&mut self, usage: &Usage, outgoing: &mut Outgoing<'_>) {
        let event = match &mut self.kind {
            Kind::Chat(writer) => writer.usage(usage),
            Kind::Messages(writer) => Some(writer.usage(usage)),
            Kind::Responses(writer) => Some(writer.ended(Some(usage))),
            Kind::Completions(writer) => writer.usage(usage),
        };
        if let Some(event) = event {
            outgoing.alone(event, StreamItemKind::Usage);
        }
    }

    fn done(&self, outgoing: &mut Outgoing<'_>) {
        match &self.kind {
            Kind::Chat(_) => {
                let buffer = outgoing.buffer(StreamItemKind::Done);
                buffer.extend_from_slice(openai::relay::DONE);
            }
            Kind::Messages(_) => {
                anthropic::StreamWriter::done(outgoing.buffer(StreamItemKind::Done));
            }
            Kind::Completions(_) => {
                completions::StreamWriter::done(outgoing.buffer(StreamItemKind::Done));
            }
            // The event with the usage was the terminator.
            Kind::Responses(_) => outgoing.alone(Bytes::new(), StreamItemKind::Done),
        }
    }
}
