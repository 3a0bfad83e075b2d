//! The proxy between agents and model providers.
//!
//! A request passes these rooms in order: [`listener`] accepts its connection, [`front`] reads it
//! and says who is calling, [`plan`] says where it may go, [`quota`] whether, [`attempt`] goes there,
//! [`dialect`] translates, [`upstream`] talks to the provider, [`relay`] sends a stream on,
//! [`record`] enters it in the books, [`trail`] tells those who watch. [`snapshot`] is the policy all
//! of them use, [`policy_sync`] keeps it current.

pub mod clock;
pub mod dialect;
pub mod policy_sync;

mod admin;
mod attempt;
mod audit;
mod breakers;
mod config;
mod control_line;
mod front;
mod head;
mod listener;
mod metrics;
mod plan;
mod quota;
mod record;
mod relay;
mod running;
mod shared;
mod snapshot;
mod traffic;
mod trail;
mod upstream;
mod webhook;
mod worker;

pub use audit::{AuditFile, AuditTo};
pub use config::Config;
pub use control_line::ControlPlanes;
pub use quota::JournalError;
pub use running::{Running, StartError, start};
pub use shared::{NoSink, UsageSink};
