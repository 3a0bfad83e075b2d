//! `validate`: reads a document as the control plane would, without one.

use agix_core::policy::document::{Diagnostic, SourceFile, summary};
use agix_core::policy::{Policy, document as reader};
use serde::Serialize;

use crate::args::DocumentArgs;
use crate::document::{Findings, tell};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::{Look, Output, View};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl validate -f policy.yaml
  agixctl validate -f policies/ -o json | jq '.errors[].message'

Exit codes: 0 legal (warnings on stderr), 2 cannot be read, 3 not legal.")]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    document: DocumentArgs,
}

/// What was found in a document.
#[derive(Debug, Serialize)]
struct Validated {
    valid: bool,
    #[serde(flatten)]
    findings: Findings,
    #[serde(skip)]
    line: String,
}

impl View for Validated {
    fn text(&self, _look: Look) -> String {
        self.line.clone()
    }
}

pub(crate) fn run(args: &ValidateArgs, output: Output) -> Result<Exit, Failure> {
    let document = files::read(&args.document.file)?;
    let sources: Vec<SourceFile> = document.files.into_iter().map(SourceFile::from).collect();
    let (valid, diagnostics, line) = match reader::read(&sources, &zone_exists) {
        Ok(checked) => {
            let line = valid_line(&checked.policy, &checked.warnings);
            (true, checked.warnings, line)
        }
        Err(diagnostics) => (false, diagnostics, String::new()),
    };
    if !output.for_programs() {
        tell(&diagnostics, output);
    }
    output.data(&Validated {
        valid,
        findings: Findings::new(&diagnostics),
        line,
    })?;
    Ok(if valid { Exit::Ok } else { Exit::Invalid })
}

fn valid_line(policy: &Policy, warnings: &[Diagnostic]) -> String {
    let count = policy.resources().len();
    let entries = if count == 1 { "entry" } else { "entries" };
    let with = if warnings.is_empty() {
        String::new()
    } else {
        format!(", {}", summary(warnings))
    };
    format!("policy is valid ({count} {entries}{with})\n")
}

/// Whether the time zone database of this program has the zone; the control plane has the same.
fn zone_exists(name: &str) -> bool {
    jiff::tz::TimeZoneDatabase::bundled().get(name).is_ok()
}
