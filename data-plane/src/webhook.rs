//! Webhooks: received and handed to the queue, run and delivered when the queue says so.
//!
//! Rules this module keeps:
//! - Nothing is promised to a sender before the queue has stored it.
//! - A step is done once for each claim: what is tried again, and when, the queue decides.
//! - An outcome is said until the queue has stored it, or does not want it.
//! - A callback goes where the policy says, after its address was looked at.

mod callback;
mod message;
mod receive;
mod run;
mod worker;

use std::fmt;
use std::sync::Arc;

use agix_core::id::ProxyId;
use agix_core::limits::{CONTROL_REDIRECTS, WEBHOOK_MESSAGE_BYTES};
use agix_proto::v1::webhooks_client::WebhooksClient;
use arc_swap::ArcSwap;
use tonic::{Code, Status};

pub(crate) use receive::{Called, receive};
pub(crate) use worker::{WorkerConfig, work};

use crate::control_line::{self, Channel, ControlPlanes};

/// The way to the queue, wherever it is. Clones share it.
#[derive(Clone)]
pub(crate) struct Queue {
    endpoints: Arc<ControlPlanes>,
    /// Where it was found last.
    place: Arc<ArcSwap<Place>>,
    proxy: ProxyId,
}

/// A control plane and the way to it.
struct Place {
    address: String,
    channel: Channel,
}

impl Queue {
    /// The queue of the control planes at `endpoints`; `None` if none of them is an address.
    pub(crate) fn new(endpoints: &ControlPlanes, proxy: ProxyId) -> Option<Self> {
        let mut addresses = endpoints.addresses.iter();
        let place = addresses.find_map(|it| Place::at(it.clone(), endpoints))?;
        Some(Self {
            endpoints: Arc::new(endpoints.clone()),
            place: Arc::new(ArcSwap::from_pointee(place)),
            proxy,
        })
    }

    /// Asks the queue for what can be asked for twice: where it was found last, or where that one
    /// says, or each control plane in turn.
    async fn ask<T, F>(&self, question: impl Fn(WebhooksClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut turns = self.endpoints.addresses.iter();
        for _ in 0..CONTROL_REDIRECTS {
            let place = self.place.load_full();
            let client = WebhooksClient::new(place.channel.clone())
                .max_decoding_message_size(WEBHOOK_MESSAGE_BYTES)
                .max_encoding_message_size(WEBHOOK_MESSAGE_BYTES);
            let status = match question(client).await {
                Err(status) if status.code() == Code::Unavailable => status,
                answer => return answer,
            };
            let owner = control_line::owner(&status);
            let owner = owner.and_then(|it| control_line::redirected(&place.address, it).ok());
            let Some(next) = owner.or_else(|| turns.next().cloned()) else {
                return Err(status);
            };
            match Place::at(next, &self.endpoints) {
                Some(next) => self.place.store(Arc::new(next)),
                None => return Err(status),
            }
        }
        Err(Status::unavailable(
            "the control planes name each other as owner of the queue",
        ))
    }

    /// Where the queue was found does not answer: the next question goes to another control plane.
    fn look_elsewhere(&self) {
        let hangs = self.place.load();
        let addresses = &self.endpoints.addresses;
        let after = addresses.iter().position(|it| *it == hangs.address);
        let after = after.and_then(|place| addresses.get(place.saturating_add(1)));
        let next = after.or_else(|| addresses.first());
        if let Some(next) = next.and_then(|it| Place::at(it.clone(), &self.endpoints)) {
            self.place.store(Arc::new(next));
        }
    }
}

impl Place {
    fn at(address: String, among: &ControlPlanes) -> Option<Self> {
        let channel = control_line::lazily(&address, &among.credentials).ok()?;
        Some(Self { address, channel })
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
