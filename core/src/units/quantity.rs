//! Counts and ratios with a legal range.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use super::decimal::{Decimal, InvalidDecimal, write_units};

/// A count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tokens(u64);

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self(0);

    /// `count` tokens.
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// The count.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum; the largest count if it cannot be counted.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; none if `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A limit on requests or on concurrency: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestLimit(NonZeroU32);

impl RequestLimit {
    /// The limit `count`, unless it is zero.
    pub fn new(count: u32) -> Option<Self> {
        NonZeroU32::new(count).map(Self)
    }

    /// The count.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// A limit on tokens: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenLimit(NonZeroU64);

impl TokenLimit {
    /// The limit `count`, unless it is zero.
    pub fn new(count: u64) -> Option<Self> {
        NonZeroU64::new(count).map(Self)
    }

    /// The count.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// The share of a budget at which an alert is due: 1 to 100 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertPercent(u8);

impl AlertPercent {
    /// The threshold, if it lies between 1 and 100.
    pub fn new(percent: u64) -> Option<Self> {
        match u8::try_from(percent) {
            Ok(value @ 1..=100) => Some(Self(value)),
            _ => None,
        }
    }

    /// The percentage.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A share between none and all, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleRate(u32);

impl SampleRate {
    /// Every one.
    pub const ALL: Self = Self(1_000_000);

    /// Takes a share between 0 and 1 as written in a document.
    pub fn from_decimal(share: Decimal) -> Result<Self, InvalidDecimal> {
        let millionths = share.to_unsigned_units(6)?;
        u32::try_from(millionths)
            .ok()
            .and_then(Self::from_millionths)
            .ok_or(InvalidDecimal::TooLarge)
    }

    /// Takes millionths as found on the wire; nothing above one.
    pub fn from_millionths(millionths: u32) -> Option<Self> {
        (millionths <= 1_000_000).then_some(Self(millionths))
    }

    /// Millionths.
    pub const fn as_millionths(self) -> u32 {
        self.0
    }

    /// Whether the one that drew this number is among the share, of numbers that are drawn evenly:
    /// none of them if it is zero, each if it is one. The same number has the same answer wherever
    /// the share is the same.
    pub fn takes(self, drawn: u64) -> bool {
        let (drawn, share) = (u128::from(drawn), u128::from(self.0));
        drawn.saturating_mul(u128::from(Self::ALL.0)) < share << u64::BITS
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(f, i128::from(self.0), 6)
    }
}

/// How many times dearer a fallback may be, in thousandths; more than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CostRatio(NonZeroU64);

impl CostRatio {
    /// Takes a ratio as written in a document.
    pub fn from_decimal(ratio: Decimal) -> Result<Self, InvalidDecimal> {
        Self::from_thousandths(ratio.to_unsigned_units(3)?).ok_or(InvalidDecimal::Zero)
    }

    /// Takes thousandths as found on the wire.
    pub fn from_thousandths(thousandths: u64) -> Option<Self> {
        NonZeroU64::new(thousandths).map(Self)
    }

    /// Thousandths.
    pub const fn as_thousandths(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for CostRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(f, i128::from(self.0.get()), 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_what_is_below_it_none_at_zero_and_all_at_one() {
        let share = |millionths| SampleRate::from_millionths(millionths).unwrap();
        for drawn in [0, 1, u64::MAX / 10, u64::MAX] {
            assert!(!share(0).takes(drawn));
            assert!(SampleRate::ALL.takes(drawn));
        }
        assert!(share(100_000).takes(u64::MAX / 10 - 1));
        assert!(!share(100_000).takes(u64::MAX / 10 + 1));
    }
}
