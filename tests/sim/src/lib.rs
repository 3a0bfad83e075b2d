//! A world in which the real rules of the ledger and of the proxies run: unreliable machines,
//! clocks, networks and a store, all from one seed, and an oracle that knows the truth.
//!
//! Rules this crate keeps:
//! - Nothing comes from outside: the same seed gives the same run, event by event.
//! - The rules under test are those of `agix-core`, unchanged; what drives them here does what the
//!   control plane and the proxy do.
//! - The oracle measures with true time and counts for itself; it asks the rules nothing.

pub mod clock;
pub mod job;
pub mod oracle;
pub mod plan;
pub mod plane;
pub mod proxy;
pub mod queue;
pub mod random;
pub mod run;
pub mod store;
pub mod table;
pub mod world;
