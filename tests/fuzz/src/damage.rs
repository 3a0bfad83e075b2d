//! Damages to an input, the same for the same number.

use fastrand::Rng;

/// Pieces that mean something to one parser or another.
const TOKENS: [&str; 32] = [
    "\n\n",
    "\r",
    "\r\n",
    "data: ",
    "data: [DONE]\n\n",
    "event: error\n",
    ": alive\n\n",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    ",",
    ":",
    "-1",
    "1e308",
    "18446744073709551616",
    "\"usage\":",
    "\"error\":{}",
    "\"choices\":[]",
    "\u{feff}",
    "{{",
    "}}",
    "&a",
    "*a",
    "%",
    "sha256=",
];

/// `bytes` with a few damages; some of them put in a part of `other`.
pub fn damaged(bytes: &[u8], other: &[u8], number: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(number);
    let mut damaged = bytes.to_vec();
    for _ in 0..rng.usize(1..5) {
        let at = rng.usize(0..=damaged.len());
        let end = damaged.len().min(at + rng.usize(0..48));
        match rng.u8(0..6) {
            0 => drop(damaged.drain(at..end)),
            1 => {
                let token = TOKENS[rng.usize(0..TOKENS.len())];
                drop(damaged.splice(at..at, token.bytes()));
            }
            2 => {
                let from = rng.usize(0..=other.len());
                let to = other.len().min(from + rng.usize(0..200));
                drop(damaged.splice(at..end, other[from..to].iter().copied()));
            }
            3 => {
                let again = damaged[at..end].to_vec();
                drop(damaged.splice(at..at, again));
            }
            4 => damaged.truncate(at),
            _ => {
                if let Some(byte) = damaged.get_mut(at) {
                    *byte = rng.u8(..);
                }
            }
        }
    }
    damaged
}
