//! The store: a log that only the holder of the newest term may append to, and snapshots of it.

use std::sync::Arc;

use agix_core::ledger::{Batch, Books, Corrupt};
use agix_core::planted::{self, Bug};

/// The log and what it adds up to.
#[derive(Debug, Default)]
pub struct Store {
    /// The newest term.
    pub term: u64,
    /// What the log adds up to.
    pub books: Books,
    /// The log since the snapshot.
    tail: Vec<Arc<Batch>>,
    snapshot: Books,
    /// The whole log, if it is kept.
    log: Option<Vec<Arc<Batch>>>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log, now or since an earlier try.
    Done {
        /// Whether it is new.
        fresh: bool,
    },
    /// The term is over, or the log has another batch of this number.
    Refused,
    /// The log is damaged by it.
    Corrupt(Corrupt),
}

impl Store {
    /// An empty store. It keeps the whole log if that is asked for.
    pub fn new(keeps_log: bool) -> Self {
        Self {
            log: keeps_log.then(Vec::new),
            ..Self::default()
        }
    }

    /// Appends a batch, if the term is the newest and the batch the next.
    pub fn append(&mut self, term: u64, batch: &Arc<Batch>) -> Appended {
        if term != self.term && !planted::has(Bug::NoFence) {
            return Appended::Refused;
        }
        if batch.number <= self.books.number {
            let known = self
                .tail
                .iter()
                .rev()
                .find(|known| known.number == batch.number);
            let same = known.is_some_and(|known| Arc::ptr_eq(known, batch));
            return if same {
                Appended::Done { fresh: false }
            } else {
                Appended::Refused
            };
        }
        if let Err(corrupt) = self.books.replay(batch) {
            return Appended::Corrupt(corrupt);
        }
        self.tail.push(Arc::clone(batch));
        if let Some(log) = &mut self.log {
            log.push(Arc::clone(batch));
        }
        Appended::Done { fresh: true }
    }

    /// Makes a snapshot, and forgets what was before it but for the last batch.
    pub fn snapshot(&mut self) {
        self.snapshot = self.books.clone();
        let last = self.tail.pop();
        self.tail.clear();
        self.tail.extend(last);
    }

    /// The books as a successor reads them: from the snapshot and what follows it.
    pub fn load(&self) -> Result<Books, Corrupt> {
        let mut books = self.snapshot.clone();
        for batch in &self.tail {
            if batch.number > books.number {
                books.replay(batch)?;
            }
        }
        Ok(books)
    }

    /// The books from the whole log, if it was kept.
    pub fn replay(&self) -> Option<Result<Books, Corrupt>> {
        let log = self.log.as_ref()?;
        let mut books = Books::default();
        for batch in log {
            if let Err(corrupt) = books.replay(batch) {
                return Some(Err(corrupt));
            }
        }
        Some(Ok(books))
    }
}
