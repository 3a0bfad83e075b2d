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

use agix_core::id::ProxyId;
use agix_core::limits::WEBHOOK_MESSAGE_BYTES;
use agix_proto::v1::webhooks_client::WebhooksClient;
use tonic::transport::Channel;

pub(crate) use receive::receive;
pub(crate) use worker::{WorkerConfig, work};

/// The way to the queue.
#[derive(Clone)]
pub(crate) struct Queue {
    channel: Channel,
    proxy: ProxyId,
}

impl Queue {
    pub(crate) const fn new(channel: Channel, proxy: ProxyId) -> Self {
        Self { channel, proxy }
    }

    fn client(&self) -> WebhooksClient<Channel> {
        WebhooksClient::new(self.channel.clone())
            .max_decoding_message_size(WEBHOOK_MESSAGE_BYTES)
            .max_encoding_message_size(WEBHOOK_MESSAGE_BYTES)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
