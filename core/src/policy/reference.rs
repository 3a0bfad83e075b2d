//! Values that may stand elsewhere: `${NAME}`, `${NAME:-default}` and `{ file: PATH }`.
//!
//! They are read by the process that uses them; the store and the history hold the reference.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// What stands before the secret in an `Authorization` header.
const SCHEMES: [&str; 4] = ["Basic ", "Bearer ", "Key ", "Token "];

/// An address or a secret as written: text with references, or the content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Text in which some parts come from the environment.
    Text(Vec<ReferencePart>),
    /// The content of a file, without the line end.
    File(Arc<str>),
}

/// A part of a referring text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferencePart {
    /// Stands for itself.
    Literal(Arc<str>),
    /// An environment variable, and what stands for it if it is unset.
    Variable {
        /// Its name.
        name: Arc<str>,
        /// Its default; absent: it must be set.
        default: Option<Arc<str>>,
    },
}

/// Why a reference has no value here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MissingValue {
    /// The text after `$` is not a reference.
    #[error(
        "`${{` without a closing `}}`, or not a variable name in it; write `$$` for a dollar sign"
    )]
    Malformed,
    /// The variable is not set.
    #[error("environment variable {0} is not set")]
    Variable(Arc<str>),
    /// The file could not be read.
    #[error("file {path} cannot be read: {cause}")]
    File {
        /// Its path.
        path: Arc<str>,
        /// Why.
        cause: String,
    },
}

impl ReferencePart {
    /// The variable `name`, unless it or its default could not be written in a document.
    pub fn variable(name: &str, default: Option<&str>) -> Option<Self> {
        let legal = is_variable_name(name) && !default.is_some_and(|text| text.contains('}'));
        legal.then(|| Self::Variable {
            name: Arc::from(name),
            default: default.map(Arc::from),
        })
    }
}

impl Reference {
    /// A text that stands for itself.
    pub fn literal(text: &str) -> Self {
        Self::Text(vec![ReferencePart::Literal(Arc::from(text))])
    }

    /// Reads `${NAME}` and `${NAME:-default}` in `text`; `$$` is a dollar sign, and a `$` before
    /// anything else stands for itself.
    pub fn parse(text: &str) -> Result<Self, MissingValue> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(tail) = after.strip_prefix('$') {
                literal.push('$');
                rest = tail;
            } else if let Some(body) = after.strip_prefix('{') {
                let (inner, tail) = body.split_once('}').ok_or(MissingValue::Malformed)?;
                let (name, default) = match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(Arc::from(default))),
                    None => (inner, None),
                };
                if !is_variable_name(name) {
                    return Err(MissingValue::Malformed);
                }
                if !literal.is_empty() {
                    parts.push(ReferencePart::Literal(Arc::from(std::mem::take(
                        &mut literal,
                    ))));
                }
                parts.push(ReferencePart::Variable {
                    name: Arc::from(name),
                    default,
                });
                rest = tail;
            } else {
                literal.push('$');
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(ReferencePart::Literal(Arc::from(literal)));
        }
        Ok(Self::Text(parts))
    }

    /// The value, with `variable` and `file` to look things up.
    pub fn resolve(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        file: impl Fn(&str) -> Result<String, String>,
    ) -> Result<String, MissingValue> {
        let parts = match self {
            Self::File(path) => {
                let text = file(path).map_err(|cause| MissingValue::File {
                    path: Arc::clone(path),
                    cause,
                })?;
                return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
            }
            Self::Text(parts) => parts,
        };
        let mut value = String::new();
        for part in parts {
            match part {
                ReferencePart::Literal(text) => value.push_str(text),
                ReferencePart::Variable { name, default } => {
                    match (variable(name).filter(|found| !found.is_empty()), default) {
                        (Some(found), _) => value.push_str(&found),
                        (None, Some(default)) => value.push_str(default),
                        (None, None) => return Err(MissingValue::Variable(Arc::clone(name))),
                    }
                }
            }
        }
        Ok(value)
    }
}

