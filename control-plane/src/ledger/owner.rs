//! Owning the ledger: one owner after the other, over all control planes of a store.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use agix_core::ledger::{Ledger, elapsed};
use agix_core::limits::{
    LEDGER_KEEP_ALIVE, LEDGER_LOG_BYTES, LEDGER_OWNERSHIP, LEDGER_QUEUE, LEDGER_TAKEOVER_PAUSE,
    STORE_RETRY_PAUSE,
};
use agix_core::quota::Term;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::commit::LogWriter;
use super::desk::{LedgerDesk, Standing};
use super::feed::Feed;
use super::load::{LoadError, Loaded};
use super::outlet::{Outlets, StreamEnd};
use super::serve::{End, Pace, Shift};
use crate::clock::Clock;
use crate::repository::Published;
use crate::store::keyspace::{Key, Shard};
use crate::store::{Acquired, Fence, LeaseError, Store};

/// Keeps a shard's ledger whenever this control plane can own it.
#[derive(Debug)]
pub struct LedgerDriver<S> {
    store: S,
    shard: Shard,
    /// What others see of this owner; differs with each start of a control plane.
    name: Bytes,
    clock: Clock,
    policy: watch::Receiver<Option<Arc<Published>>>,
    standing: watch::Sender<Standing>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Length of the log after which a snapshot is written.
    pub(super) log_bound: u64,
}

/// Why an ownership came to its end.
enum Over {
    /// The control plane stops.
    Stopped,
    /// It was lost.
    Lost,
    /// The books could not be had.
    Unread(LoadError),
}

impl<S: Store> LedgerDriver<S> {
    /// The driver of a shard, and where its ledger is asked. `name` is shown to those who ask another
    /// control plane; what it starts runs on `tasks` until `stop` is cancelled.
    pub fn new(
        store: S,
        shard: Shard,
        name: &str,
        policy: watch::Receiver<Option<Arc<Published>>>,
        clock: Clock,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> (Self, LedgerDesk) {
        let (standing, watched) = watch::channel(Standing::Starting);
        let driver = Self {
            store,
            shard,
            name: Bytes::from(format!("{name} {:016x}", fastrand::u64(..))),
            clock,
            policy,
            standing,
            tasks,
            stop,
            log_bound: LEDGER_LOG_BYTES,
        };
        (driver, LedgerDesk::new(watched))
    }

    /// Owns the ledger whenever that is possible, until the control plane stops.
    pub async fn run(self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let pause = self.try_once().await;
            stop.run_until_cancelled(sleep(pause)).await;
        }
        self.standing.send_replace(Standing::Stopped);
    }

    /// Owns the ledger once, if nobody else does; says how long to wait before the next try.
    async fn try_once(&self) -> Duration {
        let key = Key::ShardOwner(self.shard).encode();
        let acquired = Fence::acquire(self.store.clone(), key, self.name.clone(), LEDGER_OWNERSHIP);
        let fence = match acquired.await {
            Ok(Acquired::Held(fence)) => fence,
            Ok(Acquired::Taken { by }) => {
                self.is_elsewhere(&by);
                return LEDGER_TAKEOVER_PAUSE;
            }
            Err(error) => {
                let error: &dyn Error = &error;
                warn!(error, "it is not known who owns the ledger; trying again");
                return STORE_RETRY_PAUSE;
            }
        };
        let term = fence.term();
        info!(shard = %self.shard, %term, "this control plane owns the ledger");
        let mut outlets = Outlets::default();
        let over = tokio::select! {
            over = Box::pin(self.own(&fence, &mut outlets)) => over,
            () = self.keep(&fence) => Over::Lost,
        };
        let (end, pause) = match over {
            Over::Stopped => (StreamEnd::Stopping, Duration::ZERO),
            Over::Lost => {
                warn!(shard = %self.shard, %term, "the ledger's ownership is lost; starting over");
                (StreamEnd::Lost, Duration::ZERO)
            }
            Over::Unread(error) => {
                let error: &dyn Error = &error;
                error!(
                    error,
                    "the ledger cannot be read; nobody is granted anything"
                );
                (StreamEnd::Lost, STORE_RETRY_PAUSE)
            }
        };
        self.standing.send_replace(Standing::Starting);
        outlets.end_all(&end);
        match fence.release().await {
            Ok(()) | Err(LeaseError::Ended) => {
                info!(shard = %self.shard, %term, "the ledger is released");
            }
            // The next try to own it finds what is left of this one.
            Err(error) => warn!(%error, "the ledger's ownership cannot be given up"),
        }
        pause
    }

