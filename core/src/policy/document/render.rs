//! Diagnostics as text for a terminal, in the form of rustc.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Severity};
use crate::policy::code;

/// The diagnostics one below the other, and a last line that counts them. Nothing if there are
/// none.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&report(diagnostic)));
        text.push_str("\n\n");
    }
    text.push_str(&summary(diagnostics));
    text.push('\n');
    text
}

/// How many errors and warnings there are: `8 errors, 1 warning`.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let words: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
        .into_iter()
        .filter_map(|(severity, what)| {
            let of_it = || diagnostics.iter().filter(|one| one.severity == severity);
            let count = of_it().filter(|one| one.code != code::MORE).count();
            let more = if of_it().any(|one| one.code == code::MORE) {
                "more than "
            } else {
                ""
            };
            match count {
                0 => None,
                1 => Some(format!("{more}1 {what}")),
                _ => Some(format!("{more}{count} {what}s")),
            }
        })
        .collect();
    if words.is_empty() {
        String::from("no errors")
    } else {
        words.join(", ")
    }
}

fn report(diagnostic: &Diagnostic) -> [Group<'_>; 1] {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(&*diagnostic.message)
        .id(&*diagnostic.code);
    let line = usize::try_from(diagnostic.line).unwrap_or(usize::MAX);
    let group = if line == 0 {
        Group::with_title(title)
    } else if diagnostic.source_line.is_empty() {
        let column = usize::try_from(diagnostic.column).unwrap_or(usize::MAX);
        let origin = Origin::path(&*diagnostic.file).line(line);
        title.element(origin.char_column(column))
    } else {
        let mark = AnnotationKind::Primary
            .span(marked(diagnostic))
            .label(Some(&*diagnostic.path).filter(|path| !path.is_empty()));
        let snippet = Snippet::source(&*diagnostic.source_line)
            .line_start(line)
            .path(&*diagnostic.file)
            .annotation(mark);
        title.element(snippet)
    };
    [match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(&**help)),
        None => group,
    }]
}

/// The marked bytes of the source line.
fn marked(diagnostic: &Diagnostic) -> Range<usize> {
    let line = &diagnostic.source_line;
    let column = usize::try_from(diagnostic.column).unwrap_or(usize::MAX);
    let length = usize::try_from(diagnostic.length).unwrap_or(usize::MAX);
    let byte = |character: usize| {
        line.char_indices()
            .nth(character)
            .map_or(line.len(), |(byte, _)| byte)
    };
    let first = column.saturating_sub(1);
    byte(first)..byte(first.saturating_add(length))
}

#[cfg(test)]
mod tests;
