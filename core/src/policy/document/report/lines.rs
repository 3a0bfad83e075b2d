//! Lines and columns of a file, and lines as they may be shown.

use super::super::tree::{Span, boolean};
use super::is_short_number;
use crate::limits::SHOWN_LINE_CHARS;

/// What stands for a character that is not shown.
const MASK: char = '*';

/// Keys whose values are never secrets, for a line that could not be understood.
const HARMLESS: [&str; 40] = [
    "alert_at_percent",
    "api",
    "audit",
    "budgets",
    "cached_input",
    "chains",
    "connect",
    "content_log",
    "daily_limit_usd",
    "default_agent",
    "drop_unsupported",
    "enabled",
    "enforcement",
    "failover",
    "first_token",
    "group",
    "idle",
    "input",
    "max_concurrent",
    "max_cost_ratio",
    "max_retries",
    "min_throughput",
    "model",
    "models",
    "monthly_limit_usd",
    "on_outage",
    "output",
    "propagate",
    "provider",
    "rate_limits",
    "requests_per_hour",
    "requests_per_minute",
    "same_model_retries",
    "sample_rate",
    "stream_rescue",
    "timezone",
    "tokens_per_minute",
    "total",
    "tracing",
    "upstream_model",
];

/// Pieces of keys whose values are secrets.
const SECRET: [&str; 5] = ["secret", "key", "header", "auth", "pass"];

/// The lines of a file.
pub(super) struct Lines<'t> {
    text: &'t str,
    /// The first byte of each line.
    starts: Vec<usize>,
}

/// A span within its line.
pub(super) struct Place<'t> {
    /// From one.
    pub(super) line: u32,
    /// In characters, from one.
    pub(super) column: u32,
    /// In characters, at least one.
    pub(super) length: u32,
    /// The line without its end.
    text: &'t str,
    /// The line's first byte.
    start: usize,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(breaks.map(|(place, _)| place.saturating_add(1)))
            .collect();
        Self { text, starts }
    }

    /// Where `span` begins, and how much of it stands in that line. What lies behind the last
    /// word of the file is taken to its end.
    pub(super) fn place(&self, span: Span) -> Place<'t> {
        let written = self.text.trim_end().len();
        let start = self
            .text
            .floor_char_boundary(bytes(span.start).min(written));
        let end = self.text.floor_char_boundary(bytes(span.end).min(written));
        let number = self.starts.partition_point(|first| *first <= start).max(1);
        let first = number
            .checked_sub(1)
            .and_then(|index| self.starts.get(index))
            .map_or(0, |first| *first);
        let rest = self.text.get(first..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (text, first) = match line.strip_prefix('\u{feff}') {
            Some(text) => (text, first.saturating_add('\u{feff}'.len_utf8())),
            None => (line, first),
        };
        let within = |offset: usize| text.floor_char_boundary(offset.saturating_sub(first));
        let (from, to) = (within(start), within(end));
        let characters = |range: std::ops::Range<usize>| {
            let text = text.get(range).unwrap_or_default();
            u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
        };
        Place {
            line: u32::try_from(number).unwrap_or(u32::MAX),
            column: characters(0..from).saturating_add(1),
            length: characters(from..to.max(from)).max(1),
            text,
            start: first,
        }
    }
}

/// The line of `place`, without what lies in `concealed`. Empty if the place is too far to the
/// right to be shown.
pub(super) fn masked(place: &Place<'_>, file: u32, concealed: &[Span]) -> String {
    let last = place.column.saturating_add(place.length);
    if bytes(last) > SHOWN_LINE_CHARS {
        return String::new();
    }
    let cut = place.text.char_indices().nth(SHOWN_LINE_CHARS);
    let shown = cut.map_or(place.text, |(cut, _)| {
        place.text.get(..cut).unwrap_or_default()
    });
    let end = place.start.saturating_add(shown.len());
    let from = concealed.partition_point(|span| (span.file, bytes(span.end)) < (file, place.start));
    let hidden: Vec<Span> = concealed
        .iter()
        .skip(from)
        .take_while(|span| span.file == file && bytes(span.start) < end)
        .copied()
        .collect();
    shown
        .char_indices()
        .map(|(offset, character)| {
            let offset = place.start.saturating_add(offset);
            let covers = |span: &Span| (bytes(span.start)..bytes(span.end)).contains(&offset);
            if hidden.iter().any(covers) {
                MASK
            } else {
                character
            }
        })
        .collect()
}

