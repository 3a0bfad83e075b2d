//! Limits and budgets at this proxy: who may begin, what is set aside, what is settled.
//!
//! The rules are in [`agix_core::lease`]. Here each agent has a [`Gate`], its state behind a lock of
//! its own, and the [`driver`] talks with the ledger.
//!
//! Rules this module keeps:
//! - A request of an agent that the policy names finds its gate without a lock, and takes none that
//!   another agent needs. While rights are held it neither waits nor speaks to anybody.
//! - What a request was given is settled or handed back whatever becomes of it: a [`Pass`] and a
//!   waiting request clean up after themselves when they are dropped.
//! - Gates outlive policies. What was counted is never reset: within a session a gate that has held
//!   rights is kept, whatever the policy says by then.
//! - Agents that no policy names have no limits and are only counted; a bounded number of them
//!   apart, the rest together.

mod connection;
mod driver;
mod gate;
mod journal;
mod meter;
mod need;
mod registry;
mod schedule;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use agix_core::lease::Link;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

pub(crate) use driver::{DriverConfig, run};
pub(crate) use gate::{Charge, Extension, Gate, Pass, Waiter};
pub use journal::JournalError;
pub(crate) use journal::{Journal, Left};
pub(crate) use meter::{Meter, Room};
pub(crate) use need::{Reservation, first_step, most, price};
pub(crate) use registry::{Listed, Quota};

use crate::clock::Clock;
use crate::metrics::QuotaMetrics;

/// What all gates share.
#[derive(Debug)]
pub(crate) struct Hub {
    /// What may be used, and until when. Read only under an agent's lock, so that no agent is shown
    /// an older session after a newer one.
    link: ArcSwap<Link>,
    /// Gates of which the ledger should hear.
    news: mpsc::Sender<Arc<Gate>>,
    /// Some news found no room: all gates have to be looked through.
    missed: AtomicBool,
    /// Whether the ledger was heard, or there is none.
    heard: AtomicBool,
    /// Where money is written down, if the proxy keeps a journal.
    journal: Option<Journal>,
    clock: Clock,
    metrics: QuotaMetrics,
}
