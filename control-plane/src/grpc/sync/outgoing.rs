//! What waits to be sent on one stream: one update and one sign of life, never more.

use std::collections::VecDeque;

use agix_core::id::Revision;
use agix_proto::convert::heartbeat_message;
use agix_proto::v1;

/// Messages of one stream. The bytes of an update are shared by all streams.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    heartbeat: Option<Revision>,
    update: VecDeque<v1::ServerMessage>,
}

impl Outgoing {
    /// Sends a sign of life; one that was not sent yet is left out.
    pub(super) const fn heartbeat(&mut self, current: Revision) {
        self.heartbeat = Some(current);
    }

    /// Sends an update. There is none under way: each is answered before the next.
    pub(super) fn update(&mut self, messages: impl IntoIterator<Item = v1::ServerMessage>) {
        self.update.clear();
        self.update.extend(messages);
    }

    /// Whether there is something to send.
    pub(super) fn is_empty(&self) -> bool {
        self.heartbeat.is_none() && self.update.is_empty()
    }

    /// The next message.
    pub(super) fn next(&mut self) -> Option<v1::ServerMessage> {
        match self.heartbeat.take() {
            Some(current) => Some(heartbeat_message(current)),
            None => self.update.pop_front(),
        }
    }
}
