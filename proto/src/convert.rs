//! Conversions between the wire and the rules.
//!
//! Rules this module keeps:
//! - A message is taken apart field by field, so that a new field breaks the build here until it is
//!   given a meaning.
//! - A message is checked once, at the door: what comes out is a checked type, or an
//!   [`InvalidMessage`] that names the field and says why.
//! - Absent and zero are different; an unspecified or unknown enum value is an error.
//! - Times are whole milliseconds, but those of rights, which are nanoseconds.
//! - No bytes make a decoder panic.

mod acts;
mod agent;
mod document;
mod error;
mod failover;
mod field;
mod policy;
mod provider;
mod quota;
mod reference;
mod report;
mod resource;
mod settings;
mod sync;
mod targets;
mod webhook;

pub use error::{InvalidField, InvalidMessage};
pub use policy::{
    InvalidPolicy, WireCodec, decode_delta, decode_policy, encode_delta, encode_policy, policy_hash,
};
pub use resource::redacted;
pub use sync::{delta_message, heartbeat_message, snapshot_messages};

#[cfg(test)]
mod tests;
