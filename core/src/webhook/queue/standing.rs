//! How full the queue is.

use std::collections::BTreeMap;

use super::Queue;
use crate::id::WebhookName;
use crate::webhook::execution::State;

/// How full the queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Executions that have not come to their end.
    pub open: usize,
    /// Bytes they hold.
    pub open_bytes: usize,
    /// Of these, how many nobody works on.
    pub waiting: usize,
    /// Proxies that work.
    pub workers: usize,
    /// Executions that are kept, open or not.
    pub kept: usize,
    /// By definition.
    pub webhooks: BTreeMap<WebhookName, Count>,
}

/// Executions of one definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// That have not come to their end.
    pub open: u32,
    /// That ended well.
    pub succeeded: u32,
    /// Without an answer.
    pub failed: u32,
    /// That could not be delivered.
    pub dead: u32,
}

impl Queue {
    /// How full it is.
    pub fn standing(&self) -> Standing {
        let mut webhooks: BTreeMap<WebhookName, Count> = BTreeMap::new();
        for slot in self.slots.values() {
            let count = webhooks.entry(slot.execution.webhook.clone()).or_default();
            let of_state = match slot.execution.state {
                State::Pending | State::Running | State::CallingBack => &mut count.open,
                State::Succeeded => &mut count.succeeded,
                State::Failed => &mut count.failed,
                State::Dead => &mut count.dead,
            };
            *of_state = of_state.saturating_add(1);
        }
        Standing {
            open: self.open,
            open_bytes: self.open_bytes,
            waiting: self.ready.len(),
            workers: self.streams.len(),
            kept: self.slots.len(),
            webhooks,
        }
    }
}
