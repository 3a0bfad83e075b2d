//! Webhooks on the wire, and as the store keeps them.
//!
//! Rules this module keeps:
//! - What is stored is a message of the protocol: fields are only ever added.
//! - Texts and lists have bounds; whoever makes them longer is refused.

mod execution;
mod outcome;
mod work;

use agix_core::time::Wall;
use agix_core::webhook::execution::ExecutionId;

use super::error::{At, InvalidField, InvalidMessage};

/// Milliseconds since the Unix epoch; what was before counts as then.
fn wall_millis(wall: Wall) -> u64 {
    u64::try_from(wall.as_millis()).unwrap_or_default()
}

fn wall(millis: u64) -> Wall {
    Wall::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn execution_id(text: &str, field: &str) -> Result<ExecutionId, InvalidMessage> {
    ExecutionId::parse(text)
        .ok_or(InvalidField::Range("an execution id: exec_ and 26 digits"))
        .at(field)
}

#[cfg(test)]
mod tests;
