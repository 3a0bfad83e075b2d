//! The price a policy puts on a model.

use crate::id::ModelName;
use crate::policy::Policy;
use crate::price::{Catalogue, Tariff};
use crate::time::Wall;
use crate::usage::PriceSource;

/// What a model costs under a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quote {
    /// This much.
    Priced {
        /// The prices.
        tariff: Tariff,
        /// Who says so.
        source: PriceSource,
    },
    /// Nobody knows. An agent with a budget may not use it; for others the cost is marked unknown.
    Unknown,
    /// Nobody knows, and the policy lets nobody use it.
    Denied,
}

impl Quote {
    /// Whether an agent may use the model, as far as its price goes.
    pub const fn allows(&self, agent_has_budget: bool) -> bool {
        match self {
            Self::Priced { .. } => true,
            Self::Unknown => !agent_has_budget,
            Self::Denied => false,
        }
    }
}

/// The price of `model`: `models.*.price`, else the catalogue's, else `pricing.unknown_model`.
/// A simulated model is free.
pub fn price_of(policy: &Policy, model: &ModelName, catalogue: &Catalogue, at: Wall) -> Quote {
    todo!()
}
