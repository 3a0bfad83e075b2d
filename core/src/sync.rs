//! The policy stream between control plane and proxy: two machines and what they say.
//!
//! Rules this module keeps:
//! - A proxy's revision never goes back, and one number never stands for two policies in turn. A
//!   control plane whose store was replaced or restored from a backup is refused until its history
//!   has passed what the proxy has, and both sides say so.
//! - A policy is in force whole or not at all: parts are collected, the result is compared with the
//!   control plane's hash, checked, and handed over at once.
//! - At most one update is under way on a stream; the one after it is the newest.
//! - What a proxy refused is not offered again on the same stream.
//! - Both sides give signs of life, and take the other for dead after a silence.
//!
//! The machines deal in versions. The bytes of an update are opaque to them, so that a control
//! plane encodes each update once for all its streams; a [`Codec`] gives them their meaning.

mod client;
mod message;
mod reason;
mod server;
mod update;
mod version;

pub use client::{ClientEffect, ClientInput, ClientSession, Fault};
pub use message::{Hello, Load, Offer, ProxyMessage, ServerMessage};
pub use reason::NackReason;
pub use server::{CloseReason, Recall, ServerEffect, ServerInput, ServerSession, Update};
pub use update::{Codec, Content, Received, Rejected};
pub use version::{Nonce, PolicyHash, Version};

#[cfg(test)]
mod tests;
