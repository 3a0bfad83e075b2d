//! Values that may stand elsewhere, and those among them that must not be shown.

use std::sync::Arc;

use super::Field;
use crate::limits::REFERENCE_BYTES;
use crate::policy::check::address;
use crate::policy::document::Reader;
use crate::policy::document::redact::Literal;
use crate::policy::document::tree::Value;
use crate::policy::{Reference, Secret, code};

/// What [`Secret::shown`] begins with for a literal.
const FINGERPRINT: &str = "secret:sha256:";

impl Field<'_, '_> {
    /// Text with `${NAME}` in it, or `{ file: PATH }`.
    pub(in crate::policy::document) fn reference(
        &self,
        reader: &mut Reader<'_>,
    ) -> Option<Reference> {
        if self.is_map() {
            let [file] = self.record(reader, ["file"])?;
            let Some(file) = file else {
                self.missing(reader, "file", "write `{ file: PATH }`");
                return None;
            };
            let path = file.bounded_text(reader, REFERENCE_BYTES)?;
            return Some(Reference::File(Arc::from(path)));
        }
        let text = self.bounded_text(reader, REFERENCE_BYTES)?;
        Reference::parse(text)
            .map_err(|error| self.error(reader, code::BAD_REFERENCE, error.to_string()))
            .ok()
    }

    /// As [`Field::reference`], for an address to call.
    pub(in crate::policy::document) fn address(
        &self,
        reader: &mut Reader<'_>,
    ) -> Option<Reference> {
        let address = self.reference(reader)?;
        if let Some(fault) = address::fault(&address) {
            let message = format!("{} {fault}", self.path.label());
            // It may hold a password.
            if address.to_string().contains('@') {
                reader.report.conceal(self.node);
            }
            self.error(reader, code::BAD_ADDRESS, message);
        }
        Some(address)
    }

    /// As [`Field::reference`], for a value that must not be shown.
    pub(in crate::policy::document) fn secret(&self, reader: &mut Reader<'_>) -> Option<Secret> {
        let reference = match self.node.value() {
            Value::Quoted(text) | Value::Plain(text) if is_fingerprint(text) => {
                let name = self.path.label();
                let message = format!(
                    "{name} is the fingerprint of a secret, as `agixctl get` shows it, and not \
                     the secret"
                );
                let help = "write the secret itself, or better `${NAME}` or `{ file: PATH }`";
                self.error_with(reader, code::REDACTED_SECRET, message, help);
                return None;
            }
            _ => self.reference(reader),
        };
        let span = self.node.defined().span;
        let Some(reference) = reference else {
            reader.report.conceal_span(span);
            return None;
        };
        let secret = Secret::new(reference);
        if secret.holds_literal() {
            reader.report.conceal_span(span);
            reader.literals.push(Literal {
                span,
                shown: secret.shown(),
            });
        }
        Some(secret)
    }
}

/// Whether `text` is what is shown in place of a literal secret.
fn is_fingerprint(text: &str) -> bool {
    text.trim()
        .strip_prefix(FINGERPRINT)
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
