//! Relaying a stream: bytes of the provider in, events of the caller's dialect out.

mod outgoing;

use agix_core::failover::Failure;
use agix_core::usage::Usage;
use bytes::Bytes;

pub(in crate::dialect) use self::outgoing::Outgoing;
use crate::dialect::neutral::Text;
use crate::dialect::openai::relay::Relay;
use crate::dialect::sse::{Framer, TooLarge};
use crate::dialect::translation::Translation;
use crate::dialect::{AnswerIds, Caller, ChatRequest, Dialect, Finish, Refused, anthropic};

/// Part of a stream in the caller's dialect: one or more whole events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamItem {
    /// The events, ready to be sent.
    pub bytes: Bytes,
    /// What is in them.
    pub kind: StreamItemKind,
}

/// What a [`StreamItem`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamItemKind {
    /// Only comments: a sign of life, nothing of the answer.
    Idle,
    /// Events of the answer, none of them with content yet.
    Data,
    /// Events of the answer, some with content.
    Content,
    /// The usage event a caller asked for, alone, so that something may be added to it.
    Usage,
    /// The terminator, with or without events before it; without bytes where the event before it was
    /// the last. Nothing follows.
    Done,
}

/// How a stream ended that is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// The provider said so, in an event of the stream.
    #[error(transparent)]
    Refused(Refused),
    /// Not of the provider's protocol.
    #[error("the provider's stream is not of its protocol: {0}")]
    Malformed(&'static str),
    /// An event or the whole stream is larger than agix takes.
    #[error("the provider's {0}")]
    TooLarge(&'static str),
    /// It ended without its terminator.
    #[error("the provider's stream ended before its terminator")]
    Truncated,
}

/// Reads one stream.
#[derive(Debug)]
pub struct StreamDecoder {
    framer: Framer,
    reader: Reader,
    progress: Progress,
    fault: Option<StreamFault>,
}

/// What a stream has told so far.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Progress {
    /// The last believable report of usage.
    pub(in crate::dialect) usage: Option<Usage>,
    /// Bytes of text that passed.
    pub(in crate::dialect) output_bytes: u64,
    /// Pieces of text that passed, each a token at least.
    pub(in crate::dialect) pieces: u64,
    /// The model, as the provider names it.
    pub(in crate::dialect) model: Option<String>,
    /// Why the first choice ended.
    pub(in crate::dialect) finish: Option<Finish>,
    /// Whether the terminator was seen.
    pub(in crate::dialect) done: bool,
}

/// The part of a decoder that knows the dialect.
#[derive(Debug)]
enum Reader {
    OpenAi(Relay),
    Anthropic(anthropic::Relay),
    Translated(Box<Translation>),
}

impl Progress {
    /// Counts a piece of text that passed, unless it is empty.
    pub(in crate::dialect) fn count(&mut self, text: Text<'_>) {
        if text.inner().is_empty() {
            return;
        }
        self.output_bytes = self.output_bytes.saturating_add(text.bytes());
        self.pieces = self.pieces.saturating_add(1);
    }
}

impl From<TooLarge> for StreamFault {
    fn from(TooLarge(what): TooLarge) -> Self {
        Self::TooLarge(what)
    }
}

impl StreamFault {
    /// The fault in terms of failover.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Refused(refused) => refused.failure(),
            Self::Malformed(_) => Failure::Malformed,
            Self::TooLarge(_) => Failure::TooLarge,
            Self::Truncated => Failure::Truncated,
        }
    }
}

impl StreamDecoder {
    /// A decoder of the answer to `request` by a provider of this dialect.
    pub fn new(dialect: Dialect, request: &ChatRequest, ids: AnswerIds) -> Self {
        let asked = request.include_usage();
        let reader = match (request.caller(), dialect) {
            (Caller::Chat, Dialect::OpenAi) => Reader::OpenAi(Relay::new(asked)),
            (Caller::Completions, Dialect::Completions) => Reader::OpenAi(Relay::of_texts(asked)),
            (Caller::Messages, Dialect::Anthropic) => Reader::Anthropic(anthropic::Relay::new()),
            (caller, dialect) => {
                Reader::Translated(Box::new(Translation::new(dialect, caller, ids, request)))
            }
        };
        Self {
            framer: Framer::default(),
            reader,
            progress: Progress::default(),
            fault: None,
        }
    }

