//! The stored form of batches and snapshots around their content. Frozen: what is stored stays
//! readable.
//!
//! A batch is stored under its number: two bytes that count its further parts, then its encoding, or
//! as much of it as has room. The parts are written before, so that a batch is there as a whole or
//! not at all. A snapshot is in parts of its own; its head, written last, says how many.

use agix_core::limits::{LEDGER_BATCH_PART_BYTES, LEDGER_SNAPSHOT_PART_BYTES};
use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;

/// The form of snapshot heads written by this version.
const FORM: u8 = 1;

/// A batch as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredBatch {
    /// What is stored under the batch's number.
    pub(super) main: Bytes,
    /// What has no room there.
    pub(super) parts: Vec<Bytes>,
}

/// Which snapshot counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SnapshotHead {
    /// The last batch it contains.
    pub(super) batch: u64,
    /// Its parts.
    pub(super) parts: u16,
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// Why something of the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// It is too short to be one.
    #[error("the record is cut off")]
    Short,
    /// It is of a form this version does not know.
    #[error("the record has the form {0}, which this version of agix does not know")]
    Form(u8),
    /// It is malformed.
    #[error("the record cannot be decoded")]
    Encoding(#[source] prost::DecodeError),
    /// A part is not there.
    #[error("part {0} is missing")]
    MissingPart(u16),
    /// It claims more parts than there can be.
    #[error("it cannot have {0} parts")]
    Parts(u32),
    /// Its parts are not as long as they should be.
    #[error("its parts have {found} bytes together, not {expected}")]
    Length {
        /// What they have.
        found: u64,
        /// What they should have.
        expected: u64,
    },
    /// It has more parts than can be numbered.
    #[error("{0} bytes are too many for the parts there can be")]
    TooLarge(usize),
}

#[derive(Clone, PartialEq, Message)]
struct StoredHead {
    #[prost(uint64, tag = "1")]
    batch: u64,
    #[prost(uint32, tag = "2")]
    parts: u32,
    #[prost(uint64, tag = "3")]
    bytes: u64,
}

impl StoredBatch {
    /// Cuts an encoded batch into values of the store.
    pub(super) fn new(mut encoded: Bytes) -> Result<Self, InvalidRecord> {
        let length = encoded.len();
        let first = encoded.split_to(length.min(LEDGER_BATCH_PART_BYTES));
        let parts = cut(encoded, LEDGER_BATCH_PART_BYTES);
        let count = u16::try_from(parts.len()).map_err(|_many| InvalidRecord::TooLarge(length))?;
        let mut main = BytesMut::with_capacity(first.len().saturating_add(2));
        main.put_u16(count);
        main.put_slice(&first);
        Ok(Self {
            main: main.freeze(),
            parts,
        })
    }

    /// Reads what is stored under a batch's number: the number of its parts, and its beginning.
    pub(super) fn read(value: &Bytes) -> Result<(u16, Bytes), InvalidRecord> {
        let (count, _) = value.split_first_chunk::<2>().ok_or(InvalidRecord::Short)?;
        Ok((u16::from_be_bytes(*count), value.slice(2..)))
    }
}

impl SnapshotHead {
    /// The head of a snapshot, and the parts it comes in.
    pub(super) fn new(batch: u64, content: Bytes) -> Result<(Self, Vec<Bytes>), InvalidRecord> {
        let length = content.len();
        let parts = cut(content, LEDGER_SNAPSHOT_PART_BYTES);
        let count = u16::try_from(parts.len()).map_err(|_many| InvalidRecord::TooLarge(length))?;
        let head = Self {
            batch,
            parts: count,
            bytes: u64::try_from(length).unwrap_or(u64::MAX),
        };
        Ok((head, parts))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let stored = StoredHead {
            batch: self.batch,
            parts: u32::from(self.parts),
            bytes: self.bytes,
        };
        let mut encoded = vec![FORM];
        encoded.extend(stored.encode_to_vec());
        encoded
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, InvalidRecord> {
        let (form, rest) = value.split_first().ok_or(InvalidRecord::Short)?;
        if *form != FORM {
            return Err(InvalidRecord::Form(*form));
        }
        let StoredHead {
            batch,
            parts,
            bytes,
        } = StoredHead::decode(rest).map_err(InvalidRecord::Encoding)?;
        Ok(Self {
            batch,
            parts: u16::try_from(parts).map_err(|_many| InvalidRecord::Parts(parts))?,
            bytes,
        })
    }
}

/// Pieces of at most `size` bytes.
fn cut(mut bytes: Bytes, size: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        pieces.push(bytes.split_to(bytes.len().min(size)));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Bytes {
        (0..length)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect()
    }

    #[test]
    fn a_batch_of_any_length_comes_back_from_its_parts() {
        let room = LEDGER_BATCH_PART_BYTES;
        for (length, parts) in [(0, 0), (1, 0), (room, 0), (room + 1, 1), (3 * room + 5, 3)] {
            let stored = StoredBatch::new(bytes(length)).unwrap();
            assert_eq!(stored.parts.len(), parts);
            let (count, first) = StoredBatch::read(&stored.main).unwrap();
            assert_eq!(usize::from(count), parts);
            let whole: Vec<u8> = std::iter::once(first)
                .chain(stored.parts)
                .flatten()
                .collect();
            assert_eq!(whole, bytes(length));
        }
        assert!(matches!(
            StoredBatch::read(&Bytes::from_static(b"x")),
            Err(InvalidRecord::Short)
        ));
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let (head, parts) = SnapshotHead::new(26, bytes(LEDGER_SNAPSHOT_PART_BYTES + 7)).unwrap();
        assert_eq!((head.parts, parts.len()), (2, 2));
        assert_eq!(SnapshotHead::decode(&head.encode()).unwrap(), head);
    }

    #[test]
    fn a_head_of_another_form_is_refused() {
        assert!(matches!(
            SnapshotHead::decode(&[9, 1]),
            Err(InvalidRecord::Form(9))
        ));
        assert!(matches!(
            SnapshotHead::decode(&[]),
            Err(InvalidRecord::Short)
        ));
    }
}
