//! Owning something, one control plane of a store after the other.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::{
    LEDGER_KEEP_ALIVE, LEDGER_OWNERSHIP, LEDGER_TAKEOVER_PAUSE, STORE_RETRY_PAUSE,
};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::desk::{Desk, Standing};
use crate::clock::Clock;
use crate::store::keyspace::Key;
use crate::store::{Acquired, Fence, LeaseError, Store};

/// Makes this control plane an owner whenever that is possible.
#[derive(Debug)]
pub(crate) struct Tenure<S, R> {
    pub(crate) store: S,
    /// What is owned, in messages.
    pub(crate) what: &'static str,
    /// The key of the ownership.
    key: Key,
    /// What others see of this owner; differs with each start of a control plane.
    name: Bytes,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
    standing: watch::Sender<Standing<R>>,
}

/// What an owner does.
pub(crate) trait Tenant<S, R> {
    /// Why it cannot begin.
    type Unread: Error + 'static;

    /// Reads what is owned and serves it until that ends; dropped when the ownership is lost.
    fn serve(
        &self,
        tenure: &Tenure<S, R>,
        fence: &Fence<S>,
    ) -> impl Future<Output = Over<Self::Unread>> + Send;
}

/// Why an ownership came to its end.
#[derive(Debug)]
pub(crate) enum Over<E> {
    /// The control plane stops.
    Stopped,
    /// It was lost.
    Lost,
    /// What is owned could not be read.
    Unread(E),
}

impl<S: Store, R: Send> Tenure<S, R> {
    /// The ownership under `key`, and where its owner is asked. `name` is shown to those who ask
    /// another control plane.
    pub(crate) fn new(
        store: S,
        (what, key): (&'static str, Key),
        name: &str,
        clock: Clock,
        stop: CancellationToken,
    ) -> (Self, Desk<R>) {
        let (standing, watched) = watch::channel(Standing::Starting);
        let tenure = Self {
            store,
            what,
            key,
            name: Bytes::from(format!("{name} {:016x}", fastrand::u64(..))),
            clock,
            stop,
            standing,
        };
        (tenure, Desk::new(what, watched))
    }

    /// Says where the owner is asked from here on.
    pub(crate) fn is_served(&self, requests: mpsc::Sender<R>) {
        self.standing.send_replace(Standing::Owned(requests));
    }

    /// Is the owner whenever that is possible, until the control plane stops.
    pub(crate) async fn hold(self, tenant: impl Tenant<S, R>) {
        while !self.stop.is_cancelled() {
            let pause = self.try_once(&tenant).await;
            self.stop.run_until_cancelled(sleep(pause)).await;
        }
        self.standing.send_replace(Standing::Stopped);
    }

    /// Is the owner once, if nobody else is; says how long to wait before the next try.
    async fn try_once(&self, tenant: &impl Tenant<S, R>) -> Duration {
        let (key, what) = (self.key.encode(), self.what);
        let acquired = Fence::acquire(self.store.clone(), key, self.name.clone(), LEDGER_OWNERSHIP);
        let fence = match acquired.await {
            Ok(Acquired::Held(fence)) => fence,
            Ok(Acquired::Taken { by }) => {
                self.is_elsewhere(&by);
                return LEDGER_TAKEOVER_PAUSE;
            }
            Err(error) => {
                let error: &dyn Error = &error;
                warn!(error, what, "the owner is not known; trying again");
                return STORE_RETRY_PAUSE;
            }
        };
        let term = fence.term();
        info!(what, %term, "this control plane is the owner");
        let over = tokio::select! {
            over = Box::pin(tenant.serve(self, &fence)) => over,
            () = self.keep(&fence) => Over::Lost,
        };
        let pause = match over {
            Over::Stopped => Duration::ZERO,
            Over::Lost => {
                warn!(what, %term, "the ownership is lost; starting over");
                Duration::ZERO
            }
            Over::Unread(error) => {
                let error: &dyn Error = &error;
                error!(
                    error,
                    what, "what is stored cannot be read; nobody is served"
                );
                STORE_RETRY_PAUSE
            }
        };
        self.standing.send_replace(Standing::Starting);
        match fence.release().await {
            Ok(()) | Err(LeaseError::Ended) => info!(what, %term, "the ownership is released"),
            // The next try to own it finds what is left of this one.
            Err(error) => warn!(%error, what, "the ownership cannot be given up"),
        }
        pause
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
                    warn!(%error, what = self.what, "an ownership cannot be kept alive; trying again");
                }
                Err(_late) => warn!(
                    what = self.what,
                    "the store does not answer an owner; trying again"
                ),
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
                info!(what = self.what, %owner, "another control plane is the owner");
                *standing = Standing::Elsewhere(owner);
            }
            !known
        });
    }
}
