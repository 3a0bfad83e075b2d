//! Single values: texts, numbers, words, times.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::Field;
use crate::id::InvalidName;
use crate::limits::LONGEST_SETTING;
use crate::policy::document::Reader;
use crate::policy::document::report::Quoted;
use crate::policy::document::suggest::nearest;
use crate::policy::document::tree::{Value, boolean, is_number};
use crate::policy::{code, duration};
use crate::units::{Decimal, InvalidDecimal};

/// The range of a whole number.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy::document) struct Whole {
    /// The smallest value.
    pub(in crate::policy::document) least: u64,
    /// The largest value.
    pub(in crate::policy::document) most: u64,
}

impl Whole {
    /// From one to the largest 32-bit number.
    pub(in crate::policy::document) const LIMIT: Self = Self {
        least: 1,
        most: 0xFFFF_FFFF,
    };

    /// Whether the upper end is only where counting ends.
    const fn is_wide(self) -> bool {
        self.most > 1_000_000
    }
}

impl<'a> Field<'a, '_> {
    /// A text: anything in quotes, and any plain word that is neither null nor a truth value.
    pub(in crate::policy::document) fn text(&self, reader: &mut Reader<'_>) -> Option<&'a str> {
        match self.node.value() {
            Value::Quoted(text) => Some(text),
            Value::Plain(text) if !self.node.is_null() && boolean(text).is_none() => Some(text),
            Value::Plain(_) if self.node.is_null() => {
                self.no_value(reader);
                None
            }
            _ => {
                self.expected(reader, "a text");
                None
            }
        }
    }

    /// A text that must be some kind of name.
    pub(in crate::policy::document) fn name<T>(&self, reader: &mut Reader<'_>) -> Option<T>
    where
        T: FromStr<Err = InvalidName>,
    {
        let text = self.text(reader)?;
        text.parse()
            .map_err(|error: InvalidName| {
                self.error(reader, code::BAD_NAME, error.to_string());
            })
            .ok()
    }

    /// The key itself as some kind of name.
    pub(in crate::policy::document) fn key_name<T>(&self, reader: &mut Reader<'_>) -> Option<T>
    where
        T: FromStr<Err = InvalidName>,
    {
        let parsed = self.path.name().parse();
        parsed
            .map_err(|error: InvalidName| {
                let finding = super::Finding::error(code::BAD_NAME, self.key, error.to_string());
                reader.report.push(finding.at(&self.path));
            })
            .ok()
    }

    /// `true` or `false`.
    pub(in crate::policy::document) fn flag(&self, reader: &mut Reader<'_>) -> Option<bool> {
        let value = match self.node.value() {
            Value::Plain(text) => boolean(text),
            _ => None,
        };
        if value.is_none() {
            if self.node.is_null() {
                self.no_value(reader);
            } else {
                self.expected_with(reader, "`true` or `false`", self.truth());
            }
        }
        value
    }

    /// What to write for a word of an older YAML, or for one in quotes.
    fn truth(&self) -> Option<&'static str> {
        let (Value::Plain(text) | Value::Quoted(text)) = self.node.value() else {
            return None;
        };
        match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "true" | "1" => Some("write `true`"),
            "no" | "off" | "n" | "false" | "0" => Some("write `false`"),
            _ => None,
        }
    }

    /// One of the words of `choices`.
    pub(in crate::policy::document) fn choice<T: Copy>(
        &self,
        reader: &mut Reader<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let word = self.word(reader)?;
        let found = choices.iter().find(|(choice, _)| *choice == word);
        if found.is_none() {
            let words = || choices.iter().map(|(choice, _)| *choice);
            self.bad_choice(reader, word, &words().collect::<Vec<_>>());
        }
        found.map(|(_, value)| *value)
    }

    /// Says that `word` is none of `words`.
    pub(in crate::policy::document) fn bad_choice(
        &self,
        reader: &mut Reader<'_>,
        word: &str,
        words: &[&str],
    ) {
        let name = self.path.label();
        let message = format!("{} is not a value of {name}", Quoted(word));
        let help = match nearest(word, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of: {}", words.join(", ")),
        };
        self.error_with(reader, code::BAD_CHOICE, message, help);
    }

    /// A text in which YAML's older truth values (`off`) are words.
    fn word(&self, reader: &mut Reader<'_>) -> Option<&'a str> {
        match self.node.value() {
            Value::Plain(text) if boolean(text) == Some(false) => Some("false"),
            Value::Plain(text) if boolean(text) == Some(true) => Some("true"),
            _ => self.text(reader),
        }
    }

    /// A number, exactly as written.
    pub(in crate::policy::document) fn decimal(&self, reader: &mut Reader<'_>) -> Option<Decimal> {
        match self.node.value() {
            Value::Plain(text) if is_number(text) => self.number(reader, Decimal::parse(text)),
            Value::Quoted(text) if is_number(text) => {
                let message = "expected a number, found a text in quotes".to_owned();
                self.error_with(reader, code::WRONG_TYPE, message, "take the quotes away");
                None
            }
            _ if self.node.is_null() => {
                self.no_value(reader);
                None
            }
            _ => {
                self.expected(reader, "a number");
                None
            }
        }
    }

    /// The outcome of reading a number, or a sentence about why there is none.
    pub(in crate::policy::document) fn number<T>(
        &self,
        reader: &mut Reader<'_>,
        outcome: Result<T, InvalidDecimal>,
    ) -> Option<T> {
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let name = self.path.label();
        let message = match error {
            InvalidDecimal::NotANumber => {
                format!("{name} must be a decimal number")
            }
            InvalidDecimal::NotFinite => format!("{name} must be a finite number"),
            InvalidDecimal::TooPrecise(0) => format!("{name} must be a whole number"),
            InvalidDecimal::TooPrecise(places) => {
                format!("{name} takes at most {places} digits after the point")
            }
            InvalidDecimal::TooLarge => format!("{name} is too large"),
            InvalidDecimal::Negative => format!("{name} {error}"),
            InvalidDecimal::Zero => {
                let message = format!("{name} {error}");
                let help = "to set none, leave the key out";
                self.error_with(reader, code::BAD_NUMBER, message, help);
                return None;
            }
        };
        self.error(reader, code::BAD_NUMBER, message);
        None
    }

    /// A whole number within `range`.
    pub(in crate::policy::document) fn whole(
        &self,
        reader: &mut Reader<'_>,
        range: Whole,
    ) -> Option<u64> {
        let decimal = self.decimal(reader)?;
        let number = self.number(reader, decimal.to_unsigned_units(0))?;
        if number == 0 && range.least == 1 && range.is_wide() {
            return self.number(reader, Err(InvalidDecimal::Zero));
        }
        let name = self.path.label();
        let message = match number {
            _ if number < range.least || (number > range.most && range.least > 1) => {
                format!("{name} must lie between {} and {}", range.least, range.most)
            }
            _ if number > range.most => format!("{name} must be at most {}", range.most),
            _ => return Some(number),
        };
        self.error(reader, code::BAD_NUMBER, message);
        None
    }

    /// A whole number within `range` that fits 32 bits.
    pub(in crate::policy::document) fn whole_u32(
        &self,
        reader: &mut Reader<'_>,
        range: Whole,
    ) -> Option<u32> {
        let most = range.most.min(u64::from(u32::MAX));
        let number = self.whole(reader, Whole { most, ..range })?;
        u32::try_from(number).ok()
    }

    /// A span of time: a number and its unit. Zero only if `zero`.
    pub(in crate::policy::document) fn duration(
        &self,
        reader: &mut Reader<'_>,
        zero: bool,
    ) -> Option<Duration> {
        let text = self.text(reader)?;
        let name = self.path.label();
        match duration::read(text) {
            Some(Duration::ZERO) if !zero => {
                let message = format!("{name} must be longer than nothing");
                self.error(reader, code::BAD_DURATION, message);
                None
            }
            Some(duration) if duration <= LONGEST_SETTING => Some(duration),
            Some(_) => {
                let message = format!(
                    "{name} must be at most {}",
                    duration::written(&LONGEST_SETTING)
                );
                self.error(reader, code::BAD_DURATION, message);
                None
            }
            None => {
                let help = "write a number and its unit, as in `300ms`, `5s`, `1.5m`, `2h`";
                let message = if is_number(text) {
                    format!("{name} needs a unit")
                } else {
                    format!("{name} must be a span of time, down to milliseconds")
                };
                self.error_with(reader, code::BAD_DURATION, message, help);
                None
            }
        }
    }

    /// At most `most` bytes of text, at least one.
    pub(in crate::policy::document) fn bounded_text(
        &self,
        reader: &mut Reader<'_>,
        most: usize,
    ) -> Option<&'a str> {
        let text = self.text(reader)?;
        let name = self.path.label();
        if text.is_empty() {
            self.error(reader, code::MISSING, format!("{name} is empty"));
            return None;
        }
        if text.len() > most {
            self.too_long(reader, &format!("{} bytes", text.len()), most);
            return None;
        }
        Some(text)
    }

    /// Says that there is more here than fits.
    pub(in crate::policy::document) fn too_long(
        &self,
        reader: &mut Reader<'_>,
        found: &dyn Display,
        most: usize,
    ) {
        let name = self.path.label();
        let message = format!("{name} has {found}; at most {most} are taken");
        self.error(reader, code::TOO_LONG, message);
    }

    /// Says that a key stands there without a value.
    pub(in crate::policy::document) fn no_value(&self, reader: &mut Reader<'_>) {
        let message = format!("{} has no value", self.path.label());
        let help = "give it one, or leave the key out";
        self.error_with(reader, code::MISSING, message, help);
    }
}
