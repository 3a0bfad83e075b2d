//! Large content as chunks that are named by what they contain.
//!
//! - Content is cut where its own bytes say so, so that a changed line changes one or two chunks and
//!   all others are shared with the revision before.
//! - A chunk's name is the SHA-256 of its plain bytes; what is read back is checked against it.
//! - A chunk is handed to the store as: one byte that is 0, the plain length, the bytes compressed.
//!   The store seals it, if it has a key: then it begins with another byte there.

use agix_core::limits::{CHUNK_LEAST_BYTES, CHUNK_MOST_BYTES};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::store::keyspace::ChunkId;

/// Content by its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    /// How long it is.
    pub(super) bytes: u64,
    /// Its parts, in order.
    pub(super) chunks: Vec<ChunkId>,
}

/// A part of some content, not yet stored.
#[derive(Clone)]
pub(super) struct Chunk {
    pub(super) id: ChunkId,
    plain: Bytes,
}

/// Why a stored chunk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidChunk {
    /// It is cut off.
    #[error("it is cut off")]
    Short,
    /// It is of a form this version does not know.
    #[error("it has the form {0}, which this version of agix does not know")]
    Form(u8),
    /// It says it is larger than any chunk.
    #[error("it has {0} bytes, more than any chunk")]
    Length(u32),
    /// It cannot be decompressed.
    #[error("it cannot be decompressed")]
    Compression(#[source] lz4_flex::block::DecompressError),
    /// It contains something else than its name says.
    #[error("its content is not what its name says")]
    Hash,
}

/// The form of chunks written by this version. Frozen.
const FORM: u8 = 0;

impl Blob {
    /// Cuts `content` into chunks.
    pub(super) fn cut(content: &Bytes) -> (Self, Vec<Chunk>) {
        let mut rest = content.clone();
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let plain = rest.split_to(boundary(&rest));
            let id = ChunkId::new(Sha256::digest(&plain).into());
            chunks.push(Chunk { id, plain });
        }
        let blob = Self {
            bytes: u64::try_from(content.len()).unwrap_or(u64::MAX),
            chunks: chunks.iter().map(|chunk| chunk.id).collect(),
        };
        (blob, chunks)
    }
}

impl Chunk {
    /// The form in which it is stored.
    pub(super) fn stored(&self) -> Vec<u8> {
        let length = u32::try_from(self.plain.len()).unwrap_or(u32::MAX);
        let mut stored = vec![FORM];
        stored.extend_from_slice(&length.to_be_bytes());
        stored.extend(lz4_flex::block::compress(&self.plain));
        stored
    }
}

/// The plain bytes of the chunk `id`, from its stored form.
pub(super) fn plain(id: &ChunkId, stored: &[u8]) -> Result<Vec<u8>, InvalidChunk> {
    let (&form, body) = stored.split_first().ok_or(InvalidChunk::Short)?;
    if form != FORM {
        return Err(InvalidChunk::Form(form));
    }
    let (length, compressed) = body.split_first_chunk().ok_or(InvalidChunk::Short)?;
    let length = u32::from_be_bytes(*length);
    let most = usize::try_from(length)
        .ok()
        .filter(|length| *length <= CHUNK_MOST_BYTES)
        .ok_or(InvalidChunk::Length(length))?;
    let plain = lz4_flex::block::decompress(compressed, most).map_err(InvalidChunk::Compression)?;
    if plain.len() != most || Sha256::digest(&plain).as_slice() != id.as_bytes() {
        return Err(InvalidChunk::Hash);
    }
    Ok(plain)
}

/// Where the first chunk of `rest` ends: at the first place after the least length where a hash of
/// the last bytes has its upper 16 bits zero, so every 64 KiB on average, or at the most length.
fn boundary(rest: &[u8]) -> usize {
    let most = rest.len().min(CHUNK_MOST_BYTES);
    let mut hash = 0_u64;
    for (at, byte) in rest.iter().enumerate().take(most).skip(CHUNK_LEAST_BYTES) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        if hash >> 48 == 0 {
            return at.saturating_add(1);
        }
    }
    most
}

/// A random number for each byte: a shift by one forgets a byte after 64 others.
static GEAR: [u64; 256] = gear();

/// Numbers of the splitmix64 generator.
const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = 0_u64;
    let mut place = 0;
    while place < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[place] = number ^ (number >> 31);
        place += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use agix_core::limits::STORE_VALUE_BYTES;
    use proptest::prelude::*;

    use super::*;

    fn joined(chunks: &[Chunk]) -> Vec<u8> {
        let plain = chunks
            .iter()
            .map(|chunk| plain(&chunk.id, &chunk.stored()).unwrap());
        plain.flatten().collect()
    }

    fn lines(count: u32) -> Vec<u8> {
        let line = |n: u32| format!("agent-{n}: {{ requests_per_minute: {} }}\n", n % 977);
        (0..count).flat_map(|n| line(n).into_bytes()).collect()
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut noise = vec![0; bytes];
        fastrand::Rng::with_seed(7).fill(&mut noise);
        noise
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn chunks_together_are_the_content(
            seed in any::<u64>(),
            length in 0..(2 * CHUNK_MOST_BYTES),
        ) {
            let mut content = vec![0; length];
            fastrand::Rng::with_seed(seed).fill(&mut content);
            let (blob, chunks) = Blob::cut(&content.clone().into());
            prop_assert_eq!(usize::try_from(blob.bytes), Ok(length));
            prop_assert!(joined(&chunks) == content);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(plain(&ChunkId::new([0; 32]), &bytes).is_err());
        }
    }

    #[test]
    fn every_chunk_fits_a_value_of_the_store() {
        for content in [noise(1_000_000), vec![0; 1_000_000], lines(30_000)] {
            let (_, chunks) = Blob::cut(&content.into());
            for chunk in &chunks {
                assert!(chunk.plain.len() <= CHUNK_MOST_BYTES);
                assert!(chunk.stored().len() < STORE_VALUE_BYTES);
            }
        }
    }

    #[test]
    fn a_changed_inserted_or_removed_line_changes_few_chunks() {
        let before = lines(100_000);
        let ids = |content: &[u8]| -> BTreeSet<ChunkId> {
            let (blob, _) = Blob::cut(&Bytes::copy_from_slice(content));
            blob.chunks.into_iter().collect()
        };
        let old = ids(&before);
        assert!(old.len() > 20, "{} chunks", old.len());
        let middle = before.len() / 2;
        let inserted = [&before[..middle], b"one more line\n", &before[middle..]].concat();
        let removed = [&before[..middle], &before[middle + 30..]].concat();
        for after in [inserted, removed] {
            let new: Vec<_> = ids(&after).difference(&old).copied().collect();
            assert!((1..=2).contains(&new.len()), "{} new chunks", new.len());
        }
    }

    #[test]
    fn a_damaged_chunk_is_noticed_or_harmless() {
        let content = Bytes::from(lines(100));
        let (_, chunks) = Blob::cut(&content);
        let stored = chunks[0].stored();
        let mut noticed = 0;
        for at in 0..stored.len() {
            assert!(plain(&chunks[0].id, &stored[..at]).is_err(), "cut at {at}");
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            // A changed byte may still point at an equal piece of the content.
            match plain(&chunks[0].id, &damaged) {
                Ok(read) => assert_eq!(read, content, "byte {at}"),
                Err(_) => noticed += 1,
            }
        }
        assert!(noticed > stored.len() / 2);
    }
}
