//! What calls may cost that are under way, in a file: after a crash the next process on this host
//! tells the ledger what this one can tell no more.
//!
//! Rules this module keeps:
//! - Before a call is made, the file holds its reservation. Rows are written to the system, not to the
//!   disk: they outlive the process, not the machine.
//! - The file is bounded. A purse that finds no room in it is not lost, only unsettled until the end
//!   of its period if the process dies.
//! - A row that cannot be read is left out, and what it would have settled stays unsettled: nothing
//!   is guessed.
//! - One process has the file at a time.

mod row;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use agix_core::limits::JOURNAL_ROWS;

pub(super) use self::row::Row;
use self::row::{HEADER, ROW_BYTES};

/// The journal of this process.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    slots: Mutex<Slots>,
    /// Whether it was said already that the journal does not work.
    complained: AtomicBool,
}

/// A place of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

#[derive(Debug, Default)]
struct Slots {
    free: Vec<Slot>,
    /// Slots from here on were never used.
    next: u32,
}

/// What a process before left behind, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(super) row: Row,
    pub(super) slot: Slot,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be used.
    #[error("cannot use the journal {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Another process has it.
    #[error("the journal {} is in use: each proxy needs one of its own", .0.display())]
    InUse(PathBuf),
    /// It is another kind of file.
    #[error("{} is no journal of agix; name another file, or remove it", .0.display())]
    NotOurs(PathBuf),
}

impl Journal {
    /// Opens the file, or makes it, and says what was left behind in it. Blocks.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Left>), JournalError> {
        let unusable = |cause| JournalError::Unusable {
            path: path.to_owned(),
            cause,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse(path.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
        let content = read(&file).map_err(unusable)?;
        if content.is_empty() {
            file.write_all_at(&HEADER, 0).map_err(unusable)?;
        } else if !content.starts_with(&HEADER) {
            return Err(JournalError::NotOurs(path.to_owned()));
        }
        let rows = content.get(ROW_BYTES..).unwrap_or_default();
        let (left, slots) = take_stock(rows);
        let journal = Self {
            file,
            slots: Mutex::new(slots),
            complained: AtomicBool::new(false),
        };
        Ok((journal, left))
    }

    /// A place for one more purse; none if the file is full.
    pub(super) fn place(&self) -> Option<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.free.pop() {
            return Some(slot);
        }
        let slot = Slot(slots.next);
        slots.next = slots
            .next
            .checked_add(1)
            .filter(|next| *next <= JOURNAL_ROWS)?;
        Some(slot)
    }

    /// Writes how a purse stands now.
    pub(super) fn note(&self, slot: Slot, row: &Row) {
        self.write(slot, &row.encode());
    }

    /// A purse is settled for good: its place is free.
    pub(super) fn clear(&self, slot: Slot) {
        self.write(slot, &[0; ROW_BYTES]);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.free.push(slot);
    }

    fn write(&self, Slot(slot): Slot, bytes: &[u8; ROW_BYTES]) {
        let width = u64::try_from(ROW_BYTES).unwrap_or(u64::MAX);
        let offset = u64::from(slot).saturating_add(1).saturating_mul(width);
        let written = self.file.write_all_at(bytes, offset);
        match written {
            Ok(()) => self.complained.store(false, Ordering::Relaxed),
            Err(error) if !self.complained.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "the journal cannot be written: a crash would leave money unsettled");
            }
            Err(_said_already) => {}
        }
    }
}

/// The header and the rows there may be.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let most = usize::try_from(JOURNAL_ROWS).unwrap_or(usize::MAX);
    let most = most.saturating_add(1).saturating_mul(ROW_BYTES);
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut content = vec![0; size.min(most)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// What the rows say, and which places are free.
fn take_stock(rows: &[u8]) -> (Vec<Left>, Slots) {
    let mut left = Vec::new();
    let mut slots = Slots::default();
    let mut unreadable = 0_u32;
    for bytes in rows.chunks(ROW_BYTES) {
        let slot = Slot(slots.next);
        slots.next = slots.next.saturating_add(1);
        if let Some(row) = Row::decode(bytes) {
            left.push(Left { row, slot });
        } else {
            unreadable = unreadable.saturating_add(u32::from(bytes.iter().any(|it| *it != 0)));
            slots.free.push(slot);
        }
    }
    if unreadable > 0 {
        tracing::warn!(
            unreadable,
            "rows of the journal cannot be read; what they would have settled stays unsettled"
        );
    }
    (left, slots)
}

#[cfg(test)]
mod tests;
