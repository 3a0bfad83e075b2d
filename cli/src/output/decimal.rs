//! Decimals for programs.

use serde::Serialize;

/// A decimal: a number where a binary fraction holds it exactly as it is written, else text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Decimal {
    /// A whole number.
    Whole(u64),
    /// A number with a fraction, or below zero.
    Fraction(f64),
    /// A number with more digits than a binary fraction keeps.
    Text(String),
}

impl Decimal {
    /// The decimal that is written like this.
    pub(crate) fn new(decimal: &impl ToString) -> Self {
        let text = decimal.to_string();
        if let Ok(whole) = text.parse() {
            return Self::Whole(whole);
        }
        match text.parse::<f64>() {
            Ok(fraction) if fraction.to_string() == text => Self::Fraction(fraction),
            _ => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_a_number_where_no_digit_is_lost() {
        assert_eq!(Decimal::new(&"10"), Decimal::Whole(10));
        assert_eq!(Decimal::new(&"0.000000001"), Decimal::Fraction(1e-9));
        assert_eq!(Decimal::new(&"-1.5"), Decimal::Fraction(-1.5));
        let long = "18446744073.709551615";
        assert_eq!(Decimal::new(&long), Decimal::Text(long.to_owned()));
    }
}
