//! The policy stream between control plane and proxy.

mod message;
mod reason;
mod version;

pub use message::{Hello, Load, Offer, ProxyMessage, ServerMessage};
pub use reason::NackReason;
pub use version::{Nonce, PolicyHash, Version};
