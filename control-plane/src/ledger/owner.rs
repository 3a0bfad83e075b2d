//! Owning the ledger: one owner after the other, over all control planes of a store.

use std::sync::Arc;
use std::time::Duration;

use agix_core::ledger::{Ledger, elapsed};
use agix_core::limits::{LEDGER_LOG_BYTES, LEDGER_QUEUE};
use agix_core::quota::Term;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::commit::LogWriter;
use super::desk::{LedgerDesk, Request};
use super::feed::Feed;
use super::load::{LoadError, Loaded};
use super::serve::{End, Pace, Shift};
use crate::clock::Clock;
use crate::owned::{Outlets, Over, Owned, Tenant, Tenure};
use crate::repository::Published;
use crate::store::keyspace::{Key, Shard};
use crate::store::{Fence, Store, term_base};

/// What is owned, in messages.
pub(super) const LEDGER: &str = "the ledger";

/// Keeps a shard's ledger whenever this control plane can own it.
#[derive(Debug)]
pub struct LedgerDriver<S> {
    tenure: Tenure<S, Request>,
    owner: Owner,
}

/// What an owner of the ledger needs.
#[derive(Debug)]
struct Owner {
    shard: Shard,
    policy: watch::Receiver<Option<Arc<Published>>>,
    tasks: TaskTracker,
    /// Length of the log after which a snapshot is written.
    log_bound: u64,
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
        let key = Key::ShardOwner(shard);
        let (tenure, desk) = Tenure::new(store, (LEDGER, key), name, clock, stop);
        let owner = Owner {
            shard,
            policy,
            tasks,
            log_bound: LEDGER_LOG_BYTES,
        };
        (Self { tenure, owner }, LedgerDesk::new(desk))
    }

    /// Writes a snapshot when the log is longer than this.
    #[cfg(test)]
    pub(super) const fn with_log_bound(mut self, bytes: u64) -> Self {
        self.owner.log_bound = bytes;
        self
    }

    /// Owns the ledger whenever that is possible, until the control plane stops.
    pub async fn run(self) {
        self.tenure.hold(self.owner).await;
    }
}

impl<S: Store> Tenant<S, Request> for Owner {
    type Unread = LoadError;

    async fn serve(&self, tenure: &Tenure<S, Request>, fence: &Fence<S>) -> Over<LoadError> {
        let clock = tenure.clock;
        let began = clock.since_boot();
        let base = match term_base(&tenure.store).await {
            Ok(base) => base,
            Err(error) => return Over::Unread(error.into()),
        };
        let loaded = match Loaded::read(tenure.store.clone(), self.shard).await {
            Ok(loaded) => loaded,
            Err(error) => return Over::Unread(error),
        };
        let mark = clock.mark();
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
            took = ?clock.since_boot().saturating_sub(began),
            passed_since = ?passed,
            "the ledger was read"
        );
        let term = Term::new(base.saturating_add(fence.term().number()));
        let (sender, requests) = mpsc::channel(LEDGER_QUEUE);
        let shift = Shift {
            log: LogWriter {
                owned: Owned {
                    store: tenure.store.clone(),
                    what: LEDGER,
                    fence: fence.guard(),
                    stop: tenure.stop.clone(),
                },
                shard: self.shard,
            },
            ledger: Ledger::new(loaded.books, term, now),
            term,
            clock,
            pace: Pace::new(now, &mark),
            feed: Feed::new(self.policy.clone()),
            requests,
            outlets: Outlets::default(),
            tasks: self.tasks.clone(),
            revision: loaded.revision,
            log_bound: self.log_bound,
            log_bytes: loaded.log_bytes,
            snapshot_bytes: loaded.snapshot_bytes,
            snapshot: None,
        };
        match shift.serve(|| tenure.is_served(sender)).await {
            End::Stopped => Over::Stopped,
            End::Lost => Over::Lost,
        }
    }
}
