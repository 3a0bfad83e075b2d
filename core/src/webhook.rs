//! Webhooks: what is received, run and delivered, and what becomes of it when things fail.
//!
//! Rules this module keeps:
//! - **Once accepted, never lost.** An execution ends succeeded, failed or dead, whatever dies
//!   meanwhile, and has one id from first to last.
//! - **A result is made once.** When the outcome of a model call is stored, no model is asked again.
//! - **States, not changes.** What one side may not have heard is said again; hearing it twice does
//!   no harm.

pub mod destination;
pub mod execution;
pub mod outcome;
pub mod queue;
pub mod signature;
pub mod template;
pub mod work;
