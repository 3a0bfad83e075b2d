//! What an error body says, in any of the shapes in use.

use agix_core::limits::{UPSTREAM_ERROR_BYTES, UPSTREAM_ERROR_SHOWN};
use serde_json::Value;

/// Longest code that is taken for one.
const CODE_BYTES: usize = 64;
/// How a key of a provider begins.
const KEY_HEADS: [&str; 7] = ["sk-", "sk_", "gsk_", "xai-", "AIza", "pk-", "key-"];
/// Shortest text with such a head that is taken for a key.
const KEY_BYTES: usize = 12;

/// The parts of an error body that mean something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Its codes and types in small letters, the most telling first.
    pub(super) codes: Vec<String>,
    /// What it says to people: bounded, one line, no keys.
    pub(super) message: String,
    /// A status given as a number in the body.
    pub(super) status: Option<u16>,
    /// The message in small letters.
    lower: String,
}

impl Words {
    /// Reads a body, JSON or not.
    pub(super) fn read(body: &[u8]) -> Self {
        let body = body.get(..UPSTREAM_ERROR_BYTES).unwrap_or(body);
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_not_json) => Self {
                message: shown(plain_text(body)),
                ..Self::default()
            }
            .finished(),
        }
    }

    pub(super) fn codes(&self) -> impl Iterator<Item = &str> {
        self.codes.iter().map(String::as_str)
    }

    pub(super) fn has_code(&self, codes: &[&str]) -> bool {
        self.codes().any(|code| codes.contains(&code))
    }

    pub(super) fn says(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.lower.contains(text))
    }

    fn of(value: &Value) -> Self {
        // Gemini sends a list of one.
        let value = match value {
            Value::Array(list) => list.first().unwrap_or(&Value::Null),
            other => other,
        };
        let error = match value.get("error") {
            Some(error) if !error.is_null() => error,
            _ => value,
        };
        let pointers = [
            "/details/error_code",
            "/innererror/code",
            "/code",
            "/type",
            "/status",
        ];
        let found = || pointers.iter().filter_map(|pointer| error.pointer(pointer));
        let codes = found()
            .filter_map(Value::as_str)
            .filter(|code| code.len() <= CODE_BYTES && code.bytes().all(|b| b.is_ascii_graphic()))
            .map(str::to_ascii_lowercase)
            .collect();
        let status = found().filter_map(Value::as_u64).find_map(|number| {
            u16::try_from(number)
                .ok()
                .filter(|n| (400..600).contains(n))
        });
        let message = [error.get("message"), Some(error), error.get("detail")]
            .into_iter()
            .flatten()
            .find_map(Value::as_str)
            .map(shown)
            .unwrap_or_default();
        Self {
            codes,
            message,
            status,
            ..Self::default()
        }
        .finished()
    }

    fn finished(mut self) -> Self {
        self.lower = self.message.to_lowercase();
        self
    }
}

/// A body that is not JSON, if it is something to read: no page of markup, no half of an object.
fn plain_text(body: &[u8]) -> &str {
    std::str::from_utf8(body)
        .ok()
        .map(str::trim)
        .filter(|text| !text.starts_with(['<', '{', '[']))
        .unwrap_or_default()
}

/// `text` as it may be shown: in one line, no longer than [`UPSTREAM_ERROR_SHOWN`], keys replaced.
fn shown(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        let gap = if line.is_empty() { "" } else { " " };
        let word = if holds_key(word) { "[key]" } else { word };
        let room = UPSTREAM_ERROR_SHOWN.saturating_sub(line.len() + gap.len() + "…".len());
        line.push_str(if room > 0 { gap } else { "" });
        if word.len() > room {
            line.push_str(
                word.get(..word.floor_char_boundary(room))
                    .unwrap_or_default(),
            );
            line.push('…');
            break;
        }
        line.push_str(word);
    }
    line
}

fn holds_key(word: &str) -> bool {
    KEY_HEADS.iter().any(|head| {
        word.find(head)
            .is_some_and(|place| word.len() - place >= KEY_BYTES)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_shape_of_error_body_is_read() {
        for (body, code, message) in [
            (
                r#"{"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}"#,
                "rate_limit_exceeded",
                "Slow down",
            ),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                "overloaded_error",
                "Overloaded",
            ),
            (r#"{"error":"no such thing"}"#, "", "no such thing"),
            (r#"{"detail":"Not Found"}"#, "", "Not Found"),
            (
                r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
                "badrequesterror",
                "too long",
            ),
            (
                r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#,
                "resource_exhausted",
                "Quota",
            ),
            (
                r#"{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"},"message":"no"}}"#,
                "responsibleaipolicyviolation",
                "no",
            ),
            ("upstream connect error\n", "", "upstream connect error"),
            ("<html><body>502</body></html>", "", ""),
            (r#"{"error":{"mess"#, "", ""),
            ("[]", "", ""),
            ("null", "", ""),
            ("", "", ""),
        ] {
            let words = Words::read(body.as_bytes());
            assert_eq!(words.codes().next().unwrap_or_default(), code, "{body}");
            assert_eq!(words.message, message, "{body}");
        }
    }

    #[test]
    fn what_is_shown_is_one_bounded_line_without_keys() {
        assert_eq!(
            shown("Incorrect API key\r\n\u{1b}[31mprovided: sk-proj-0123456789abcdef."),
            "Incorrect API key [31mprovided: [key]"
        );
        assert_eq!(shown("(key=sk-0123456789abcdef)"), "[key]");
        assert_eq!(
            shown("a sk-ip of the task-force"),
            "a sk-ip of the task-force"
        );
        let long = shown(&"é".repeat(UPSTREAM_ERROR_SHOWN));
        assert!(long.len() <= UPSTREAM_ERROR_SHOWN && long.ends_with('…'));
    }

    proptest! {
        #[test]
        fn nothing_a_provider_sends_is_shown_beyond_the_bound(body in "\\PC{0,2000}") {
            let words = Words::read(body.as_bytes());
            prop_assert!(words.message.len() <= UPSTREAM_ERROR_SHOWN);
            prop_assert!(!words.message.chars().any(char::is_control));
        }
    }
}
