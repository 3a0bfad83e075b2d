//! The policy document: YAML in, checked policy out.
//!
//! Rules this module keeps:
//! - Every error of every file is reported at once, each with its place; nothing is guessed and
//!   nothing unknown is skipped.
//! - A document is its files put together: their order does not matter, and an entry that is
//!   there twice is an error, in one file or in two.
//! - Numbers are read from their characters, never through a float.
//! - No diagnostic and no redacted file shows a literal secret.
//!
//! The YAML parser is used for its events: they carry the place of everything, keep what was
//! written, and cost a third of what deserialising into a tree would.

mod advice;
mod diagnostic;
mod field;
mod locate;
mod redact;
mod render;
mod report;
mod section;
pub(super) mod suggest;
mod tree;

use std::collections::BTreeMap;

pub use diagnostic::{Diagnostic, Severity};
pub use render::{render, summary};

use self::redact::Literal;
use self::report::{Finding, Report};
use self::section::Sections;
use self::tree::Node;
use crate::limits::{POLICY_DOCUMENT_BYTES, POLICY_FILES};
use crate::policy::{Policy, TimeZoneName, code};

/// One file of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, for people.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A document that was read without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What it says.
    pub policy: Policy,
    /// What is legal in it, but probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The files with each literal secret replaced by its fingerprint.
    pub redacted: Vec<SourceFile>,
}

/// What is passed through the reading of a document.
struct Reader<'r> {
    report: Report<'r>,
    literals: Vec<Literal>,
    zone_exists: &'r dyn Fn(&str) -> bool,
    /// The zones asked for so far.
    zones: BTreeMap<String, Option<TimeZoneName>>,
    /// The zone of a budget that names none.
    utc: TimeZoneName,
}

impl Reader<'_> {
    /// The zone `name`, if there is one.
    fn zone(&mut self, name: &str) -> Option<TimeZoneName> {
        if let Some(known) = self.zones.get(name) {
            return known.clone();
        }
        let zone = TimeZoneName::new(name, self.zone_exists);
        self.zones.insert(name.to_owned(), zone.clone());
        zone
    }
}

/// Reads the files of one document. `zone_exists` knows the time zones.
///
/// # Errors
/// Everything wrong with the document, in its order, and its warnings.
pub fn read(
    files: &[SourceFile],
    zone_exists: &dyn Fn(&str) -> bool,
) -> Result<Checked, Vec<Diagnostic>> {
    let mut reader = Reader {
        report: Report::new(files),
        literals: Vec::new(),
        zone_exists,
        zones: BTreeMap::new(),
        utc: TimeZoneName::default(),
    };
    if let Err(finding) = fits(files) {
        reader.report.push(finding);
        return Err(reader.report.finish());
    }
    let (documents, whole) = parse(files, &mut reader.report);
    let sections = Sections::of(&documents, &mut reader);
    let policy = sections.read(&mut reader);
    // Without the part of a document that could not be read, much of the rest refers to nothing.
    if whole {
        locate::report_problems(&policy.check(), &sections, &mut reader.report);
        advice::give(&policy, &sections, &mut reader.report);
    }
    if reader.report.has_errors() {
        return Err(reader.report.finish());
    }
    Ok(Checked {
        policy,
        warnings: reader.report.finish(),
        redacted: redact::redacted(files, reader.literals),
    })
}

/// Parses every file. The second value says whether all of them could be read to the end.
fn parse<'t>(files: &'t [SourceFile], report: &mut Report<'_>) -> (Vec<Node<'t>>, bool) {
    let mut documents = Vec::new();
    let mut whole = true;
    for (index, file) in (0_u32..).zip(files) {
        match tree::parse(index, &file.text, report) {
            Some(parsed) => documents.extend(parsed),
            None => whole = false,
        }
    }
    (documents, whole)
}

fn fits(files: &[SourceFile]) -> Result<(), Finding> {
    let bytes = files
        .iter()
        .map(|file| file.text.len())
        .fold(0, usize::saturating_add);
    let message = if files.len() > POLICY_FILES {
        format!(
            "the document has {} files; at most {POLICY_FILES} are taken",
            files.len()
        )
    } else if bytes > POLICY_DOCUMENT_BYTES {
        format!("the document has {bytes} bytes; at most {POLICY_DOCUMENT_BYTES} are taken")
    } else {
        return Ok(());
    };
    Err(Finding::everywhere(code::TOO_LARGE, message))
}

#[cfg(test)]
mod tests;
