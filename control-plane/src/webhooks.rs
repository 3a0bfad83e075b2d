//! The driver of the queue of webhooks: it owns the queue in the store and carries out what
//! [`agix_core::webhook::queue::Queue`] decides.
//!
//! Rules this module keeps:
//! - **One owner**, under a fence of the store, as for the ledger.
//! - **Stored, then said.** An acceptance, a claim, a confirmation is said after the transaction
//!   that makes it true. What waits meanwhile is taken in together, and stored together.
//! - **A delivery has one execution**, for a day: the store says which.
//! - **An alert has one execution.** It is made with an id of the alert's own, and only then the
//!   alert goes from where the ledger has put it.

mod alerts;
mod desk;
mod load;
mod owner;
mod serve;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use desk::{Awaited, Received, ReplayError, WebhookDesk};
pub(crate) use load::LoadError;
pub(crate) use owner::WebhookDriver;