/// `line` with only its structure and its first key, unless the key is known to be harmless.
pub(super) fn masked_values(line: &str) -> String {
    let (head, rest) = match line.split_once(':') {
        Some((head, rest)) => (head, rest),
        None => ("", line),
    };
    let key = head.trim_matches(|c: char| c.is_whitespace() || "-{[\"'".contains(c));
    let lower = rest.to_ascii_lowercase();
    if HARMLESS.contains(&key) && !SECRET.iter().any(|word| lower.contains(word)) {
        return line.to_owned();
    }
    let mut shown = line
        .get(..line.len().saturating_sub(rest.len()))
        .unwrap_or_default()
        .to_owned();
    for piece in rest.split_inclusive(is_structure) {
        let word = piece.trim_end_matches(is_structure);
        let is_harmless = is_short_number(word) || boolean(word).is_some();
        shown.extend(piece.chars().map(|character| {
            if is_harmless || is_structure(character) {
                character
            } else {
                MASK
            }
        }));
    }
    shown
}

fn is_structure(character: char) -> bool {
    character.is_whitespace() || "{}[],:\"'".contains(character)
}

fn bytes(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u32, end: u32) -> Span {
        Span {
            file: 0,
            start,
            end,
        }
    }

    #[test]
    fn columns_count_characters() {
        let lines = Lines::of("a: 1\r\nküche: { b: ü }\n");
        let place = lines.place(span(18, 19));
        assert_eq!((place.line, place.column, place.length), (2, 12, 1));
        assert_eq!(place.text, "küche: { b: ü }");
    }

    #[test]
    fn a_byte_order_mark_has_no_column() {
        let lines = Lines::of("\u{feff}abc: 1\n");
        let place = lines.place(span(3, 6));
        assert_eq!((place.line, place.column, place.length), (1, 1, 3));
    }

    #[test]
    fn the_end_of_the_file_is_the_end_of_its_last_line() {
        let lines = Lines::of("a: [1\n\n\n");
        let place = lines.place(span(8, 9));
        assert_eq!((place.line, place.column, place.length), (1, 6, 1));
    }

    #[test]
    fn a_span_over_lines_is_marked_to_the_end_of_its_first() {
        let lines = Lines::of("a: one\n  two\n");
        let place = lines.place(span(3, 12));
        assert_eq!((place.line, place.column, place.length), (1, 4, 3));
    }

    #[test]
    fn concealed_characters_keep_their_columns() {
        let text = "x: 1\n{ secret: \"zürich\", modle: 5 }";
        let lines = Lines::of(text);
        let at = |piece: &str| u32::try_from(text.find(piece).unwrap()).unwrap();
        let place = lines.place(span(at("modle"), at("modle") + 5));
        let hidden = [span(at("zürich"), at("zürich") + 7)];
        assert_eq!(
            masked(&place, 0, &hidden),
            "{ secret: \"******\", modle: 5 }"
        );
        assert_eq!(place.column, 21);
    }

    #[test]
    fn a_line_that_is_not_understood_shows_no_value_of_an_unknown_key() {
        for (line, shown) in [
            ("  max_retries: 1: 2", "  max_retries: 1: 2"),
            ("  secret: \"abc", "  secret: \"***"),
            (
                "- { model: x, api_key: sk-1 ]",
                "- { model: *, *******: **** ]",
            ),
            ("  hunter2", "  *******"),
            ("  b: 1, c: 5x ]", "  b: 1, *: ** ]"),
        ] {
            assert_eq!(masked_values(line), shown);
        }
    }
}
