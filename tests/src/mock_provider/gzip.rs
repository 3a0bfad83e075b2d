//! A gzip stream of zeros, made without holding it: one deflate block with the fixed code, one
//! literal zero and then copies of 258 bytes each, 13 bits long.

use bytes::Bytes;

use super::body::Step;

/// Header of a gzip member: deflate, no name, no time.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// Zeros one copy adds.
const COPY_BYTES: u64 = 258;
/// Copies of one repeated part: after eight, the bits are again at the same place of a byte.
const PART_COPIES: u64 = 4_096;

/// Bits in the order deflate packs them, lowest first.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, bits: &[u8]) {
        for bit in bits {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    fn copies(&mut self, count: u64) {
        for _ in 0..count {
            // Length 258 is symbol 285, the 8 bits 11000101; distance 1 is the 5 bits 00000.
            self.push(&[1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
        }
    }
}

/// The steps that send about `bytes` zeros. The end is missing, as a bomb never gets there.
pub(super) fn zeros(bytes: u64) -> Vec<Step> {
    let mut start = Bits::default();
    // The last block, with the fixed code; then the literal zero, the 8 bits 00110000.
    start.push(&[1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
    // Three bits are in the second byte: the repeated part begins with the phase it ends with.
    let mut whole = Bits {
        bytes: start.bytes.clone(),
        used: start.used,
    };
    whole.copies(PART_COPIES + 8);
    let first = start.bytes.len();
    let period = usize::try_from(PART_COPIES * 13 / 8).unwrap_or(usize::MAX);
    let part = whole.bytes.get(first..first + period).unwrap_or_default();
    // The byte at the seam holds the start's last bits and the first bits of a copy.
    let seam = whole.bytes.get(..first).unwrap_or_default();
    vec![
        Step::Send(Bytes::copy_from_slice(&HEADER)),
        Step::Send(Bytes::copy_from_slice(seam)),
        Step::Repeat(
            Bytes::copy_from_slice(part),
            bytes / COPY_BYTES / PART_COPIES + 1,
        ),
    ]
}
