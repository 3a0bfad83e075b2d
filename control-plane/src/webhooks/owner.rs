//! Owning the queue: one owner after the other, over all control planes of a store.

use std::sync::Arc;

use agix_core::limits::WEBHOOK_QUEUE;
use agix_core::webhook::queue::Queue;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::desk::{Request, WebhookDesk};
use super::load::{self, LoadError};
use super::serve::{End, Shift, moment};
use crate::clock::Clock;
use crate::owned::{Over, Owned, Tenant, Tenure};
use crate::repository::Published;
use crate::store::keyspace::Key;
use crate::store::{Fence, Store, term_base};

/// What is owned, in messages.
const QUEUE: &str = "the queue of webhooks";

/// Keeps the queue whenever this control plane can own it.
#[derive(Debug)]
pub(crate) struct WebhookDriver<S> {
    tenure: Tenure<S, Request>,
    owner: Owner,
}

/// What an owner of the queue needs.
#[derive(Debug)]
struct Owner {
    policy: watch::Receiver<Option<Arc<Published>>>,
}

impl<S: Store> WebhookDriver<S> {
    /// The driver, and where its queue is asked. `name` is shown to those who ask another control
    /// plane; it runs until `stop` is cancelled.
    pub(crate) fn new(
        store: S,
        name: &str,
        policy: watch::Receiver<Option<Arc<Published>>>,
        clock: Clock,
        stop: CancellationToken,
    ) -> (Self, WebhookDesk<S>) {
        let owned = (QUEUE, Key::WebhookOwner);
        let (tenure, desk) = Tenure::new(store.clone(), owned, name, clock, stop);
        let owner = Owner { policy };
        (Self { tenure, owner }, WebhookDesk::new(desk, store))
    }

    /// Owns the queue whenever that is possible, until the control plane stops.
    pub(crate) async fn run(self) {
        self.tenure.hold(self.owner).await;
    }
}

impl<S: Store> Tenant<S, Request> for Owner {
    type Unread = LoadError;

    async fn serve(&self, tenure: &Tenure<S, Request>, fence: &Fence<S>) -> Over<LoadError> {
        let base = match term_base(&tenure.store).await {
            Ok(base) => base,
            Err(error) => return Over::Unread(error.into()),
        };
        let stored = match load::all(&tenure.store).await {
            Ok(stored) => stored,
            Err(error) => return Over::Unread(error),
        };
        info!(executions = stored.len(), "the queue of webhooks was read");
        let term = base.saturating_add(fence.term().number());
        let jitter = fastrand::u64(..);
        let (sender, requests) = mpsc::channel(WEBHOOK_QUEUE);
        let shift = Shift::new(
            Owned {
                store: tenure.store.clone(),
                what: QUEUE,
                fence: fence.guard(),
                stop: tenure.stop.clone(),
            },
            Queue::new(stored, term, jitter, moment(tenure.clock)),
            tenure.clock,
            self.policy.clone(),
            requests,
        );
        match shift.serve(|| tenure.is_served(sender)).await {
            End::Stopped => Over::Stopped,
            End::Lost => Over::Lost,
        }
    }
}
