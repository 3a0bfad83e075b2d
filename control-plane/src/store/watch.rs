//! Watches: commits as they happen, to whoever keeps up.
//!
//! A watcher has a bounded backlog. One that falls behind further is cut off and told so, rather
//! than kept in memory or shown a gap.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agix_core::limits::{STORE_WATCH_BACKLOG, STORE_WATCH_BACKLOG_BYTES};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{BackendFailure, Entry, KeyRange, StoreKey, StoreRevision};

/// What one revision changed in the watched range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The revision.
    pub revision: StoreRevision,
    /// The changes, one a key, in the order of the keys. Never empty.
    pub events: Vec<Event>,
}

/// One changed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It has a new value.
    Put(Entry),
    /// It is gone.
    Deleted(StoreKey),
}

/// Why a watch ended, or did not begin. Whoever watches lists again and watches from there.
#[derive(Debug, thiserror::Error)]
pub enum WatchEnd {
    /// Commits that should have been delivered are compacted away.
    #[error("the store's history is compacted up to revision {at}")]
    Compacted {
        /// The newest revision whose changes are gone.
        at: StoreRevision,
    },
    /// The watcher took commits more slowly than they came.
    #[error("the watcher fell more than {STORE_WATCH_BACKLOG} events behind")]
    Lagged,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The store cannot be read now.
    #[error("the store cannot be watched")]
    Unavailable(#[source] BackendFailure),
}

/// A stream of commits.
#[derive(Debug)]
pub struct Watch {
    commits: mpsc::Receiver<Commit>,
    backlog: Arc<Backlog>,
}

/// The watchers of a store within this process.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    list: Vec<Watcher>,
}

/// The sending end of a [`Watch`].
#[derive(Debug)]
pub(super) struct Watcher {
    range: KeyRange,
    from: StoreRevision,
    commits: mpsc::Sender<Commit>,
    backlog: Arc<Backlog>,
}

/// What was sent and not yet taken.
#[derive(Debug, Default)]
struct Backlog {
    exceeded: AtomicBool,
    /// Why nothing more is sent, if the sender said so.
    end: Mutex<Option<WatchEnd>>,
    events: AtomicUsize,
    bytes: AtomicUsize,
}

/// The watcher is too far behind, or gone.
#[derive(Debug)]
pub(super) struct CutOff;

impl Watch {
    /// The next commit; waits for it. May be cancelled and called again without a loss.
    pub async fn next(&mut self) -> Result<Commit, WatchEnd> {
        let Some(commit) = self.commits.recv().await else {
            return Err(if self.backlog.exceeded.load(Ordering::Acquire) {
                WatchEnd::Lagged
            } else {
                let mut end = self
                    .backlog
                    .end
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                end.take().unwrap_or(WatchEnd::Closed)
            });
        };
        self.backlog.take(&commit);
        Ok(commit)
    }
}

impl Watcher {
    /// Both ends of a watch of the commits that touch `range`, from revision `from` on.
    pub(super) fn new(range: KeyRange, from: StoreRevision) -> (Self, Watch) {
        // Every commit has an event, so the backlog's own bound is reached first.
        let (sender, receiver) = mpsc::channel(STORE_WATCH_BACKLOG);
        let backlog = Arc::new(Backlog::default());
        let watcher = Self {
            range,
            from,
            commits: sender,
            backlog: Arc::clone(&backlog),
        };
        let watch = Watch {
            commits: receiver,
            backlog,
        };
        (watcher, watch)
    }

    /// Sends nothing more, for this reason.
    pub(super) fn end(self, end: WatchEnd) {
        let mut place = self
            .backlog
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(end);
    }

    /// Waits until nobody wants the commits any more.
    pub(super) async fn is_gone(&self) {
        self.commits.closed().await;
    }

    /// Whether the watcher wants to know of `key`.
    pub(super) fn wants(&self, key: &StoreKey) -> bool {
        self.range.contains(key)
    }

    /// Sends what the watcher wants of `commit`.
    pub(super) fn send(&self, commit: &Commit) -> Result<(), CutOff> {
        if self.commits.is_closed() {
            return Err(CutOff);
        }
        if commit.revision < self.from {
            return Ok(());
        }
        let wanted = commit.events.iter().filter(|event| self.wants(event.key()));
        let part = Commit {
            revision: commit.revision,
            events: wanted.cloned().collect(),
        };
        if part.events.is_empty() {
            return Ok(());
        }
        if !self.backlog.add(&part) || self.commits.try_send(part).is_err() {
            return Err(CutOff);
        }
        Ok(())
    }
}

impl Watchers {
    /// Sends every commit from now on to `watcher` too.
    pub(super) fn add(&mut self, watcher: Watcher) {
        self.list.push(watcher);
    }

    /// Sends `commit` to all; those that are gone or too far behind are dropped.
    pub(super) fn publish(&mut self, commit: &Commit) {
        self.list.retain(|watcher| watcher.send(commit).is_ok());
    }
}

impl Backlog {
    /// Counts `commit` as waiting; `false` if that is too much.
    fn add(&self, commit: &Commit) -> bool {
        let (events, bytes) = weight(commit);
        let waiting = self.events.load(Ordering::Acquire);
        let waiting_bytes = self.bytes.load(Ordering::Acquire);
        let fits = waiting.saturating_add(events) <= STORE_WATCH_BACKLOG
            && (waiting == 0 || waiting_bytes.saturating_add(bytes) <= STORE_WATCH_BACKLOG_BYTES);
        if fits {
            self.events.fetch_add(events, Ordering::AcqRel);
            self.bytes.fetch_add(bytes, Ordering::AcqRel);
        } else {
            self.exceeded.store(true, Ordering::Release);
        }
        fits
    }

    /// Counts `commit` as taken.
    fn take(&self, commit: &Commit) {
        let (events, bytes) = weight(commit);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.events.fetch_sub(events, Ordering::AcqRel);
    }
}

fn weight(commit: &Commit) -> (usize, usize) {
    let bytes = commit.events.iter().map(|event| match event {
        Event::Put(entry) => entry.key.as_bytes().len().saturating_add(entry.value.len()),
        Event::Deleted(key) => key.as_bytes().len(),
    });
    (commit.events.len(), bytes.sum())
}

impl Event {
    /// The key that changed.
    pub const fn key(&self) -> &StoreKey {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Deleted(key) => key,
        }
    }

    /// The new value, if the key was put.
    pub const fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Put(entry) => Some(&entry.value),
            Self::Deleted(_) => None,
        }
    }
}
