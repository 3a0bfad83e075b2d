//! The cost of one call.

use crate::price::Tariff;
use crate::units::NanoUsd;
use crate::usage::Usage;

/// A cost that cannot be counted in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cost of the call is more than agix can count")]
pub struct TooDear;

/// What a call with this usage costs: the exact sum, rounded up to the next nano-dollar.
pub fn cost(tariff: &Tariff, usage: &Usage) -> Result<NanoUsd, TooDear> {
    todo!()
}
