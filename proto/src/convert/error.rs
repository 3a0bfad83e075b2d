//! Why a message could not be taken over, and where in it.

use std::fmt;

use agix_core::id::InvalidName;

/// A message with a field that means nothing legal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {path}: {reason}")]
pub struct InvalidMessage {
    path: FieldPath,
    reason: InvalidField,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// It must be present.
    #[error("missing")]
    Missing,
    /// The number is not one of the enum's.
    #[error("{0} is not a known value; it may come from a newer version")]
    UnknownValue(i32),
    /// It is not a legal name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// It is outside its range.
    #[error("must be {0}")]
    Range(&'static str),
    /// It has too few or too many entries.
    #[error("must have {least} to {most} entries")]
    Entries {
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// It has the wrong number of bytes.
    #[error("must have {0} bytes")]
    Length(usize),
    /// It is too long.
    #[error("must have at most {0} bytes")]
    TooLong(usize),
    /// It stands there twice.
    #[error("a second time in one policy")]
    Duplicate,
}

/// The place of a field: `resources[3].provider.name`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct FieldPath(String);

/// Names the field in which an error was found, from the inside outwards.
pub(super) trait At<T> {
    /// The error was found in `field`.
    fn at(self, field: &str) -> Result<T, InvalidMessage>;

    /// The error was found in the entry `index` of the list `field`.
    fn at_entry(self, field: &str, index: impl fmt::Display) -> Result<T, InvalidMessage>;
}

impl InvalidMessage {
    /// What is wrong with the field.
    pub const fn reason(&self) -> &InvalidField {
        &self.reason
    }

    /// The field's place in the message: `resources[3].provider.name`.
    pub fn path(&self) -> &str {
        &self.path.0
    }
}

impl From<InvalidField> for InvalidMessage {
    fn from(reason: InvalidField) -> Self {
        Self {
            path: FieldPath::default(),
            reason,
        }
    }
}

impl FieldPath {
    fn within(self, outer: &str) -> Self {
        let inner = self.0;
        Self(if inner.is_empty() {
            outer.to_owned()
        } else if inner.starts_with('[') {
            format!("{outer}{inner}")
        } else {
            format!("{outer}.{inner}")
        })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T, E: Into<InvalidMessage>> At<T> for Result<T, E> {
    fn at(self, field: &str) -> Result<T, InvalidMessage> {
        self.map_err(|error| {
            let InvalidMessage { path, reason } = error.into();
            InvalidMessage {
                path: path.within(field),
                reason,
            }
        })
    }

    fn at_entry(self, field: &str, index: impl fmt::Display) -> Result<T, InvalidMessage> {
        self.map_err(|error| {
            let InvalidMessage { path, reason } = error.into();
            InvalidMessage {
                path: path.within(&format!("{field}[{index}]")),
                reason,
            }
        })
    }
}
