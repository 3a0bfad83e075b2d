//! Audit records: one line of JSON for each request, in a file or on standard output.
//!
//! Rules this module keeps:
//! - A request never waits for the place its record goes to. It writes its line into a lane, of which
//!   there are several so that workers do not meet, and a thread of its own takes the lines from there
//!   some time later, so that a request wakes it seldom. What the lanes cannot take, and what cannot be
//!   written, is counted, and a record says how many were lost.
//! - A record has no header, key or secret; what was asked and answered only if the policy says so.
//! - Lines are whole: after one that was torn a new line begins.

mod file;
mod lane;
mod line;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};

use agix_core::id::ProxyId;
use agix_core::limits::{
    AUDIT_BUFFER_BYTES, AUDIT_FILE_BYTES, AUDIT_FILES, AUDIT_FLUSH_TIME, AUDIT_GATHER_TIME,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::metrics::AuditMetrics;
use crate::trail::Told;

use file::Rotating;
use lane::{Lanes, Taken};

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
    backlog: Arc<Backlog>,
    writer: Thread,
}

/// The end of the writing of records.
#[derive(Debug)]
pub(crate) struct Writing(oneshot::Receiver<()>);

/// What waits, and what was lost.
#[derive(Debug)]
struct Backlog {
    lanes: Lanes,
    proxy: ProxyId,
    /// Records lost that no record tells of yet.
    untold: AtomicU64,
    is_over: AtomicBool,
    metrics: AuditMetrics,
}

enum Place {
    Stdout,
    File(Rotating),
}

/// What the thread works with.
struct Writer {
    place: Place,
    clock: Clock,
    backlog: Arc<Backlog>,
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
            lanes: Lanes::default(),
            proxy,
            untold: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            metrics,
        });
        let (ended, writing) = oneshot::channel::<()>();
        let writer = Writer {
            place,
            clock,
            backlog: Arc::clone(&backlog),
            is_torn: false,
        };
        let thread = thread::Builder::new()
            .name("agix-audit".to_owned())
            .spawn(move || {
                writer.run();
                // Who waits hears that this is gone.
                drop(ended);
            })?;
        let writer = thread.thread().clone();
        Ok((Self { backlog, writer }, Writing(writing)))
    }

    /// Takes a record, or loses it if too much waits.
    pub(crate) fn take(&self, told: &Told<'_>) {
        let backlog = &*self.backlog;
        match backlog.lanes.take(told, &backlog.proxy) {
            Taken::First => {
                backlog.metrics.waiting.inc();
                self.writer.unpark();
            }
            Taken::Beside => {
                backlog.metrics.waiting.inc();
            }
            Taken::Full => backlog.lost(1),
        }
    }

    /// Has what waits written, for a bounded time.
    pub(crate) async fn stop(&self, writing: Writing) {
        self.backlog.is_over.store(true, Ordering::Release);
        self.writer.unpark();
        if timeout(AUDIT_FLUSH_TIME, writing.0).await.is_err() {
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
    fn run(mut self) {
        let mut lines = Vec::new();
        loop {
            // Whoever fills an empty lane, or ends the proxy, has this go on.
            thread::park();
            // Until then a request that hands its record in wakes nobody.
            thread::sleep(AUDIT_GATHER_TIME);
            let is_over = self.backlog.is_over.load(Ordering::Acquire);
            for lane in 0..self.backlog.lanes.count() {
                self.backlog.lanes.swap(lane, &mut lines);
                self.write(&lines);
                lines.clear();
            }
            if is_over {
                return;
            }
        }
    }

    /// Writes lines, not too many at once.
    fn write(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            let (now, later) = lines.split_at(whole_lines(lines));
            self.write_at_once(now);
            lines = later;
        }
    }

    fn write_at_once(&mut self, lines: &[u8]) {
        let backlog = Arc::clone(&self.backlog);
        let count = memchr::memchr_iter(b'\n', lines).count();
        let (untold, count) = (
            backlog.untold.swap(0, Ordering::Relaxed),
            u64::try_from(count).unwrap_or(u64::MAX),
        );
        let mut before = Vec::new();
        if self.is_torn {
            before.push(b'\n');
        }
        if untold > 0 {
            before.extend(line::lost(untold, self.clock.wall(), &backlog.proxy));
        }
        let written = if before.is_empty() {
            self.place.write(lines)
        } else {
            before.extend_from_slice(lines);
            self.place.write(&before)
        };
        let gone = i64::try_from(count).unwrap_or(i64::MAX);
        backlog.metrics.waiting.dec_by(gone);
        match written {
            Ok(()) => {
                if self.is_torn {
                    tracing::info!("audit records are written again");
                }
                self.is_torn = false;
                backlog.metrics.written.inc_by(count);
            }
            Err(error) => {
                if !self.is_torn {
                    tracing::error!(%error, "audit records cannot be written");
                }
                self.is_torn = true;
                backlog.untold.fetch_add(untold, Ordering::Relaxed);
                backlog.lost(count);
            }
        }
    }
}

/// The bytes of as many lines as are written at once: one at least.
fn whole_lines(lines: &[u8]) -> usize {
    let most = lines.get(..AUDIT_BUFFER_BYTES).unwrap_or(lines);
    let end = memchr::memrchr(b'\n', most).or_else(|| memchr::memchr(b'\n', lines));
    end.map_or(lines.len(), |end| end.saturating_add(1))
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
