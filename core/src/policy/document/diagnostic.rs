//! What is said about a document, complete enough to be shown far from the file.

/// How bad a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// The document is taken, but probably does not mean what was meant.
    Warning,
}

/// One thing to say about a document. Lines and columns count from one and in characters; a line
/// of zero means that no place is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, the same in every version: `AGX0003`.
    pub code: String,
    /// The file's name, as it was handed in.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column of the first marked character.
    pub column: u32,
    /// Characters marked, at least one, all in this line.
    pub length: u32,
    /// The place in the document: `rate_limits.batch.requests_per_minute`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line itself, each character of a secret blanked; empty if it is far too long to show.
    pub source_line: String,
}
