//! References and secrets.

use std::fmt;
use std::sync::Arc;

use agix_core::policy::{Reference, ReferencePart, Secret};

use super::error::{At, InvalidField, InvalidMessage};
use super::field::required;
use crate::v1;

impl From<&Reference> for v1::Reference {
    fn from(reference: &Reference) -> Self {
        use v1::reference::Source;
        let source = match reference {
            Reference::File(path) => Source::File(path.to_string()),
            Reference::Text(parts) => Source::Text(v1::ReferenceText {
                parts: parts.iter().map(v1::ReferencePart::from).collect(),
            }),
        };
        Self {
            source: Some(source),
        }
    }
}

impl TryFrom<v1::Reference> for Reference {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Reference) -> Result<Self, InvalidMessage> {
        use v1::reference::Source;
        let v1::Reference { source } = wire;
        match required(source).at("source")? {
            Source::File(path) => Ok(Self::File(Arc::from(path))),
            Source::Text(v1::ReferenceText { parts }) => parts
                .into_iter()
                .enumerate()
                .map(|(index, part)| ReferencePart::try_from(part).at_entry("text.parts", index))
                .collect::<Result<_, _>>()
                .map(Self::Text),
        }
    }
}

impl From<&ReferencePart> for v1::ReferencePart {
    fn from(part: &ReferencePart) -> Self {
        use v1::reference_part::{Part, Variable};
        let part = match part {
            ReferencePart::Literal(text) => Part::Literal(text.to_string()),
            ReferencePart::Variable { name, default } => Part::Variable(Variable {
                name: name.to_string(),
                default: default.as_ref().map(ToString::to_string),
            }),
        };
        Self { part: Some(part) }
    }
}

impl TryFrom<v1::ReferencePart> for ReferencePart {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ReferencePart) -> Result<Self, InvalidMessage> {
        use v1::reference_part::{Part, Variable};
        let v1::ReferencePart { part } = wire;
        match required(part).at("part")? {
            Part::Literal(text) => Ok(Self::Literal(Arc::from(text))),
            Part::Variable(Variable { name, default }) => Self::variable(&name, default.as_deref())
                .ok_or(InvalidField::Range(
                    "a variable name, and a default without `}`",
                ))
                .at("variable"),
        }
    }
}

impl From<&Secret> for v1::Reference {
    fn from(secret: &Secret) -> Self {
        Self::from(secret.expose())
    }
}

impl TryFrom<v1::Reference> for Secret {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Reference) -> Result<Self, InvalidMessage> {
        Reference::try_from(wire).map(Self::new)
    }
}

impl fmt::Debug for v1::Reference {
    /// Any reference may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Secret::try_from(self.clone()) {
            Ok(secret) => write!(f, "Reference({secret})"),
            Err(_) => f.write_str("Reference(invalid)"),
        }
    }
}

impl fmt::Debug for v1::SourceFile {
    /// The text may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, text } = self;
        write!(f, "SourceFile({name:?}, {} bytes)", text.len())
    }
}
