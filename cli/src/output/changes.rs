//! Changed values of a policy, one a line.

use agix_proto::v1::Change;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::{Color, Look, clean, paint};

/// One changed value.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    path: String,
    old: Option<String>,
    new: Option<String>,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self {
            path: change.path,
            old: change.old,
            new: change.new,
        }
    }
}

/// The changes, each beginning with `+`, `-` or `~`, and how many are not listed.
pub(crate) fn change_lines(changes: &[ChangeView], left_out: u32, look: Look) -> String {
    let listed = changes.iter().map(|change| lines(change, look.color));
    let rest = (left_out > 0).then(|| format!("... and {left_out} more\n"));
    listed.chain(rest).collect()
}

fn lines(change: &ChangeView, color: bool) -> String {
    let path = clean(&change.path);
    let painted = |sign: &str, rest: &str, with| paint(&format!("{sign} {rest}"), with, color);
    let line = match (change.old.as_deref(), change.new.as_deref()) {
        (None, Some(new)) => painted("+", &format!("{path}: {}", clean(new)), Color::Good),
        (Some(old), None) => painted("-", &format!("{path}: {}", clean(old)), Color::Bad),
        (Some(old), Some(new)) if old.contains('\n') || new.contains('\n') => {
            return painted("~", &format!("{path}:"), Color::Note) + "\n" + &inner(old, new, color);
        }
        (Some(old), Some(new)) => {
            let rest = format!("{path}: {} -> {}", clean(old), clean(new));
            painted("~", &rest, Color::Note)
        }
        (None, None) => painted("~", &path, Color::Note),
    };
    line + "\n"
}

/// The lines that differ within a value of several lines.
fn inner(old: &str, new: &str, color: bool) -> String {
    let mut text = String::new();
    for change in TextDiff::from_lines(old, new).iter_all_changes() {
        let (sign, with) = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => ("-", Color::Bad),
            ChangeTag::Insert => ("+", Color::Good),
        };
        let line = clean(change.value().trim_end_matches(['\r', '\n'])).into_owned();
        text.push_str(&paint(&format!("    {sign} {line}"), with, color));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: Option<&str>, new: Option<&str>) -> String {
        let change = ChangeView {
            path: "a.b".to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let look = Look {
            wide: false,
            color: false,
        };
        change_lines(&[change], 0, look)
    }

    #[test]
    fn the_sign_tells_what_happened() {
        assert_eq!(shown(None, Some("5")), "+ a.b: 5\n");
        assert_eq!(shown(Some("5"), None), "- a.b: 5\n");
        assert_eq!(shown(Some("5"), Some("6")), "~ a.b: 5 -> 6\n");
    }

    #[test]
    fn of_a_long_text_only_the_changed_lines_are_shown() {
        assert_eq!(
            shown(Some("one\ntwo\nthree\n"), Some("one\n2\nthree\n")),
            "~ a.b:\n    - two\n    + 2\n"
        );
    }
}
