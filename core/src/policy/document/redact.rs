//! The files of a document without its literal secrets, comments and layout kept.

use super::SourceFile;
use super::tree::Span;

/// A literal secret.
#[derive(Debug)]
pub(super) struct Literal {
    /// Where it is written.
    pub(super) span: Span,
    /// What is shown instead.
    pub(super) shown: String,
}

/// `files` with each of `literals` replaced.
pub(super) fn redacted(files: &[SourceFile], mut literals: Vec<Literal>) -> Vec<SourceFile> {
    literals.sort_unstable_by_key(|literal| literal.span);
    literals.dedup_by_key(|literal| literal.span);
    let mut literals = literals.iter().peekable();
    let mut redacted = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let mut text = String::with_capacity(file.text.len());
        let mut rest = 0;
        while let Some(literal) =
            literals.next_if(|literal| usize::try_from(literal.span.file) == Ok(index))
        {
            let start = usize::try_from(literal.span.start).unwrap_or(usize::MAX);
            let end = usize::try_from(literal.span.end).unwrap_or(usize::MAX);
            text.push_str(file.text.get(rest..start).unwrap_or_default());
            write_instead(
                &mut text,
                file.text.get(start..end).unwrap_or_default(),
                &literal.shown,
            );
            rest = end;
        }
        text.push_str(file.text.get(rest..).unwrap_or_default());
        redacted.push(SourceFile {
            name: file.name.clone(),
            text,
        });
    }
    redacted
}

/// Writes `shown` in the quotes of `written`, or with the line ends that a block of text takes up.
fn write_instead(text: &mut String, written: &str, shown: &str) {
    let quote = ['"', '\''].into_iter().find(|quote| {
        written.len() > 1 && written.starts_with(*quote) && written.ends_with(*quote)
    });
    text.extend(quote);
    text.push_str(shown);
    text.extend(quote);
    text.push_str(written.get(written.trim_end().len()..).unwrap_or_default());
}
