//! The driver of the ledger: it owns a shard's log in the store and carries out what
//! [`agix_core::ledger::Ledger`] decides.
//!
//! Rules this module keeps:
//! - **One owner.** A shard is owned under a fence of the store; its term is the ledger's. Every
//!   transaction is guarded by it, so that a stale owner changes nothing, however late it is.
//! - **The log comes first.** What the ledger has to say is told after its batch was committed. An
//!   unknown outcome is settled before anything is told; meanwhile the ledger is silent.
//! - **One task owns the state.** Whatever arrives waits in a bounded queue while a batch is being
//!   committed; the next batch takes it all.
//! - **An end is an end.** Whoever loses the shard drops everything in memory, ends all streams and
//!   starts over from the store.
//! - **Replay is bounded.** A snapshot is written when the log has grown by more than its bound.

pub mod codec;

mod commit;
mod desk;
mod feed;
mod load;
mod owner;
mod record;
mod serve;
mod snapshot;
mod verify;

#[cfg(test)]
mod tests;

pub use crate::owned::NotServed;
pub use desk::{Adjusted, Adjustment, LedgerDesk, View};
pub use load::{Damage, LoadError};
pub use owner::LedgerDriver;
pub use record::InvalidRecord;
pub use verify::{MoneySums, Verification, VerifyError, verify};

use crate::store::keyspace::Shard;

/// The shard of all agents.
pub const SHARD: Shard = Shard::new(0);
