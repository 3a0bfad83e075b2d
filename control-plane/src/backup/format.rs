//! The file: a mark, then frames, of which the last has the number and the hash of what was before.
//! Frozen: later versions read what this one wrote.
//!
//! A frame is one byte that names its kind, the length of its body in four bytes, and the body, a
//! protobuf message.

use agix_core::limits::BACKUP_FRAME_BYTES;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;
use sha2::{Digest as _, Sha256};

/// The beginning of every backup. The digit is the version of the format.
const MARK: &[u8] = b"agix backup 1\n";
const HEAD: u8 = 1;
const ENTRY: u8 = 2;
const END: u8 = 3;
/// Kind and length.
const FRAME_HEAD: usize = 5;

/// What goes before the entries.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Head {
    /// The version of agix that made it.
    #[prost(string, tag = "1")]
    pub(super) version: String,
    /// Larger than every term of the store.
    #[prost(uint64, tag = "2")]
    pub(super) terms: u64,
}

/// One key of the store with its value, as it is stored.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Stored {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct End {
    #[prost(uint64, tag = "1")]
    entries: u64,
    #[prost(bytes = "vec", tag = "2")]
    sha256: Vec<u8>,
}

/// One frame of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Head(Head),
    Entry(Stored),
    /// It is whole.
    End,
}

/// Why bytes are no backup.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidBackup {
    /// It begins with something else.
    #[error("this is no backup of agix, or one of a later version")]
    Mark,
    /// A frame of a kind this version does not know.
    #[error("it has a part of the kind {0}, which this version of agix does not know")]
    Kind(u8),
    /// A frame is too large.
    #[error("it has a part of {0} bytes, more than any part has")]
    Length(u32),
    /// A frame is malformed.
    #[error("a part of it cannot be decoded")]
    Encoding(#[source] prost::DecodeError),
    /// Frames in another order than they are written.
    #[error("its parts are not in order")]
    Order,
    /// Something was changed or lost.
    #[error("it is damaged: its end does not fit what is before")]
    Hash,
    /// It ends too early.
    #[error("it is cut off")]
    CutOff,
}

/// Makes the bytes of a backup.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: BytesMut,
    hash: Sha256,
    entries: u64,
}

/// Reads the bytes of a backup, however they are cut.
#[derive(Debug, Default)]
pub(super) struct Reader {
    bytes: BytesMut,
    hash: Sha256,
    entries: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Mark,
    Head,
    Entries,
    Over,
}

impl Writer {
    pub(super) fn head(&mut self, head: &Head) {
        self.put(MARK);
        self.frame(HEAD, &head.encode_to_vec());
    }

    pub(super) fn entry(&mut self, entry: &Stored) {
        self.entries = self.entries.saturating_add(1);
        self.frame(ENTRY, &entry.encode_to_vec());
    }

    pub(super) fn end(&mut self) {
        let end = End {
            entries: self.entries,
            sha256: self.hash.clone().finalize().to_vec(),
        };
        self.frame(END, &end.encode_to_vec());
    }

    /// What was written since the last time.
    pub(super) fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }

    fn frame(&mut self, kind: u8, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.put(&[kind]);
        self.put(&length.to_be_bytes());
        self.put(body);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes.put_slice(bytes);
    }
}

