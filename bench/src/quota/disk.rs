//! The disk alone, for comparison: every commit of an embedded store waits for it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::clock;
use crate::stats::{self, Ranks};

/// Writes of the disk alone.
const WRITES: usize = 500;
/// Bytes of each.
const BYTES: usize = 4_096;

/// A few kilobytes written and made durable, again and again.
pub(super) fn alone(dir: &Path) -> io::Result<Option<Ranks>> {
    let mut file = File::create(dir.join("disk"))?;
    let bytes = [7; BYTES];
    let mut samples = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let began = clock::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        samples.push(stats::nanos(clock::now() - began));
    }
    Ok(stats::ranks(samples))
}