    /// Takes the next bytes and appends what may be sent to `out`. After a fault, and after
    /// [`StreamItemKind::Done`], nothing more comes. What is in `out` when a fault is returned came
    /// before it and may be sent.
    pub fn push(&mut self, mut chunk: Bytes, out: &mut Vec<StreamItem>) -> Result<(), StreamFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut outgoing = Outgoing::new(out, chunk.clone());
        let result = self.read_events(&mut chunk, &mut outgoing);
        outgoing.flush();
        result.inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    /// The provider closed the stream. A fault unless the terminator was seen; a terminator whose
    /// empty line is missing counts, and is appended to `out`.
    pub fn finish(&mut self, out: &mut Vec<StreamItem>) -> Result<(), StreamFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.progress.done {
            return Ok(());
        }
        let rest = self.framer.rest();
        let mut outgoing = Outgoing::new(out, Bytes::new());
        let result = match &mut self.reader {
            Reader::OpenAi(relay) => relay.rest(&rest, &mut self.progress, &mut outgoing),
            Reader::Anthropic(_) if rest.trim_ascii_start().starts_with(b"{") => {
                Err(not_an_event(&rest))
            }
            Reader::Anthropic(_) => Err(StreamFault::Truncated),
            Reader::Translated(translation) => {
                translation.rest(&rest, &mut self.progress, &mut outgoing)
            }
        };
        outgoing.flush();
        result.inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    /// Ends the stream here, in the words with which it ends at a bound on its length. Nothing more
    /// comes after it.
    pub fn cut(&mut self, input_bytes: u64, out: &mut Vec<StreamItem>) {
        if self.fault.is_some() || self.progress.done {
            return;
        }
        let (usage, _) = self.billed(input_bytes);
        let mut outgoing = Outgoing::new(out, Bytes::new());
        match &mut self.reader {
            Reader::OpenAi(relay) => relay.cut(&usage, &mut outgoing),
            Reader::Anthropic(relay) => relay.cut(&usage, &mut outgoing),
            Reader::Translated(translation) => translation.cut(&usage, &mut outgoing),
        }
        outgoing.flush();
        self.fault = Some(StreamFault::Truncated);
    }

    /// How the caller is told that the stream broke off here, where its protocol has more to say of
    /// that than an error.
    pub fn broken_off(&mut self, message: &str, code: &str) -> Option<Bytes> {
        match &mut self.reader {
            Reader::Translated(translation) => translation.broken_off(message, code),
            Reader::OpenAi(_) | Reader::Anthropic(_) => None,
        }
    }

    /// Whether the terminator was seen: the stream is whole and the connection may be closed.
    pub fn is_done(&self) -> bool {
        self.progress.done
    }

    /// What the provider reported so far, believably. Final once [`StreamDecoder::is_done`].
    pub fn usage(&self) -> Option<Usage> {
        self.progress.usage
    }

    /// Bytes of text that passed, to estimate tokens where the provider reports none.
    pub fn output_bytes(&self) -> u64 {
        self.progress.output_bytes
    }

    /// Pieces of text that passed.
    pub(super) fn pieces(&self) -> u64 {
        self.progress.pieces
    }

    /// The model that answers, as the provider names it.
    pub fn model(&self) -> Option<&str> {
        self.progress.model.as_deref()
    }

    /// Why the first choice ended, once it has.
    pub fn finish_reason(&self) -> Option<Finish> {
        self.progress.finish
    }

    fn read_events(
        &mut self,
        chunk: &mut Bytes,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), StreamFault> {
        while !self.progress.done {
            let Some(event) = self.framer.next(chunk)? else {
                break;
            };
            match &mut self.reader {
                Reader::OpenAi(relay) => relay.read(&event, &mut self.progress, outgoing)?,
                Reader::Anthropic(relay) => relay.read(&event, &mut self.progress, outgoing)?,
                Reader::Translated(translation) => {
                    translation.read(&event, &mut self.progress, outgoing)?;
                }
            }
        }
        Ok(())
    }
}

/// The fault of bytes that are no event: perhaps a whole error answer instead of a stream.
pub(in crate::dialect) fn not_an_event(bytes: &[u8]) -> StreamFault {
    match crate::dialect::openai::answer::error_of(bytes) {
        Some(refused) => StreamFault::Refused(refused),
        None => StreamFault::Malformed("it is not a stream of events"),
    }
}
