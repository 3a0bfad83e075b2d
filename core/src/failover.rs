//! What to try next, when, and why.

mod failure;

pub use failure::{Failure, Refusal};
