//! What goes to the caller in answer to one chunk: one item where nothing forbids it, and a slice of
//! the chunk where nothing was changed.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::dialect::splice::span_of;
use crate::dialect::{StreamItem, StreamItemKind};

/// Room for events that are written anew; a buffer grows if that is not enough.
const ROOM: usize = 512;

/// Collects the events of one chunk.
#[derive(Debug)]
pub(in crate::dialect) struct Outgoing<'a> {
    out: &'a mut Vec<StreamItem>,
    chunk: Bytes,
    /// The part of the chunk that passes as it came.
    run: Range<usize>,
    /// Everything collected, once it is no longer one part of the chunk.
    copy: BytesMut,
    kind: StreamItemKind,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(out: &'a mut Vec<StreamItem>, chunk: Bytes) -> Self {
        Self {
            out,
            chunk,
            run: 0..0,
            copy: BytesMut::new(),
            kind: StreamItemKind::Idle,
        }
    }

    /// Passes a piece of the stream on as it came.
    pub(in crate::dialect) fn pass(&mut self, piece: &[u8], kind: StreamItemKind) {
        self.kind = self.kind.max(kind);
        if self.copy.is_empty()
            && let Some(span) = span_of(&self.chunk, piece)
        {
            if self.run.is_empty() {
                self.run = span;
                return;
            }
            if self.run.end == span.start {
                self.run.end = span.end;
                return;
            }
        }
        self.buffer(kind).extend_from_slice(piece);
    }

    /// A buffer to write events into.
    pub(in crate::dialect) fn buffer(&mut self, kind: StreamItemKind) -> &mut BytesMut {
        self.kind = self.kind.max(kind);
        if self.copy.is_empty() {
            self.copy.reserve(self.chunk.len() + ROOM);
            let run = std::mem::take(&mut self.run);
            self.copy
                .extend_from_slice(self.chunk.get(run).unwrap_or_default());
        }
        &mut self.copy
    }

    /// Ends the item begun.
    pub(in crate::dialect) fn flush(&mut self) {
        let run = std::mem::take(&mut self.run);
        let bytes = if self.copy.is_empty() {
            self.chunk.slice(run)
        } else {
            self.copy.split().freeze()
        };
        let kind = std::mem::replace(&mut self.kind, StreamItemKind::Idle);
        if !bytes.is_empty() {
            self.out.push(StreamItem { bytes, kind });
        }
    }

    /// An item of its own.
    pub(in crate::dialect) fn alone(&mut self, bytes: Bytes, kind: StreamItemKind) {
        self.flush();
        self.out.push(StreamItem { bytes, kind });
    }
}
