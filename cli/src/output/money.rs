//! Amounts of money as text.

use std::fmt;

use agix_core::units::NanoUsd;

/// An amount in nano-dollars that may be below zero. Shown in dollars, without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedUsd(pub(crate) i64);

impl SignedUsd {
    /// The amount without its sign.
    pub(crate) const fn size(self) -> NanoUsd {
        NanoUsd::from_nanos(self.0.unsigned_abs())
    }

    const fn sign(self) -> &'static str {
        if self.0 < 0 { "-" } else { "" }
    }
}

impl fmt::Display for SignedUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.sign(), self.size())
    }
}

/// Dollars with four places, for people: cut off, so that nothing looks used up before it is.
pub(crate) fn usd(amount: NanoUsd) -> String {
    let nanos = amount.as_nanos();
    if (1..100_000).contains(&nanos) {
        return "<0.0001".to_owned();
    }
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    format!("{whole}.{:04}", rest / 100_000)
}

/// Dollars with all nine places, to be compared.
pub(crate) fn exact_usd(amount: NanoUsd) -> String {
    let nanos = amount.as_nanos();
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// The same of an amount that may be below zero.
pub(crate) fn exact_signed_usd(amount: SignedUsd) -> String {
    format!("{}{}", amount.sign(), exact_usd(amount.size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_for_people_has_four_places_and_is_never_rounded_up() {
        for (nanos, text) in [
            (0, "0.0000"),
            (1, "<0.0001"),
            (100_000, "0.0001"),
            (1_250_000, "0.0012"),
            (9_999_999_999, "9.9999"),
            (10_000_000_000, "10.0000"),
        ] {
            assert_eq!(usd(NanoUsd::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn an_amount_to_be_compared_keeps_every_digit() {
        assert_eq!(exact_usd(NanoUsd::from_nanos(1_000_000_001)), "1.000000001");
        assert_eq!(exact_signed_usd(SignedUsd(-1_500_000_000)), "-1.500000000");
        assert_eq!(SignedUsd(-1_500_000_000).to_string(), "-1.5");
        assert_eq!(SignedUsd(i64::MIN).to_string(), "-9223372036.854775808");
    }
}
