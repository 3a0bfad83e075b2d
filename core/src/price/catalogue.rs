//! The built-in catalogue of list prices.

use crate::price::Tariff;
use crate::time::Wall;

/// List prices of known models.
#[derive(Debug)]
pub struct Catalogue {}

impl Catalogue {
    /// The catalogue built into agix. Takes tens of milliseconds; made once.
    pub fn bundled() -> Self {
        todo!()
    }

    /// The tariff of `model` at `provider` in the minute of `at`, so that it may be kept for that
    /// minute. `provider` is a name of the policy; one the catalogue does not know is told by the
    /// model's name.
    pub fn tariff(&self, provider: &str, model: &str, at: Wall) -> Option<Tariff> {
        todo!()
    }
}
