//! What was found in a document, until it becomes diagnostics.
//!
//! Rules this module keeps:
//! - At most [`POLICY_ERRORS`] errors and as many warnings are kept; the rest is counted.
//! - One thing at one place is said once, also where an alias leads there many times.
//! - No diagnostic shows a character of a concealed span, nor of a value near a syntax error that
//!   might be a secret.

mod lines;

use std::cell::OnceCell;
use std::fmt;

use self::lines::{Lines, Place, masked, masked_values};
use super::tree::{Node, Span, Value};
use super::{Diagnostic, Severity, SourceFile};
use crate::limits::{POLICY_ERRORS, QUOTED_CHARS};
use crate::policy::code;
use crate::units::Decimal;

/// Longest text of digits that is taken for a number and not for a secret.
const NUMBER_BYTES: usize = 12;

/// One thing found.
#[derive(Debug)]
pub(super) struct Finding {
    severity: Severity,
    code: &'static str,
    span: Option<Span>,
    path: String,
    message: String,
    help: Option<String>,
    /// The text around is not understood, so that any of it may be a secret.
    syntax: bool,
}

/// All that was found in the files of a document.
pub(super) struct Report<'r> {
    files: &'r [SourceFile],
    /// The lines of each file, once they are needed.
    lines: Vec<OnceCell<Lines<'r>>>,
    findings: Vec<Finding>,
    errors: usize,
    warnings: usize,
    /// Errors handed in, repetitions included.
    failures: usize,
    concealed: Vec<Span>,
}

/// A piece of a document for a sentence: bounded, in backticks.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTED_CHARS) {
            Some((end, _)) => write!(f, "`{}...`", self.0.get(..end).unwrap_or_default()),
            None => write!(f, "`{}`", self.0),
        }
    }
}

