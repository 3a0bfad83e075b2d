//! Single fields: presence, names, durations, enums.

use std::str::FromStr;
use std::time::Duration;

use agix_core::id::InvalidName;

use super::error::{At, InvalidField, InvalidMessage};

/// An enum of the rules with a number on the wire.
pub(super) trait Enumeration: Sized {
    /// The value of a number; unspecified and unknown numbers have none.
    fn from_number(number: i32) -> Option<Self>;

    /// The number of a value.
    fn number(self) -> i32;
}

/// Pairs the values of an enum of the rules with those of a generated one.
macro_rules! enumeration {
    ($core:ty, $wire:ty: $($value:ident = $number:ident),+ $(,)?) => {
        impl $crate::convert::field::Enumeration for $core {
            fn from_number(number: i32) -> Option<Self> {
                match <$wire>::try_from(number) {
                    $(Ok(<$wire>::$number) => Some(Self::$value),)+
                    Ok(<$wire>::Unspecified) | Err(prost::UnknownEnumValue(_)) => None,
                }
            }

            fn number(self) -> i32 {
                match self {
                    $(Self::$value => <$wire>::$number.into(),)+
                }
            }
        }
    };
}
pub(super) use enumeration;

/// The field's value, which must be present.
pub(super) fn required<T>(value: Option<T>) -> Result<T, InvalidField> {
    value.ok_or(InvalidField::Missing)
}

/// The value of an enum field.
pub(super) fn enum_value<T: Enumeration>(number: i32, field: &str) -> Result<T, InvalidMessage> {
    T::from_number(number)
        .ok_or(InvalidField::UnknownValue(number))
        .at(field)
}

/// The value of a field that holds a checked name.
pub(super) fn name<T: FromStr<Err = InvalidName>>(
    text: &str,
    field: &str,
) -> Result<T, InvalidMessage> {
    text.parse().map_err(InvalidField::Name).at(field)
}

/// The value of an optional field with a checked constructor.
pub(super) fn checked<W, T>(
    value: Option<W>,
    check: impl FnOnce(W) -> Option<T>,
    range: &'static str,
    field: &str,
) -> Result<Option<T>, InvalidMessage> {
    match value {
        None => Ok(None),
        Some(value) => check(value)
            .map(Some)
            .ok_or(InvalidField::Range(range))
            .at(field),
    }
}

/// A text of at most `limit` bytes.
pub(super) fn bounded(text: String, limit: usize, field: &str) -> Result<String, InvalidMessage> {
    if text.len() > limit {
        return Err(InvalidField::TooLong(limit)).at(field);
    }
    Ok(text)
}

/// Refuses a list with fewer than `least` or more than `most` entries.
pub(super) fn entries<T>(
    list: &[T],
    least: usize,
    most: usize,
    field: &str,
) -> Result<(), InvalidMessage> {
    if (least..=most).contains(&list.len()) {
        return Ok(());
    }
    Err(InvalidField::Entries { least, most }).at(field)
}

/// The checked entries of a list of at most `most`.
pub(super) fn list<W, T: TryFrom<W, Error = InvalidMessage>>(
    wire: Vec<W>,
    most: usize,
    field: &str,
) -> Result<Vec<T>, InvalidMessage> {
    entries(&wire, 0, most, field)?;
    wire.into_iter()
        .enumerate()
        .map(|(index, wire)| T::try_from(wire).at_entry(field, index))
        .collect()
}

/// The 32 bytes of a SHA-256.
pub(super) fn digest(bytes: &[u8]) -> Result<[u8; 32], InvalidField> {
    let found = <[u8; 32]>::try_from(bytes).ok();
    found.ok_or(InvalidField::Length(32))
}

/// A number that must be one at least.
pub(super) fn positive<T: Default + PartialEq>(value: T, field: &str) -> Result<T, InvalidMessage> {
    if value == T::default() {
        return Err(InvalidField::Range("greater than zero")).at(field);
    }
    Ok(value)
}

/// Whole milliseconds; a part of one counts as one, so that nothing that waits becomes zero.
pub(super) fn to_millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A time that must be longer than zero.
pub(super) fn positive_millis(millis: u64, field: &str) -> Result<Duration, InvalidMessage> {
    positive(millis, field).map(Duration::from_millis)
}
