mod accepted;
mod hostile;
mod refused;
mod secrets;

use super::*;

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

/// Reads `text` as the only file of a document.
fn read_text(text: &str) -> Result<Checked, Vec<Diagnostic>> {
    read_files(&[file("policy.yaml", text)])
}

fn read_files(files: &[SourceFile]) -> Result<Checked, Vec<Diagnostic>> {
    read(files, &|zone| ["UTC", "Europe/Berlin"].contains(&zone))
}

/// The policy in `text`, which must be legal.
fn policy(text: &str) -> Policy {
    match read_text(text) {
        Ok(checked) => checked.policy,
        Err(diagnostics) => panic!("{}", render(&diagnostics, false)),
    }
}

/// Everything wrong with `text`, as `line:column code path`.
fn errors(text: &str) -> Vec<String> {
    let diagnostics = read_text(text).map_or_else(|errors| errors, |_| Vec::new());
    places(&diagnostics, Severity::Error)
}

/// The warnings about `text`, as `line:column code path`.
fn warnings(text: &str) -> Vec<String> {
    let diagnostics = read_text(text).map_or_else(|errors| errors, |checked| checked.warnings);
    places(&diagnostics, Severity::Warning)
}

fn places(diagnostics: &[Diagnostic], severity: Severity) -> Vec<String> {
    let of_it = diagnostics.iter().filter(|one| one.severity == severity);
    of_it
        .map(|one| format!("{}:{} {} {}", one.line, one.column, one.code, one.path))
        .collect()
}

const FULL: &str = include_str!("../../../testdata/documents/full.yaml");
