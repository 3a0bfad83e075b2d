//! Numbers with a unit. Each has a private field and a checked constructor, so that a value of the
//! type is always one the product may compute with.

mod decimal;
mod money;
mod quantity;

pub use decimal::{Decimal, InvalidDecimal};
pub use money::{MoneyLimit, NanoUsd, PicoUsdPerToken};
pub use quantity::{AlertPercent, CostRatio, RequestLimit, SampleRate, TokenLimit, Tokens};
