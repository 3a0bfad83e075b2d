//! Spans of time as they are written in a document: `300ms`, `5s`, `1.5m`, `2h`.

use std::time::Duration;

use crate::units::Decimal;

/// Units of whole milliseconds, the largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Digits after the point of all units but the smallest.
const PLACES: u32 = 3;
/// One unit in `10^-PLACES` of it.
const STEP: u64 = 1_000;

/// Reads a number and its unit, exact to the millisecond.
pub(super) fn read(text: &str) -> Option<Duration> {
    let start = text.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'))?;
    let (number, unit) = text.split_at_checked(start)?;
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number = Decimal::parse(number.trim_end()).ok()?;
    let millis = match size.checked_div(STEP)? {
        0 => number.to_unsigned_units(0).ok()?.checked_mul(*size)?,
        step => number.to_unsigned_units(PLACES).ok()?.checked_mul(step)?,
    };
    Some(Duration::from_millis(millis))
}

/// Writes `time` in the largest unit of which it is a whole number.
pub(super) fn written(time: &Duration) -> String {
    let millis = time.as_millis();
    let whole = |(unit, size): &(&str, u64)| {
        let count = millis.checked_div(u128::from(*size))?;
        (count > 0 && millis.checked_rem(u128::from(*size)) == Some(0))
            .then(|| format!("{count}{unit}"))
    };
    let found = UNITS.iter().find_map(whole);
    found.unwrap_or_else(|| format!("{millis}ms"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_span_of_time_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("300ms", Some(300)),
            ("5s", Some(5_000)),
            ("1.5s", Some(1_500)),
            ("1m", Some(60_000)),
            ("0.001m", Some(60)),
            ("2 h", Some(7_200_000)),
            ("1e2s", Some(100_000)),
            ("0s", Some(0)),
            ("5", None),
            ("5 minutes", None),
            ("1.5ms", None),
            ("0.0001s", None),
            ("-1s", None),
            ("s", None),
            ("", None),
            (".nans", None),
            ("99999999999999999999h", None),
            ("5124095576030431h", None),
        ] {
            assert_eq!(read(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 0..1_000_000_000_u64) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(read(&written(&time)), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            let _time = read(&text);
        }
    }
}
