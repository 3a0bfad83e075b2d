//! Money. Prices are whole pico-dollars per token, books are whole nano-dollars, and the one place
//! where one becomes the other rounds up, once per call.

use std::fmt;
use std::num::NonZeroU64;

use super::decimal::{Decimal, InvalidDecimal, write_units};

/// Digits after the point of an amount in a policy document.
const MONEY_PLACES: u32 = 6;

/// An amount in nano-dollars, the unit of all books. About 18 billion dollars fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NanoUsd(u64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `nanos` nano-dollars.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nano-dollars.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The sum, or nothing if it cannot be counted.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The sum; the largest amount if it cannot be counted.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; nothing if `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars, without sign or trailing zeros: `0.00125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(f, i128::from(self.0), 9)
    }
}

/// A limit in money: more than zero, at most six digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoneyLimit(NonZeroU64);

impl MoneyLimit {
    /// Takes dollars as written in a document.
    pub fn from_usd(amount: Decimal) -> Result<Self, InvalidDecimal> {
        let micros = amount.to_unsigned_units(MONEY_PLACES)?;
        let nanos = micros.checked_mul(1_000).ok_or(InvalidDecimal::TooLarge)?;
        NonZeroU64::new(nanos).map(Self).ok_or(InvalidDecimal::Zero)
    }

    /// Takes nano-dollars as found on the wire.
    pub fn from_nanos(nanos: u64) -> Option<Self> {
        NonZeroU64::new(nanos).map(Self)
    }

    /// The limit as an amount.
    pub const fn amount(self) -> NanoUsd {
        NanoUsd(self.0.get())
    }
}

/// A price in pico-dollars per token: one dollar per million tokens is 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PicoUsdPerToken(u64);

impl PicoUsdPerToken {
    /// Free of charge, and said so.
    pub const ZERO: Self = Self(0);

    /// `picos` pico-dollars per token.
    pub const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    /// Takes dollars per million tokens as written in a document.
    pub fn from_usd_per_million(price: Decimal) -> Result<Self, InvalidDecimal> {
        price.to_unsigned_units(6).map(Self)
    }

    /// Pico-dollars per token.
    pub const fn as_picos(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PicoUsdPerToken {
    /// Dollars per million tokens: `2.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(f, i128::from(self.0), 6)
    }
}
