//! What is said about a document: the same text whether it was read here or by the control plane.

use agix_core::policy::document::{Diagnostic, Severity, render};
use agix_proto::v1;
use serde::Serialize;

use crate::client::CallError;
use crate::output::Output;

/// One thing said about a document, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct DiagnosticView {
    code: String,
    file: String,
    line: u32,
    column: u32,
    length: u32,
    path: String,
    message: String,
    help: Option<String>,
}

/// Everything said about a document, for programs.
#[derive(Debug, Serialize, Default)]
pub(crate) struct Findings {
    errors: Vec<DiagnosticView>,
    warnings: Vec<DiagnosticView>,
}

impl Findings {
    /// Sorts the diagnostics into errors and warnings.
    pub(crate) fn new(diagnostics: &[Diagnostic]) -> Self {
        let of = |severity| {
            let those = diagnostics.iter().filter(|one| one.severity == severity);
            those.map(DiagnosticView::from).collect()
        };
        Self {
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
        }
    }
}

impl From<&Diagnostic> for DiagnosticView {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.clone(),
            file: diagnostic.file.clone(),
            line: diagnostic.line,
            column: diagnostic.column,
            length: diagnostic.length,
            path: diagnostic.path.clone(),
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
        }
    }
}

/// Takes diagnostics from the wire.
pub(crate) fn received(diagnostics: Vec<v1::Diagnostic>) -> Result<Vec<Diagnostic>, CallError> {
    let read = diagnostics.into_iter().map(Diagnostic::try_from);
    read.collect::<Result<_, _>>().map_err(CallError::Nonsense)
}

/// Shows diagnostics to people, on stderr.
pub(crate) fn tell(diagnostics: &[Diagnostic], output: Output) {
    if !diagnostics.is_empty() {
        Output::words(&render(diagnostics, output.color_err()));
    }
}
