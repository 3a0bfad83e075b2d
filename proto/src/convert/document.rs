//! Documents and what is said about them.

use agix_core::policy::document::{Diagnostic, Severity, SourceFile};

use super::error::InvalidMessage;
use super::field::{Enumeration as _, enum_value, enumeration};
use crate::v1;

enumeration!(
    Severity, v1::Severity:
    Error = Error,
    Warning = Warning,
);

impl From<SourceFile> for v1::SourceFile {
    fn from(file: SourceFile) -> Self {
        let SourceFile { name, text } = file;
        Self { name, text }
    }
}

impl From<v1::SourceFile> for SourceFile {
    fn from(wire: v1::SourceFile) -> Self {
        let v1::SourceFile { name, text } = wire;
        Self { name, text }
    }
}

impl From<&Diagnostic> for v1::Diagnostic {
    fn from(diagnostic: &Diagnostic) -> Self {
        let Diagnostic {
            severity,
            code,
            file,
            line,
            column,
            length,
            path,
            message,
            help,
            source_line,
        } = diagnostic;
        Self {
            severity: severity.number(),
            code: code.clone(),
            file: file.clone(),
            line: *line,
            column: *column,
            length: *length,
            path: path.clone(),
            message: message.clone(),
            help: help.clone(),
            source_line: source_line.clone(),
        }
    }
}

impl TryFrom<v1::Diagnostic> for Diagnostic {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Diagnostic) -> Result<Self, InvalidMessage> {
        let v1::Diagnostic {
            severity,
            code,
            file,
            line,
            column,
            length,
            path,
            message,
            help,
            source_line,
        } = wire;
        Ok(Self {
            severity: enum_value(severity, "severity")?,
            code,
            file,
            line,
            column,
            length,
            path,
            message,
            help,
            source_line,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_arrives_as_it_was_said() {
        let said = Diagnostic {
            severity: Severity::Warning,
            code: "AGX0001".to_owned(),
            file: "policy.yaml".to_owned(),
            line: 3,
            column: 5,
            length: 7,
            path: "rate_limits.batch".to_owned(),
            message: "message".to_owned(),
            help: Some("help".to_owned()),
            source_line: "  batch:".to_owned(),
        };
        let wire = v1::Diagnostic::from(&said);
        assert_eq!(Diagnostic::try_from(wire.clone()).unwrap(), said);
        let unknown = v1::Diagnostic {
            severity: 0,
            ..wire
        };
        assert!(Diagnostic::try_from(unknown).is_err());
    }
}
