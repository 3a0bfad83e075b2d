//! What the two sides of a policy stream say to each other.

use crate::id::{ProxyId, Revision};
use crate::sync::{NackReason, Nonce, Version};

/// What a proxy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyMessage {
    /// First message of a stream.
    Hello(Hello),
    /// The update is in force.
    Ack {
        /// The update answered.
        nonce: Nonce,
        /// Its revision.
        revision: Revision,
    },
    /// The update was refused; the policy in force stays.
    Nack {
        /// The update answered.
        nonce: Nonce,
        /// Its revision.
        revision: Revision,
        /// Why, at most [`crate::limits::NACK_ERRORS`].
        reasons: Vec<NackReason>,
    },
    /// A sign of life.
    Heartbeat {
        /// The revision in force.
        applied: Revision,
        /// How busy the proxy is.
        load: Load,
    },
}

/// Who a proxy is and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its identity, stable over restarts.
    pub proxy: ProxyId,
    /// Differs with each start of the process.
    pub incarnation: u64,
    /// The version of the program.
    pub version: String,
    /// Where it listens, for people.
    pub address: String,
    /// What it has in force, to resume from; absent: nothing.
    pub applied: Option<Version>,
}

/// How busy a proxy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Requests in flight now.
    pub in_flight: u64,
    /// Requests since the process started.
    pub requests_total: u64,
}

/// What a control plane says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// A part of a whole policy.
    Snapshot {
        /// What the parts together are.
        offer: Offer,
        /// The next bytes of the policy's canonical form.
        content: Vec<u8>,
        /// Whether these are the last.
        last: bool,
    },
    /// What turns one revision into a later one.
    Delta {
        /// What results.
        offer: Offer,
        /// The revision it turns.
        base: Revision,
        /// The encoded delta.
        content: Vec<u8>,
    },
    /// A sign of life.
    Heartbeat {
        /// The newest revision; [`Revision::NONE`] if there is none yet.
        current: Revision,
    },
}

/// What an update leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Names the update in the answer.
    pub nonce: Nonce,
    /// The version it leads to.
    pub version: Version,
}
