//! The stored form of the ledger's log and of its snapshots. Frozen: what is stored stays readable.
//!
//! Rules this module keeps:
//! - The first byte names the form, the rest is protobuf; fields and kinds of entries are only ever
//!   added. A form, an entry or a value that this version does not know is an error: books that
//!   leave a fact out would be wrong.
//! - A long batch is compressed. A snapshot is compressed and ends with the SHA-256 of its content,
//!   for it stands in place of all batches before it.
//! - Both are sequences of bytes of any length: the driver cuts them into values of the store.
//! - No bytes make a decoder panic, and what they say of their length is believed block by block.

mod books;
mod entry;
mod field;
mod frame;

use agix_core::ledger::{Batch, Books, ClockMark};
use agix_core::limits::LOG_COMPRESSED_BYTES;
use agix_core::time::Wall;
use prost::Message;

use self::entry::StoredEntry;
use self::field::Field as _;

/// A batch as protobuf.
const PLAIN_BATCH: u8 = 1;
/// A batch as compressed protobuf.
const COMPRESSED_BATCH: u8 = 2;
/// A snapshot as compressed records, with their hash.
const SNAPSHOT: u8 = 1;

/// Why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidStored {
    /// They end too early.
    #[error("it is empty or cut off")]
    Short,
    /// They are of a form this version does not know.
    #[error("it has the form {0}, which this version of agix does not know")]
    Form(u8),
    /// A compressed part says it is larger than any.
    #[error("a part of it has {0} bytes, more than any part")]
    Length(u32),
    /// They cannot be decompressed.
    #[error("it cannot be decompressed")]
    Compression(#[source] lz4_flex::block::DecompressError),
    /// They are not what was written.
    #[error("its content is not what was written: it is damaged")]
    Hash,
    /// They are malformed.
    #[error("it cannot be decoded")]
    Encoding(#[source] prost::DecodeError),
    /// A field is missing, or its value means nothing to this version.
    #[error("its field `{0}` is missing or has a value that this version of agix does not know")]
    Field(&'static str),
}

#[derive(Clone, PartialEq, Message)]
struct StoredBatch {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(uint64, tag = "2")]
    at: u64,
    #[prost(message, optional, tag = "3")]
    clock: Option<StoredClock>,
    #[prost(message, repeated, tag = "4")]
    entries: Vec<StoredEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredClock {
    #[prost(sint64, tag = "1")]
    wall_unix_ms: i64,
    /// 16 bytes, the highest first; none: not known.
    #[prost(bytes = "vec", tag = "2")]
    boot: Vec<u8>,
    #[prost(uint64, tag = "3")]
    since_boot: u64,
}

/// The stored form of a batch.
pub fn encode_batch(batch: &Batch) -> Vec<u8> {
    let Batch {
        number,
        at,
        clock,
        entries,
    } = batch;
    let stored = StoredBatch {
        number: *number,
        at: at.store(),
        clock: Some(store_clock(clock)),
        entries: entries.iter().map(StoredEntry::from).collect(),
    };
    let length = stored.encoded_len();
    let mut bytes = Vec::with_capacity(length.saturating_add(1));
    bytes.push(PLAIN_BATCH);
    bytes.extend(stored.encode_to_vec());
    if length < LOG_COMPRESSED_BYTES {
        return bytes;
    }
    let plain = bytes.get(1..).unwrap_or_default();
    let mut frame = frame::Writer::new(COMPRESSED_BATCH);
    frame.write(|buffer| buffer.extend_from_slice(plain));
    frame.finish()
}

/// Reads the stored form of a batch.
pub fn decode_batch(bytes: &[u8]) -> Result<Batch, InvalidStored> {
    let stored = match bytes.split_first() {
        Some((&PLAIN_BATCH, plain)) => StoredBatch::decode(plain),
        Some((&COMPRESSED_BATCH, framed)) => StoredBatch::decode(frame::read(framed)?.as_slice()),
        Some((&form, _)) => return Err(InvalidStored::Form(form)),
        None => return Err(InvalidStored::Short),
    };
    let StoredBatch {
        number,
        at,
        clock,
        entries,
    } = stored.map_err(InvalidStored::Encoding)?;
    Ok(Batch {
        number,
        at: field::load(at, "at")?,
        clock: load_clock(clock)?,
        entries: entries
            .into_iter()
            .map(StoredEntry::read)
            .collect::<Result<_, _>>()?,
    })
}

/// The stored form of books: a snapshot.
pub fn encode_books(books: &Books) -> Vec<u8> {
    let mut frame = frame::Writer::new(SNAPSHOT);
    books::write(books, &mut frame);
    frame.finish_with_hash()
}

/// Reads a snapshot.
pub fn decode_books(bytes: &[u8]) -> Result<Books, InvalidStored> {
    match bytes.split_first() {
        Some((&SNAPSHOT, framed)) => books::read(&frame::read_with_hash(framed)?),
        Some((&form, _)) => Err(InvalidStored::Form(form)),
        None => Err(InvalidStored::Short),
    }
}

fn store_clock(clock: &ClockMark) -> StoredClock {
    let ClockMark {
        wall,
        boot,
        since_boot,
    } = clock;
    StoredClock {
        wall_unix_ms: wall.as_millis(),
        boot: match boot {
            0 => Vec::new(),
            boot => boot.to_be_bytes().to_vec(),
        },
        since_boot: *since_boot,
    }
}

fn load_clock(stored: Option<StoredClock>) -> Result<ClockMark, InvalidStored> {
    let StoredClock {
        wall_unix_ms,
        boot,
        since_boot,
    } = stored.ok_or(InvalidStored::Field("clock"))?;
    let boot = match boot.as_slice() {
        [] => 0,
        bytes => u128::from_be_bytes(
            bytes
                .try_into()
                .ok()
                .ok_or(InvalidStored::Field("clock.boot"))?,
        ),
    };
    Ok(ClockMark {
        wall: Wall::from_millis(wall_unix_ms),
        boot,
        since_boot,
    })
}

#[cfg(test)]
mod tests;
