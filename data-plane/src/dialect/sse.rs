//! Server-sent events: where they end, and what is in one.
//!
//! A line ends with LF, CR or CRLF, in any mixture; an event ends with an empty line. Bytes may be
//! cut anywhere. An event that lies within one chunk is a slice of it and is not copied.

use agix_core::limits::{STREAM_BYTES, STREAM_EVENT_BYTES};
use bytes::{Buf, Bytes, BytesMut};

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// The beginning of an event whose end has not come.
    pending: BytesMut,
    /// Bytes taken in all.
    taken: usize,
    /// Bytes of a byte order mark seen at the beginning; all three once something else came.
    bom: usize,
    /// Where the end of the event is looked for.
    line: Line,
    /// The last event ended with a CR at the edge of a chunk and was given its LF.
    lf_given: bool,
}

/// Larger than agix takes; says what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge(pub(super) &'static str);

/// The state of the current line.
#[derive(Debug, Clone, Copy)]
struct Line {
    empty: bool,
    after_cr: bool,
}

/// The end of an event.
enum End {
    /// The event is so many bytes long.
    At(usize),
    /// It ends with the last byte, a CR, to which an LF may belong that has not come.
    AtEdge,
    /// Not among these bytes.
    Missing,
}

/// What one event says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Its name, empty if it has none.
    pub(super) name: &'a str,
    /// Its data.
    pub(super) data: Data<'a>,
}

/// The data of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Data<'a> {
    /// It has none: comments, or fields that carry nothing.
    Absent,
    /// One line of it, which is a part of the event.
    Line(&'a str),
    /// Several lines, joined with spaces, which are as good as line feeds between parts of JSON.
    Joined(String),
}

/// Not UTF-8, or with a line that no event of a stream has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnEvent;

impl Default for Line {
    fn default() -> Self {
        Self {
            empty: true,
            after_cr: false,
        }
    }
}

impl Framer {
    /// Takes the next whole event out of `chunk`, with what came before, and leaves the rest there.
    /// The empty line belongs to the event.
    pub(super) fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, TooLarge> {
        self.skip_prefix(chunk);
        let end = match self.line.find_end(chunk) {
            End::At(end) => end,
            End::AtEdge => {
                self.lf_given = true;
                return self.assemble(chunk, b"\n").map(Some);
            }
            End::Missing => {
                self.count(chunk.len())?;
                self.pending.extend_from_slice(chunk);
                chunk.clear();
                return within_event(self.pending.len()).map(|()| None);
            }
        };
        if !self.pending.is_empty() {
            let mut tail = chunk.split_to(end);
            return self.assemble(&mut tail, b"").map(Some);
        }
        self.count(end)?;
        within_event(end)?;
        Ok(Some(chunk.split_to(end)))
    }

    /// What is left once nothing more comes.
    pub(super) fn rest(&mut self) -> Bytes {
        self.pending.split().freeze()
    }

    fn assemble(&mut self, tail: &mut Bytes, end: &[u8]) -> Result<Bytes, TooLarge> {
        self.count(tail.len())?;
        within_event(self.pending.len() + tail.len())?;
        self.pending.extend_from_slice(tail);
        self.pending.extend_from_slice(end);
        tail.clear();
        Ok(self.pending.split().freeze())
    }

    /// Takes away what stands before an event and is none of it: the byte order mark, and the LF
    /// that the last event was given in advance.
    fn skip_prefix(&mut self, chunk: &mut Bytes) {
        if self.lf_given && chunk.has_remaining() {
            self.lf_given = false;
            if chunk.first() == Some(&b'\n') {
                chunk.advance(1);
            }
        }
        while let Some(expected) = BOM.get(self.bom) {
            match chunk.first() {
                Some(byte) if byte == expected => {
                    chunk.advance(1);
                    self.bom += 1;
                }
                Some(_other) => {
                    // Not a mark after all: what was taken for one is the beginning of the event.
                    let taken = BOM.get(..self.bom).unwrap_or_default();
                    self.line.empty &= taken.is_empty();
                    self.pending.extend_from_slice(taken);
                    self.bom = BOM.len();
                }
                None => return,
            }
        }
    }

    fn count(&mut self, more: usize) -> Result<(), TooLarge> {
        self.taken = self.taken.saturating_add(more);
        if self.taken > STREAM_BYTES {
            return Err(TooLarge("stream is larger than agix takes"));
        }
        Ok(())
    }
}

fn within_event(length: usize) -> Result<(), TooLarge> {
    if length > STREAM_EVENT_BYTES {
        return Err(TooLarge("stream has an event larger than agix takes"));
    }
    Ok(())
}

impl Line {
    fn find_end(&mut self, bytes: &[u8]) -> End {
        let mut from = 0;
        loop {
            let rest = bytes.get(from..).unwrap_or_default();
            let Some(length) = memchr::memchr2(b'\n', b'\r', rest) else {
                if !rest.is_empty() {
                    *self = Self {
                        empty: false,
                        after_cr: false,
                    };
                }
                return End::Missing;
            };
            let terminator = rest.get(length).copied();
            from += length + 1;
            if length == 0 && self.after_cr && terminator == Some(b'\n') {
                self.after_cr = false;
                continue;
            }
            let ends_event = length == 0 && self.empty;
            *self = Self {
                empty: true,
                after_cr: terminator == Some(b'\r'),
            };
            if !ends_event {
                continue;
            }
            let after_cr = std::mem::take(&mut self.after_cr);
            return match bytes.get(from) {
                Some(b'\n') if after_cr => End::At(from + 1),
                None if after_cr => End::AtEdge,
                _ => End::At(from),
            };
        }
    }
}

impl<'a> Event<'a> {
    /// Reads the fields of one event.
    pub(super) fn read(event: &'a [u8]) -> Result<Self, NotAnEvent> {
        let mut read = Self {
            name: "",
            data: Data::Absent,
        };
        let mut rest = std::str::from_utf8(event).map_err(|_not_text| NotAnEvent)?;
        while !rest.is_empty() {
            let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes()).unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            rest = after.get(1..).unwrap_or_default();
            if line.is_empty() {
                continue;
            }
            let colon = memchr::memchr(b':', line.as_bytes()).unwrap_or(line.len());
            let (field, value) = line.split_at_checked(colon).unwrap_or((line, ""));
            let value = value.strip_prefix(':').unwrap_or(value);
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => read.data.add(value),
                "event" => read.name = value,
                // A comment has no field name.
                "" | "id" | "retry" => {}
                _ => return Err(NotAnEvent),
            }
        }
        Ok(read)
    }
}

impl<'a> Data<'a> {
    fn add(&mut self, line: &'a str) {
        *self = match std::mem::replace(self, Self::Absent) {
            Self::Absent => Self::Line(line),
            Self::Line(first) => Self::Joined([first, line].join(" ")),
            Self::Joined(mut lines) => {
                lines.push(' ');
                lines.push_str(line);
                Self::Joined(lines)
            }
        };
    }

    /// The data, empty if there is none.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Absent => "",
            Self::Line(line) => line,
            Self::Joined(lines) => lines,
        }
    }
}

#[cfg(test)]
mod tests;
