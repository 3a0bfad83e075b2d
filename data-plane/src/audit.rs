//! Audit records: one line of JSON for each request, in a file or on standard output.
//!
//! Rules this module keeps:
//! - A request never waits for the place its record goes to. Records wait in a queue of a bounded
//!   length and size, and a thread of its own writes them. What the queue cannot take, and what
//!   cannot be written, is counted, and a record says how many were lost.
//! - A record has no header, key or secret; what was asked and answered only if the policy says so.
//! - Lines are whole: after one that was torn a new line begins.

mod file;
mod line;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use agix_core::id::ProxyId;
use agix_core::limits::{
    AUDIT_BUFFER_BYTES, AUDIT_BYTES, AUDIT_FILE_BYTES, AUDIT_FILES, AUDIT_FLUSH_TIME,
    AUDIT_GATHER_TIME, AUDIT_QUEUE,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::metrics::AuditMetrics;
use crate::trail::Told;

use file::Rotating;

/// Where audit records go.
#[derive(Debug, Clone, Default)]
pub enum AuditTo {
    /// Standard output.
    #[default]
    Stdout,
    /// A file, with older ones beside it.
    File(AuditFile),
}

/// A file of audit records.
#[derive(Debug, Clone)]
pub struct AuditFile {
    /// Its path; older files have `.1`, `.2`... behind it.
    pub path: PathBuf,
    /// The size from which a new file is begun.
    pub bytes: u64,
    /// Files that are kept, the current one included.
    pub files: u32,
}

/// Takes records.
#[derive(Debug)]
pub(crate) struct Auditor {
    queue: SyncSender<Message>,
    backlog: Arc<Backlog>,
}

/// The end of the writing of records.
#[derive(Debug)]
pub(crate) struct Writing(oneshot::Receiver<()>);

/// What waits, and what was lost.
#[derive(Debug)]
struct Backlog {
    bytes: AtomicUsize,
    /// Records lost that no record tells of yet.
    untold: AtomicU64,
    metrics: AuditMetrics,
}

enum Message {
    Record(Box<Told>),
    Stop,
}

enum Place {
    Stdout,
    File(Rotating),
}

/// What the thread works with.
struct Writer {
    place: Place,
    proxy: ProxyId,
    clock: Clock,
    backlog: Arc<Backlog>,
    /// Whole lines that are not written yet.
    buffer: Vec<u8>,
    lines: u64,
    /// Whether the last write may have ended within a line.
    is_torn: bool,
}

impl AuditFile {
    /// A file of the usual bounds.
    pub const fn at(path: PathBuf) -> Self {
        Self {
            path,
            bytes: AUDIT_FILE_BYTES,
            files: AUDIT_FILES,
        }
    }
}

impl Auditor {
    /// Opens the place and starts the thread that writes.
    pub(crate) fn start(
        to: AuditTo,
        proxy: ProxyId,
        clock: Clock,
        metrics: AuditMetrics,
    ) -> io::Result<(Self, Writing)> {
        let place = match to {
            AuditTo::Stdout => Place::Stdout,
            AuditTo::File(file) => Place::File(Rotating::open(file)?),
        };
        let backlog = Arc::new(Backlog {
            bytes: AtomicUsize::new(0),
            untold: AtomicU64::new(0),
            metrics,
        });
        let (queue, records) = sync_channel(AUDIT_QUEUE);
        let (ended, writing) = oneshot::channel::<()>();
        let writer = Writer {
            place,
            proxy,
            clock,
            backlog: Arc::clone(&backlog),
            buffer: Vec::new(),
            lines: 0,
            is_torn: false,
        };
        thread::Builder::new()
            .name("agix-audit".to_owned())
            .spawn(move || {
                writer.run(&records);
                // Who waits hears that this is gone.
                drop(ended);
            })?;
        Ok((Self { queue, backlog }, Writing(writing)))
    }

    /// Takes a record, or loses it if too much waits.
    pub(crate) fn take(&self, told: Told) {
        let size = told.size();
        let waiting = self.backlog.bytes.fetch_add(size, Ordering::Relaxed);
        let fits = waiting.saturating_add(size) <= AUDIT_BYTES;
        self.backlog.metrics.waiting.inc();
        if !fits
            || self
                .queue
                .try_send(Message::Record(Box::new(told)))
                .is_err()
        {
            self.backlog.bytes.fetch_sub(size, Ordering::Relaxed);
            self.backlog.metrics.waiting.dec();
            self.backlog.lost(1);
        }
    }

    /// Has what waits written, for a bounded time.
    pub(crate) async fn stop(&self, writing: Writing) {
        let queue = self.queue.clone();
        // The queue may be full and its reader stuck, so that nobody here may wait for it.
        let told = thread::Builder::new()
            .name("agix-audit-stop".to_owned())
            .spawn(move || drop(queue.send(Message::Stop)));
        if told.is_err() || timeout(AUDIT_FLUSH_TIME, writing.0).await.is_err() {
            tracing::warn!("the last audit records were not written in time");
        }
    }
}

impl Backlog {
    fn lost(&self, records: u64) {
        self.untold.fetch_add(records, Ordering::Relaxed);
        self.metrics.lost.inc_by(records);
    }
}

impl Writer {
    fn run(mut self, records: &Receiver<Message>) {
        while let Ok(first) = records.recv() {
            // Until then a request that hands its record in wakes nobody.
            thread::sleep(AUDIT_GATHER_TIME);
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Record(told) => self.add(&told),
                    Message::Stop => {
                        self.write();
                        return;
                    }
                }
                next = records.try_recv().ok();
            }
            self.write();
        }
    }

    /// Puts a record among those that are written next.
    fn add(&mut self, told: &Told) {
        self.backlog.bytes.fetch_sub(told.size(), Ordering::Relaxed);
        self.backlog.metrics.waiting.dec();
        let line = line::of(told, &self.proxy);
        if self.buffer.len().saturating_add(line.len()) > AUDIT_BUFFER_BYTES {
            self.write();
        }
        self.buffer.extend_from_slice(&line);
        self.lines = self.lines.saturating_add(1);
    }

    /// Writes what was put together.
    fn write(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let untold = self.backlog.untold.swap(0, Ordering::Relaxed);
        let mut bytes = Vec::new();
        if self.is_torn {
            bytes.push(b'\n');
        }
        if untold > 0 {
            bytes.extend(line::lost(untold, self.clock.wall(), &self.proxy));
        }
        bytes.append(&mut self.buffer);
        let lines = std::mem::take(&mut self.lines);
        match self.place.write(&bytes) {
            Ok(()) => {
                if self.is_torn {
                    tracing::info!("audit records are written again");
                }
                self.is_torn = false;
                self.backlog.metrics.written.inc_by(lines);
            }
            Err(error) => {
                if !self.is_torn {
                    tracing::error!(%error, "audit records cannot be written");
                }
                self.is_torn = true;
                self.backlog.untold.fetch_add(untold, Ordering::Relaxed);
                self.backlog.lost(lines);
            }
        }
    }
}

impl Place {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()
            }
            Self::File(file) => file.write(lines),
        }
    }
}