impl Finding {
    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            span: None,
            path: String::new(),
            message: message.into(),
            help: None,
            syntax: false,
        }
    }

    /// An error at `span`.
    pub(super) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            ..Self::new(Severity::Error, code, message)
        }
    }

    /// A warning at `span`.
    pub(super) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            ..Self::new(Severity::Warning, code, message)
        }
    }

    /// An error of the document as a whole.
    pub(super) fn everywhere(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning about the document as a whole.
    pub(super) fn warning_everywhere(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Says where in the document it is.
    pub(super) fn at(mut self, path: &impl ToString) -> Self {
        self.path = path.to_string();
        self
    }

    /// Says what to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, if anything is known.
    pub(super) fn with_help<T: Into<String>>(mut self, help: Option<T>) -> Self {
        self.help = help.map(Into::into);
        self
    }

    /// Marks a syntax error.
    pub(super) fn in_broken_syntax(mut self) -> Self {
        self.syntax = true;
        self
    }
}

impl<'r> Report<'r> {
    /// Nothing found yet.
    pub(super) fn new(files: &'r [SourceFile]) -> Self {
        Self {
            files,
            lines: files.iter().map(|_| OnceCell::new()).collect(),
            findings: Vec::new(),
            errors: 0,
            warnings: 0,
            failures: 0,
            concealed: Vec::new(),
        }
    }

    /// What is written at `span`.
    pub(super) fn source(&self, span: Span) -> Option<&'r str> {
        let file = self.files.get(usize::try_from(span.file).ok()?)?;
        let start = usize::try_from(span.start).ok()?;
        file.text.get(start..usize::try_from(span.end).ok()?)
    }

    /// `file:line:column` of `span`.
    pub(super) fn position(&self, span: Span) -> String {
        match self.place(span) {
            Some((file, place)) => format!("{}:{}:{}", file.name, place.line, place.column),
            None => String::from("the start"),
        }
    }

    /// Takes down `finding`, unless it was there before or there are too many.
    pub(super) fn push(&mut self, finding: Finding) {
        let count = match finding.severity {
            Severity::Error => {
                self.failures = self.failures.saturating_add(1);
                &mut self.errors
            }
            Severity::Warning => &mut self.warnings,
        };
        let is_same = |other: &Finding| {
            (other.span, other.code, &other.message)
                == (finding.span, finding.code, &finding.message)
        };
        if *count >= POLICY_ERRORS {
            *count = count.saturating_add(1);
        } else if !self.findings.iter().any(is_same) {
            *count = count.saturating_add(1);
            self.findings.push(finding);
        }
    }

    /// Whether `code` was found at `span`.
    pub(super) fn has(&self, code: &str, span: Span) -> bool {
        let is_it = |finding: &Finding| finding.code == code && finding.span == Some(span);
        self.findings.iter().any(is_it)
    }

    /// Whether a further warning would be kept; beyond that it need not be worked out.
    pub(super) fn has_room_for_warnings(&self) -> bool {
        self.warnings < POLICY_ERRORS
    }

    /// As [`Report::has_room_for_warnings`], for errors.
    pub(super) fn has_room_for_errors(&self) -> bool {
        self.errors < POLICY_ERRORS
    }

    /// Whether there is an error.
    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Errors handed in so far, repetitions included: whether the number has grown tells whether
    /// something went wrong.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    /// Lets no diagnostic show `span`.
    pub(super) fn conceal_span(&mut self, span: Span) {
        self.concealed.push(span);
    }

    /// Lets no diagnostic show the texts in `node`, which may be secrets in the wrong place.
    pub(super) fn conceal(&mut self, node: &Node<'_>) {
        match node.value() {
            Value::Plain(text) if is_short_number(text) => {}
            Value::Plain(_) | Value::Quoted(_) => self.conceal_span(node.defined().span),
            Value::List(items) => items.iter().for_each(|item| self.conceal(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.conceal(&entry.value)),
            Value::Shared(_) | Value::Broken => {}
        }
    }

    /// The diagnostics in the order of the document, the count of those left out last.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        let left_out = |count: usize| count.saturating_sub(POLICY_ERRORS);
        let more = [
            (Severity::Error, left_out(self.errors), "errors"),
            (Severity::Warning, left_out(self.warnings), "warnings"),
        ];
        let mut findings = std::mem::take(&mut self.findings);
        findings.sort_by_key(|finding| finding.span);
        self.concealed = disjoint(std::mem::take(&mut self.concealed));
        for (severity, count, what) in more {
            if count > 0 {
                let message = format!("{count} further {what} are not shown");
                findings.push(Finding::new(severity, code::MORE, message));
            }
        }
        findings
            .into_iter()
            .map(|finding| self.diagnostic(finding))
            .collect()
    }

    fn place(&self, span: Span) -> Option<(&'r SourceFile, Place<'r>)> {
        let index = usize::try_from(span.file).ok()?;
        let file = self.files.get(index)?;
        let lines = self.lines.get(index)?;
        Some((
            file,
            lines.get_or_init(|| Lines::of(&file.text)).place(span),
        ))
    }

    fn diagnostic(&self, finding: Finding) -> Diagnostic {
        let mut diagnostic = Diagnostic {
            severity: finding.severity,
            code: finding.code.to_owned(),
            file: String::new(),
            line: 0,
            column: 0,
            length: 1,
            path: printable(finding.path),
            message: printable(finding.message),
            help: finding.help.map(printable),
            source_line: String::new(),
        };
        let Some((span, (file, place))) = finding
            .span
            .and_then(|span| Some((span, self.place(span)?)))
        else {
            return diagnostic;
        };
        diagnostic.file.clone_from(&file.name);
        diagnostic.line = place.line;
        diagnostic.column = place.column;
        diagnostic.length = place.length;
        diagnostic.source_line = masked(&place, span.file, &self.concealed);
        if finding.syntax {
            diagnostic.source_line = masked_values(&diagnostic.source_line);
        }
        diagnostic
    }
}

/// Whether `text` is a number, and not a secret made of digits.
fn is_short_number(text: &str) -> bool {
    text.len() <= NUMBER_BYTES && Decimal::parse(text).is_ok()
}

/// The same bytes in spans that do not overlap, sorted.
fn disjoint(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.file == span.file && span.start <= last.end => {
                last.end = last.end.max(span.end);
            }
            _ => joined.push(span),
        }
    }
    joined
}

/// `text` without characters that could steer a terminal.
fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars()
        .flat_map(|c| {
            let (escaped, plain) = if c.is_control() {
                (Some(c.escape_default()), None)
            } else {
                (None, Some(c))
            };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
