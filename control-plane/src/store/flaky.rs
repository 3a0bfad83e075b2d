//! A store that lets others come in between, and fails at a chosen transaction.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::store::{
    BackendFailure, CommitError, CompactError, KeyRange, LeaseError, LeaseId, Page, RangeError,
    RangeRequest, Store, StoreRevision, Txn, TxnOutcome, Watch, WatchEnd,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The transaction is lost; nobody says so.
    Lost,
    /// It is carried out; nobody says so.
    Silent,
    /// Nobody answers, and it is carried out after the one that follows.
    Late,
    /// The process dies before it.
    DiesBefore,
    /// The process dies after it, without hearing the answer.
    DiesAfter,
}

#[derive(Debug, Clone)]
pub(crate) struct Flaky<S> {
    store: S,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug)]
struct Plan {
    /// Transactions until the fault.
    until: usize,
    /// How often it happens from then on.
    times: usize,
    fault: Fault,
    late: Option<Txn>,
    dead: bool,
    happened: bool,
    random: fastrand::Rng,
}

impl<S> Flaky<S> {
    /// `fault` at the transaction number `until`, from zero, and the `times - 1` that follow.
    pub(crate) fn new(store: S, until: usize, times: usize, fault: Fault) -> Self {
        let plan = Plan {
            until,
            times,
            fault,
            late: None,
            dead: false,
            happened: false,
            random: fastrand::Rng::with_seed(1),
        };
        Self {
            store,
            plan: Arc::new(Mutex::new(plan)),
        }
    }

    /// No fault.
    pub(crate) fn interrupting(store: S) -> Self {
        Self::new(store, usize::MAX, 0, Fault::Lost)
    }

    /// Lets others do something.
    async fn interrupt(&self) {
        let pauses = self.plan.lock().unwrap().random.u32(0..6);
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
    }

    /// Whether the fault has happened.
    pub(crate) fn happened(&self) -> bool {
        self.plan.lock().unwrap().happened
    }

    fn is_dead(&self) -> bool {
        self.plan.lock().unwrap().dead
    }

    fn is_alive(&self) -> Result<(), LeaseError> {
        if self.is_dead() {
            return Err(LeaseError::Unavailable(failure()));
        }
        Ok(())
    }

    fn next(&self) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        if plan.until > 0 {
            plan.until -= 1;
            return None;
        }
        if plan.times == 0 {
            return None;
        }
        plan.times -= 1;
        plan.happened = true;
        plan.dead = matches!(plan.fault, Fault::DiesBefore | Fault::DiesAfter);
        Some(plan.fault)
    }
}

fn failure() -> BackendFailure {
    BackendFailure::new("as planned")
}

fn unknown() -> CommitError {
    CommitError::OutcomeUnknown(failure())
}

impl<S: Store> Store for Flaky<S> {
    async fn range(&self, request: RangeRequest) -> Result<Page, RangeError> {
        self.interrupt().await;
        if self.is_dead() {
            return Err(RangeError::Unavailable(failure()));
        }
        self.store.range(request).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, CommitError> {
        self.interrupt().await;
        if self.is_dead() {
            return Err(CommitError::Unavailable(failure()));
        }
        let Some(fault) = self.next() else {
            let outcome = self.store.txn(txn).await;
            let late = self.plan.lock().unwrap().late.take();
            if let Some(late) = late {
                self.store.txn(late).await.unwrap();
            }
            return outcome;
        };
        match fault {
            Fault::Lost | Fault::DiesBefore => {}
            Fault::Silent | Fault::DiesAfter => drop(self.store.txn(txn).await.unwrap()),
            Fault::Late => self.plan.lock().unwrap().late = Some(txn),
        }
        Err(unknown())
    }

    async fn watch(&self, range: KeyRange, from: StoreRevision) -> Result<Watch, WatchEnd> {
        self.store.watch(range, from).await
    }

    async fn compact(&self, at: StoreRevision) -> Result<(), CompactError> {
        self.store.compact(at).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, LeaseError> {
        self.is_alive()?;
        self.store.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.is_alive()?;
        self.store.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), LeaseError> {
        self.is_alive()?;
        self.store.revoke(lease).await
    }
}
