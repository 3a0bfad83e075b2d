//! Checked names. A value of these types has a legal length and alphabet; nothing downstream
//! checks again.

use std::fmt;
use std::sync::Arc;

use crate::limits::{AGENT_NAME_BYTES, MODEL_NAME_BYTES, NAME_BYTES};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name is empty.
    #[error("{what} must not be empty")]
    Empty {
        /// What the name stands for, with its article.
        what: &'static str,
    },
    /// The name is too long.
    #[error("{what} has at most {limit} bytes, this one has {actual}")]
    TooLong {
        /// What the name stands for, with its article.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// The length found.
        actual: usize,
    },
    /// The name contains a character outside its alphabet.
    #[error("{what} may contain {alphabet}; `{found}` is not one of them")]
    Character {
        /// What the name stands for, with its article.
        what: &'static str,
        /// The alphabet, in words.
        alphabet: &'static str,
        /// The first character outside it.
        found: char,
    },
}

fn check(
    text: &str,
    what: &'static str,
    limit: usize,
    alphabet: &'static str,
    extra: &str,
) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty { what });
    }
    if text.len() > limit {
        return Err(InvalidName::TooLong {
            what,
            limit,
            actual: text.len(),
        });
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || extra.contains(*c)))
    {
        Some(found) => Err(InvalidName::Character {
            what,
            alphabet,
            found,
        }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $limit:expr, $alphabet:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks `text` and takes it as a name.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                check(text, $what, $limit, $alphabet, $extra)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// The name of an agent, as sent in `X-Agent-Name`.
    AgentName, "an agent name", AGENT_NAME_BYTES,
    "letters, digits, `.`, `_`, `-`, `:` and `@`", "._-:@"
);
name!(
    /// The name of a model, as callers and chains write it.
    ModelName, "a model name", MODEL_NAME_BYTES,
    "letters, digits, `.`, `_`, `-`, `:`, `/`, `@` and `+`", "._-:/@+"
);
name!(
    /// The name of a provider entry.
    ProviderName, "a provider name", NAME_BYTES, "letters, digits, `.`, `_` and `-`", "._-"
);
name!(
    /// The name of a webhook definition.
    WebhookName, "a webhook name", NAME_BYTES, "letters, digits, `.`, `_` and `-`", "._-"
);
name!(
    /// The name of a group of agents.
    GroupName, "a group name", NAME_BYTES, "letters, digits, `.`, `_` and `-`", "._-"
);
name!(
    /// The identity of a proxy, stable over its restarts.
    ProxyId, "a proxy id", NAME_BYTES, "letters, digits, `.`, `_` and `-`", "._-"
);

/// The number of a policy revision: ordered, never reused, never computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

impl Revision {
    /// No policy has been applied yet.
    pub const NONE: Self = Self(0);

    /// The revision numbered `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, for the wire and for people.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The revision that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AgentName {
    /// The agent of callers that name none, unless the policy says otherwise.
    pub fn default_agent() -> Self {
        Self(Arc::from("default-agent"))
    }

    /// What is counted under one name because the names themselves are too many.
    pub fn others() -> Self {
        Self(Arc::from("other"))
    }

    /// A text that sorts before every name, to begin a range with.
    pub(crate) fn first() -> Self {
        Self(Arc::from(""))
    }
}

impl ModelName {
    /// A text that sorts before every name, to begin a range with.
    pub(crate) fn first() -> Self {
        Self(Arc::from(""))
    }

    /// What is counted under one name because nobody lists the names themselves.
    pub fn others() -> Self {
        Self(Arc::from("other"))
    }
}

impl WebhookName {
    /// The definition that alerts go to, unless their budget names another.
    pub fn budget_alert() -> Self {
        Self(Arc::from("budget-alert"))
    }
}

impl ProxyId {
    /// The identity of a proxy that has no name of its own.
    pub fn unnamed() -> Self {
        Self(Arc::from("proxy"))
    }
}
