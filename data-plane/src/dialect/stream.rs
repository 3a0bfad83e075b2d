//! Relaying a stream: bytes of the provider in, events of the caller's dialect out.

use agix_core::failover::Failure;
use agix_core::usage::Usage;
use bytes::Bytes;

use crate::dialect::{AnswerIds, ChatRequest, Dialect, Finish, Refused};

/// Part of a stream in the caller's dialect: one or more whole events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamItem {
    /// The events, ready to be sent.
    pub bytes: Bytes,
    /// What is in them.
    pub kind: StreamItemKind,
}

/// What a [`StreamItem`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamItemKind {
    /// Only comments: a sign of life, nothing of the answer.
    Idle,
    /// Events of the answer, none of them with content yet.
    Data,
    /// Events of the answer, some with content.
    Content,
    /// The usage event a caller asked for, alone, so that something may be added to it.
    Usage,
    /// The terminator. Nothing follows.
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

impl StreamFault {
    /// The fault in terms of failover.
    pub fn failure(&self) -> Failure {
        todo!()
    }
}

/// Reads one stream.
#[derive(Debug)]
pub struct StreamDecoder {}

impl StreamDecoder {
    /// A decoder of the answer to `request` by a provider of this dialect.
    pub fn new(dialect: Dialect, request: &ChatRequest, ids: AnswerIds) -> Self {
        todo!()
    }

    /// Takes the next bytes and appends what may be sent to `out`. After a fault, and after
    /// [`StreamItemKind::Done`], nothing more comes. What is in `out` when a fault is returned came
    /// before it and may be sent.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<StreamItem>) -> Result<(), StreamFault> {
        todo!()
    }

    /// The provider closed the stream. A fault unless the terminator was seen.
    pub fn finish(&mut self) -> Result<(), StreamFault> {
        todo!()
    }

    /// Whether the terminator was seen: the stream is whole and the connection may be closed.
    pub fn is_done(&self) -> bool {
        todo!()
    }

    /// What the provider billed, as far as it said so.
    pub fn usage(&self) -> Option<Usage> {
        todo!()
    }

    /// Bytes of text that passed, to estimate tokens where the provider reports none.
    pub fn output_bytes(&self) -> u64 {
        todo!()
    }

    /// The model that answers, as the provider names it.
    pub fn model(&self) -> Option<&str> {
        todo!()
    }

    /// Why the first choice ended, once it has.
    pub fn finish_reason(&self) -> Option<Finish> {
        todo!()
    }
}