    /// Reads the books and serves them.
    async fn own(&self, fence: &Fence<S>, outlets: &mut Outlets) -> Over {
        let began = self.clock.since_boot();
        let loaded = match Loaded::read(self.store.clone(), self.shard).await {
            Ok(loaded) => loaded,
            Err(error) => return Over::Unread(error),
        };
        let mark = self.clock.mark();
        let passed = match loaded.books.number {
            // Time begins with the log.
            0 => Duration::ZERO,
            _ => elapsed(&loaded.books.clock, &mark),
        };
        let now = loaded.books.time.after(passed);
        info!(
            batch = loaded.books.number,
            replayed = loaded.batches,
            snapshot_bytes = loaded.snapshot_bytes,
            log_bytes = loaded.log_bytes,
            agents = loaded.books.agents.len(),
            took = ?self.clock.since_boot().saturating_sub(began),
            passed_since = ?passed,
            "the ledger was read"
        );
        let term = Term::new(fence.term().number());
        let (sender, requests) = mpsc::channel(LEDGER_QUEUE);
        let shift = Shift {
            log: LogWriter {
                store: self.store.clone(),
                shard: self.shard,
                fence: fence.guard(),
                stop: self.stop.clone(),
            },
            ledger: Ledger::new(loaded.books, term, now),
            term,
            clock: self.clock,
            pace: Pace::new(now, &mark),
            feed: Feed::new(self.policy.clone()),
            requests,
            outlets,
            tasks: self.tasks.clone(),
            revision: loaded.revision,
            log_bound: self.log_bound,
            log_bytes: loaded.log_bytes,
            snapshot_bytes: loaded.snapshot_bytes,
            snapshot: None,
        };
        let ready = || {
            self.standing.send_replace(Standing::Owned(sender));
        };
        match shift.serve(ready).await {
            End::Stopped => Over::Stopped,
            End::Lost => Over::Lost,
        }
    }

    /// Keeps the ownership; ends when it is lost, or cannot be known not to be.
    async fn keep(&self, fence: &Fence<S>) {
        let mut kept = self.clock.since_boot();
        loop {
            sleep(LEDGER_KEEP_ALIVE).await;
            let asked = self.clock.since_boot();
            match timeout(LEDGER_KEEP_ALIVE, fence.keep_alive()).await {
                Ok(Ok(())) => kept = asked,
                Ok(Err(LeaseError::Ended)) => return,
                Ok(Err(LeaseError::Unavailable(error))) => {
                    warn!(%error, "the ledger's ownership cannot be kept alive; trying again");
                }
                Err(_late) => warn!("the store does not answer the ledger's owner; trying again"),
            }
            if self.clock.since_boot().saturating_sub(kept) > LEDGER_OWNERSHIP {
                return;
            }
        }
    }

    fn is_elsewhere(&self, by: &Bytes) {
        // Nobody, or what was left of an ownership of our own: the next try will do.
        if by.is_empty() || *by == self.name {
            return;
        }
        let name = String::from_utf8_lossy(by);
        // The second word tells one start of a control plane from the next.
        let owner: Arc<str> = name.split(' ').next().unwrap_or_default().into();
        self.standing.send_if_modified(|standing| {
            let known = matches!(standing, Standing::Elsewhere(known) if *known == owner);
            if !known {
                info!(shard = %self.shard, %owner, "the ledger is owned by another control plane");
                *standing = Standing::Elsewhere(owner);
            }
            !known
        });
    }
}
