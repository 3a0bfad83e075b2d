//! The proxy's side of the quota protocol: rights held, requests waiting, what is reported.
//!
//! [`Agent`] is the state of one agent and [`Session`] that of the proxy; a driver gives each agent
//! a lock of its own, so that requests of different agents do not meet.
//!
//! Rules this module keeps:
//! - A right is used only while the lease lasts, counted on this proxy's clock from before the
//!   report that renewed it was sent.
//! - A request takes everything it needs or nothing: one refused by one limit consumes none of the
//!   others.
//! - What a request set aside is settled once, whatever becomes of it. Settling is never refused.
//! - Requests wait in order, a bounded number for a bounded time, and each is decided.
//! - What a session did not settle before it was closed is settled late, under its own name.

mod agent;
mod demand;
mod denied;
mod journal;
mod money;
mod parked;
mod past;
mod pool;
mod reporting;
mod session;
mod settling;
mod ticket;
mod updating;

pub use agent::{Admission, Agent, Refused, Reservation, Rules};
pub use journal::{Note, Noted};
pub use parked::{Decided, Outcome, WaiterId};
pub use session::{Fault, Link, Session, SessionEffect, SessionInput};
pub use ticket::{Need, Reserved, Ticket};