impl Reader {
    /// Takes in the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.put_slice(bytes);
    }

    /// The next frame; none until more bytes come.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, InvalidBackup> {
        if self.stage == Stage::Mark {
            let Some(mark) = self.bytes.get(..MARK.len()) else {
                return Ok(None);
            };
            if mark != MARK {
                return Err(InvalidBackup::Mark);
            }
            self.pass(MARK.len());
            self.stage = Stage::Head;
        }
        let Some((kind, length)) = self.frame_head() else {
            return Ok(None);
        };
        let size = usize::try_from(length).ok();
        let size = size.filter(|size| *size <= BACKUP_FRAME_BYTES);
        let size = size.ok_or(InvalidBackup::Length(length))?;
        let whole = FRAME_HEAD.saturating_add(size);
        if self.bytes.len() < whole {
            return Ok(None);
        }
        let before = self.hash.clone();
        let mut frame = self.pass(whole);
        frame.advance(FRAME_HEAD);
        self.read(kind, frame, before).map(Some)
    }

    /// Whether everything was read, to the end.
    pub(super) fn finish(&self) -> Result<(), InvalidBackup> {
        match self.stage {
            Stage::Over if self.bytes.is_empty() => Ok(()),
            Stage::Over => Err(InvalidBackup::Order),
            Stage::Mark | Stage::Head | Stage::Entries => Err(InvalidBackup::CutOff),
        }
    }

    fn read(&mut self, kind: u8, body: Bytes, before: Sha256) -> Result<Frame, InvalidBackup> {
        match (kind, self.stage) {
            (HEAD, Stage::Head) => {
                self.stage = Stage::Entries;
                let head = Head::decode(body).map_err(InvalidBackup::Encoding)?;
                Ok(Frame::Head(head))
            }
            (ENTRY, Stage::Entries) => {
                self.entries = self.entries.saturating_add(1);
                let entry = Stored::decode(body).map_err(InvalidBackup::Encoding)?;
                Ok(Frame::Entry(entry))
            }
            (END, Stage::Entries) => {
                self.stage = Stage::Over;
                let end = End::decode(body).map_err(InvalidBackup::Encoding)?;
                if end.entries != self.entries || end.sha256 != before.finalize().as_slice() {
                    return Err(InvalidBackup::Hash);
                }
                Ok(Frame::End)
            }
            (HEAD | ENTRY | END, _) => Err(InvalidBackup::Order),
            (kind, _) => Err(InvalidBackup::Kind(kind)),
        }
    }

    fn frame_head(&self) -> Option<(u8, u32)> {
        let (kind, rest) = self.bytes.split_first()?;
        let length = rest.first_chunk::<4>()?;
        Some((*kind, u32::from_be_bytes(*length)))
    }

    /// Takes bytes that are there.
    fn pass(&mut self, count: usize) -> Bytes {
        let passed = self.bytes.split_to(count).freeze();
        self.hash.update(&passed);
        passed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(entries: &[Stored]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.head(&Head {
            version: "1".to_owned(),
            terms: 7,
        });
        for entry in entries {
            writer.entry(entry);
        }
        writer.end();
        writer.take().to_vec()
    }

    fn read(bytes: &[u8], step: usize) -> Result<Vec<Stored>, InvalidBackup> {
        let mut reader = Reader::default();
        let mut entries = Vec::new();
        for part in bytes.chunks(step) {
            reader.feed(part);
            while let Some(frame) = reader.next()? {
                if let Frame::Entry(entry) = frame {
                    entries.push(entry);
                }
            }
        }
        reader.finish()?;
        Ok(entries)
    }

    fn entries() -> impl Strategy<Value = Vec<Stored>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let entry = (bytes(), bytes()).prop_map(|(key, value)| Stored { key, value });
        proptest::collection::vec(entry, 0..8)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(entries in entries(), step in 1_usize..70) {
            prop_assert_eq!(read(&written(&entries), step).unwrap(), entries);
        }

        #[test]
        fn a_changed_cut_or_longer_backup_is_refused(entries in entries(), at in any::<usize>()) {
            let bytes = written(&entries);
            let at = at % bytes.len();
            prop_assert!(read(&bytes[..at], 64).is_err());
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            prop_assert!(read(&changed, 64).is_err());
            prop_assert!(read(&[&bytes[..], b"x"].concat(), 64).is_err());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(read(&bytes, 9).is_err());
            prop_assert!(read(&[MARK, &bytes].concat(), 9).is_err());
        }
    }

    #[test]
    fn the_form_is_frozen() {
        let entry = Stored {
            key: Bytes::from_static(b"k"),
            value: Bytes::from_static(b"v"),
        };
        let bytes = written(&[entry]);
        let (beginning, end) = bytes.split_at(MARK.len() + 5 + 5 + 5 + 6);
        assert_eq!(
            beginning,
            b"agix backup 1\n\x01\0\0\0\x05\x0a\x011\x10\x07\x02\0\0\0\x06\x0a\x01k\x12\x01v"
        );
        assert_eq!(end[..9], *b"\x03\0\0\0\x24\x08\x01\x12\x20");
    }
}
