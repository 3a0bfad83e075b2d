//! Decimal numbers as people write them, read without going through a float.

use std::fmt;

/// Most digits after the point that are kept.
const SCALE: u32 = 12;

/// A finite decimal number, exact to twelve places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal {
    /// The number times 10^12.
    scaled: i128,
}

/// Why a text is not a decimal number that agix takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not a number at all.
    #[error("not a number")]
    NotANumber,
    /// Infinite or not-a-number, which YAML allows and no limit can mean.
    #[error("not a finite number")]
    NotFinite,
    /// More places than the field keeps.
    #[error("at most {0} digits after the point")]
    TooPrecise(u32),
    /// Out of range.
    #[error("too large")]
    TooLarge,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Zero where something is needed.
    #[error("must be greater than zero")]
    Zero,
}

impl Decimal {
    /// Reads `10`, `10.0`, `-1.5`, `2.5e-3`, `1_000`. YAML's `.inf` and `.nan` are named as such.
    pub fn parse(text: &str) -> Result<Self, InvalidDecimal> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if matches!(
            unsigned.to_ascii_lowercase().as_str(),
            ".inf" | ".nan" | "inf" | "nan" | "infinity"
        ) {
            return Err(InvalidDecimal::NotFinite);
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((m, e)) => (
                m,
                e.parse::<i32>()
                    .map_err(|_syntax| InvalidDecimal::NotANumber)?,
            ),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = Digits::read(whole, fraction)?;
        let scaled = digits.scale(exponent)?;
        Ok(Self {
            scaled: if negative {
                scaled.saturating_neg()
            } else {
                scaled
            },
        })
    }

    /// The number as a whole count of `10^-places`, refused if that would lose digits.
    pub fn to_units(self, places: u32) -> Result<i128, InvalidDecimal> {
        let step = 10_i128
            .checked_pow(SCALE.saturating_sub(places))
            .ok_or(InvalidDecimal::TooLarge)?;
        if self.scaled.checked_rem(step) != Some(0) {
            return Err(InvalidDecimal::TooPrecise(places));
        }
        self.scaled
            .checked_div(step)
            .ok_or(InvalidDecimal::TooLarge)
    }

    /// As [`Decimal::to_units`], refusing negative numbers.
    pub fn to_unsigned_units(self, places: u32) -> Result<u64, InvalidDecimal> {
        if self.scaled < 0 {
            return Err(InvalidDecimal::Negative);
        }
        u64::try_from(self.to_units(places)?).map_err(|_overflow| InvalidDecimal::TooLarge)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(f, self.scaled, SCALE)
    }
}

/// Writes `units` of `10^-places` as a decimal number without trailing zeros.
pub(super) fn write_units(f: &mut fmt::Formatter<'_>, units: i128, places: u32) -> fmt::Result {
    let one = 10_u128.saturating_pow(places);
    let whole = units.unsigned_abs().checked_div(one).unwrap_or(0);
    let rest = units.unsigned_abs().checked_rem(one).unwrap_or(0);
    let sign = if units < 0 { "-" } else { "" };
    if rest == 0 {
        return write!(f, "{sign}{whole}");
    }
    let width = usize::try_from(places).unwrap_or(0);
    let fraction = format!("{rest:0width$}");
    write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

/// The digits of a mantissa and how many of them stand after the point.
struct Digits {
    value: i128,
    places: i32,
}

impl Digits {
    fn read(whole: &str, fraction: &str) -> Result<Self, InvalidDecimal> {
        let mut value: i128 = 0;
        let mut seen = false;
        let mut places: i32 = 0;
        let parts = whole
            .bytes()
            .map(|b| (b, 0))
            .chain(fraction.bytes().map(|b| (b, 1)));
        for (byte, step) in parts {
            if byte == b'_' && seen {
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => i128::from(byte.wrapping_sub(b'0')),
                _ => return Err(InvalidDecimal::NotANumber),
            };
            seen = true;
            places = places.saturating_add(step);
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(digit))
                .ok_or(InvalidDecimal::TooLarge)?;
        }
        if seen {
            Ok(Self { value, places })
        } else {
            Err(InvalidDecimal::NotANumber)
        }
    }

    fn scale(self, exponent: i32) -> Result<i128, InvalidDecimal> {
        if self.value == 0 {
            return Ok(0);
        }
        let scale = i32::try_from(SCALE).unwrap_or(i32::MAX);
        let power = scale.saturating_sub(self.places).saturating_add(exponent);
        let factor = 10_i128
            .checked_pow(power.unsigned_abs())
            .ok_or(InvalidDecimal::TooLarge)?;
        if power >= 0 {
            return self
                .value
                .checked_mul(factor)
                .ok_or(InvalidDecimal::TooLarge);
        }
        match self.value.checked_rem(factor) {
            Some(0) => self
                .value
                .checked_div(factor)
                .ok_or(InvalidDecimal::TooLarge),
            _ => Err(InvalidDecimal::TooPrecise(SCALE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, nano) in [
            ("10", 10_000_000_000),
            ("10.0", 10_000_000_000),
            ("0.000001", 1_000),
            ("1_000", 1_000_000_000_000),
            ("2.5e-3", 2_500_000),
            ("+.5", 500_000_000),
            ("-1.5", -1_500_000_000),
        ] {
            assert_eq!(
                Decimal::parse(text).and_then(|d| d.to_units(9)),
                Ok(nano),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_no_limit_can_mean() {
        for (text, error) in [
            (".nan", InvalidDecimal::NotFinite),
            ("-.inf", InvalidDecimal::NotFinite),
            ("ten", InvalidDecimal::NotANumber),
            ("", InvalidDecimal::NotANumber),
            (".", InvalidDecimal::NotANumber),
            ("1e400", InvalidDecimal::TooLarge),
        ] {
            assert_eq!(Decimal::parse(text), Err(error), "{text}");
        }
        let half_a_nano = Decimal::parse("0.0000000005").unwrap();
        assert_eq!(half_a_nano.to_units(9), Err(InvalidDecimal::TooPrecise(9)));
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(scaled in any::<i64>()) {
            let decimal = Decimal { scaled: i128::from(scaled) };
            prop_assert_eq!(Decimal::parse(&decimal.to_string()), Ok(decimal));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _outcome = Decimal::parse(&text);
        }
    }
}
