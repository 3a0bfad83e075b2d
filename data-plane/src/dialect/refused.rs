//! What a provider's refusal means.

use std::time::Duration;

use agix_core::failover::{Failure, Refusal};
use agix_core::time::Wall;
use http::HeaderMap;

use crate::dialect::Dialect;

/// A provider's refusal, by status or by an error inside a 200.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider refused with {status}: {message}")]
pub struct Refused {
    /// What it means.
    pub refusal: Refusal,
    /// The HTTP status, or the one an error event stands for.
    pub status: u16,
    /// How long the provider asked us to wait.
    pub retry_after: Option<Duration>,
    /// Its words, bounded and without control characters; for people.
    pub message: String,
    /// Its own code or type, `insufficient_quota`.
    pub code: Option<String>,
}

impl Refused {
    /// The refusal in terms of failover.
    pub fn failure(&self) -> Failure {
        Failure::Refused {
            status: self.status,
            refusal: self.refusal,
            retry_after: self.retry_after,
        }
    }
}

/// Reads an answer whose status is not a success. `now` is for a `Retry-After` that names a date.
pub fn decode_error(
    dialect: Dialect,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Wall,
) -> Refused {
    todo!()
}