impl ReferencePart {
    /// Whether a part of the value is written here.
    fn is_literal(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Variable { default, .. } => {
                default.as_deref().is_some_and(|text| !text.is_empty())
            }
        }
    }
}

impl fmt::Display for Reference {
    /// As it would be written in a document.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{{ file: {path} }}"),
            Self::Text(parts) => parts.iter().try_for_each(|part| match part {
                ReferencePart::Literal(text) => f.write_str(&text.replace('$', "$$")),
                ReferencePart::Variable {
                    name,
                    default: None,
                } => write!(f, "${{{name}}}"),
                ReferencePart::Variable {
                    name,
                    default: Some(default),
                } => {
                    write!(f, "${{{name}:-{default}}}")
                }
            }),
        }
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A secret: never shown by `Debug` or `Display`, which print its reference or a fingerprint.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Reference);

impl Secret {
    /// Takes a reference as a secret.
    pub const fn new(reference: Reference) -> Self {
        Self(reference)
    }

    /// The reference itself, to resolve or to store it. Its value must not be printed.
    pub const fn expose(&self) -> &Reference {
        &self.0
    }

    /// Whether a part of the secret itself is written in the document. The scheme of an
    /// `Authorization` header is no part of it.
    pub fn holds_literal(&self) -> bool {
        match &self.0 {
            Reference::Text(parts) => match parts.as_slice() {
                [ReferencePart::Literal(scheme), rest @ ..]
                    if !rest.is_empty() && SCHEMES.contains(&&**scheme) =>
                {
                    rest.iter().any(ReferencePart::is_literal)
                }
                parts => parts.iter().any(ReferencePart::is_literal),
            },
            Reference::File(_) => false,
        }
    }

    /// What may be printed instead: the reference, or a fingerprint if it holds literal text.
    pub fn shown(&self) -> String {
        if !self.holds_literal() {
            return self.0.to_string();
        }
        let digest = Sha256::digest(self.0.to_string().as_bytes());
        let digits = digest.iter().take(6).map(|byte| format!("{byte:02x}"));
        let mut shown = String::from("secret:sha256:");
        shown.extend(digits);
        shown
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<String, MissingValue> {
        let variable = |name: &str| (name == "SET").then(|| "value".to_owned());
        Reference::parse(text)?.resolve(variable, |_| Err("absent".to_owned()))
    }

    #[test]
    fn variables_and_defaults_are_filled_in() {
        assert_eq!(
            resolve("http://${SET}:80").as_deref(),
            Ok("http://value:80")
        );
        assert_eq!(resolve("${UNSET:-else}").as_deref(), Ok("else"));
        assert_eq!(resolve("a$$b$c").as_deref(), Ok("a$b$c"));
        assert_eq!(
            resolve("${UNSET}"),
            Err(MissingValue::Variable(Arc::from("UNSET")))
        );
        assert_eq!(resolve("${SET"), Err(MissingValue::Malformed));
        assert_eq!(resolve("${NOT-A-NAME}"), Err(MissingValue::Malformed));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new(Reference::literal("hunter2-hunter2"));
        assert!(!format!("{secret} {secret:?}").contains("hunter2"));
        let referring = Secret::new(Reference::parse("${OPENAI_API_KEY}").unwrap());
        assert_eq!(referring.to_string(), "${OPENAI_API_KEY}");
        let header = Secret::new(Reference::parse("Bearer ${TOKEN}").unwrap());
        assert_eq!(header.to_string(), "Bearer ${TOKEN}");
        for text in ["Bearer hunter2", "Bearer ${A:-hunter2}", "hunter2${A}"] {
            let secret = Secret::new(Reference::parse(text).unwrap());
            assert!(!secret.to_string().contains("hunter2"), "{secret}");
        }
    }
}
