//! What to try next, when, and why.
//!
//! [`Run`] is the whole decision for one request, as a machine: the proxy reports how each attempt
//! ended and is told the next step. Rules it keeps:
//!
//! - The asked model comes first, then its chain in order. No target is returned to.
//! - `max_retries` bounds the further targets tried; a target that cannot serve the request at all
//!   is skipped and costs nothing of it.
//! - The same model is tried again only after a failure that a quick retry heals: a broken
//!   connection, 500, 502, and 429 with a short `Retry-After`. Not 503, 529 or a timeout: that time
//!   is better spent elsewhere. Such retries are not counted in `max_retries`.
//! - A fault of the caller ends the request at once, unless it was our translation for a fallback
//!   that was refused.
//! - Nothing begins after the deadline, and no wait outlives it.
//!
//! [`Pace`] says whether a stream that has begun is too slow. [`Breaker`] is what is remembered of a target from one request to the next, [`RetryBudget`] what is
//! remembered of all requests of a proxy, [`FleetTargets`] what the proxies know together.

mod breaker;
mod failure;
mod fleet;
mod pace;
mod retry_budget;
mod run;
mod tally;

pub use breaker::Breaker;
pub use failure::{Failure, Refusal};
pub use fleet::{FleetTargets, PastError, Report, Reports, TargetId, TargetStatus, Word, Words};
pub use pace::Pace;
pub use retry_budget::RetryBudget;
pub use run::{Run, Step, Stop, Target};
pub use tally::Tally;
