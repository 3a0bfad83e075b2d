//! Content of any length as compressed blocks.
//!
//! A block is its plain length, its compressed length (both 32 bits, the highest byte first) and the
//! compressed bytes. Blocks have a largest length, so that a reader needs to believe no other.

use agix_core::limits::CHUNK_MOST_BYTES;
use sha2::{Digest as _, Sha256};

use super::InvalidStored;

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

/// Compresses content as it is written.
pub(super) struct Writer {
    framed: Vec<u8>,
    pending: Vec<u8>,
    hash: Sha256,
}

impl Writer {
    /// Begins with the byte that names the form.
    pub(super) fn new(form: u8) -> Self {
        Self {
            framed: vec![form],
            pending: Vec::new(),
            hash: Sha256::new(),
        }
    }

    /// Appends what `write` puts at the end of a buffer.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.pending);
        if self.pending.len() < CHUNK_MOST_BYTES {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let (blocks, rest) = pending.as_chunks::<CHUNK_MOST_BYTES>();
        for block in blocks {
            self.block(block);
        }
        self.pending = rest.to_vec();
    }

    /// The framed content.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.framed
    }

    /// The framed content and its hash.
    pub(super) fn finish_with_hash(mut self) -> Vec<u8> {
        self.flush();
        self.framed.extend_from_slice(&self.hash.finalize());
        self.framed
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.block(&pending);
        }
    }

    fn block(&mut self, plain: &[u8]) {
        self.hash.update(plain);
        let compressed = lz4_flex::block::compress(plain);
        self.framed.extend_from_slice(&length(plain));
        self.framed.extend_from_slice(&length(&compressed));
        self.framed.extend_from_slice(&compressed);
    }
}

/// The content of all blocks.
pub(super) fn read(framed: &[u8]) -> Result<Vec<u8>, InvalidStored> {
    let mut content = Vec::new();
    let mut rest = framed;
    while !rest.is_empty() {
        let (plain, tail) = rest.split_first_chunk().ok_or(InvalidStored::Short)?;
        let (compressed, tail) = tail.split_first_chunk().ok_or(InvalidStored::Short)?;
        let plain = u32::from_be_bytes(*plain);
        let most = usize::try_from(plain)
            .ok()
            .filter(|length| *length <= CHUNK_MOST_BYTES)
            .ok_or(InvalidStored::Length(plain))?;
        let compressed = usize::try_from(u32::from_be_bytes(*compressed)).ok();
        let (block, tail) = compressed
            .and_then(|length| tail.split_at_checked(length))
            .ok_or(InvalidStored::Short)?;
        let block = lz4_flex::block::decompress(block, most).map_err(InvalidStored::Compression)?;
        content.extend(block);
        rest = tail;
    }
    Ok(content)
}

/// The content of all blocks, which must be what the hash after them says.
pub(super) fn read_with_hash(framed: &[u8]) -> Result<Vec<u8>, InvalidStored> {
    let (framed, hash) = framed
        .split_last_chunk::<HASH_BYTES>()
        .ok_or(InvalidStored::Short)?;
    let content = read(framed)?;
    if Sha256::digest(&content).as_slice() != hash {
        return Err(InvalidStored::Hash);
    }
    Ok(content)
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}
