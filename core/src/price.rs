//! What a model costs, and the cost of one call.
//!
//! Rules this module keeps:
//! - A price is an integer: pico-dollars per token. A call is summed exactly in 128 bits and rounded
//!   up once, to nano-dollars.
//! - A model without a price is never silently free: the answer is then [`Quote::Unknown`] or
//!   [`Quote::Denied`], not zero.
//! - What the policy says goes before what the catalogue says.

mod bound;
mod catalogue;
mod cost;
mod quote;

pub use bound::{Bounds, worst_case};
pub use catalogue::Catalogue;
pub use cost::{TooDear, cost};
pub use quote::{Quote, price_of};

use crate::policy::Price;
use crate::units::{PicoUsdPerToken, Tokens};

/// The prices of one model, by the length of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// Applies unless a later one does.
    pub base: Price,
    /// Each applies to all tokens of a call whose input has more than so many tokens; ascending.
    pub above: Vec<(Tokens, Price)>,
}

impl Tariff {
    /// One price for inputs of every length.
    pub const fn flat(price: Price) -> Self {
        Self {
            base: price,
            above: Vec::new(),
        }
    }

    /// Free of charge, and said so.
    pub const fn free() -> Self {
        Self::flat(Price {
            input: PicoUsdPerToken::ZERO,
            cached_input: None,
            cache_write: None,
            cache_write_1h: None,
            output: PicoUsdPerToken::ZERO,
            reasoning: None,
        })
    }

    /// The price of a call with this much input.
    pub fn at(&self, total_input: Tokens) -> &Price {
        self.above
            .iter()
            .rev()
            .find(|(more_than, _)| total_input > *more_than)
            .map_or(&self.base, |(_, price)| price)
    }
}
