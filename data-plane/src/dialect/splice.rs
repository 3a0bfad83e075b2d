//! Positions in JSON text, and replacing a few of them without writing the rest anew.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

/// What is to stand in place of a range of bytes.
pub(super) type Edit<'a> = (Range<usize>, &'a [u8]);

/// Where `part` lies in `whole`, if it is a piece of it.
pub(super) fn span_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Where a value that was read from `whole` lies in it.
pub(super) fn span_in(whole: &[u8], value: &RawValue) -> Range<usize> {
    span_of(whole, value.get().as_bytes()).unwrap_or_default()
}

/// `whole` with the edits made. They must be in order and must not overlap.
pub(super) fn splice(whole: &[u8], edits: &[Edit<'_>]) -> Bytes {
    let added: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut spliced = BytesMut::with_capacity(whole.len() + added);
    let mut from = 0;
    for (range, new) in edits {
        spliced.extend_from_slice(whole.get(from..range.start).unwrap_or_default());
        spliced.extend_from_slice(new);
        from = range.end;
    }
    spliced.extend_from_slice(whole.get(from..).unwrap_or_default());
    spliced.freeze()
}

/// The member of an object whose value is `value`: its key, its colon, and one comma. `object` must
/// be valid JSON.
pub(super) fn member_around(object: &[u8], value: Range<usize>) -> Range<usize> {
    let before = object.get(..value.start).unwrap_or_default();
    let colon = before.trim_ascii_end().len().saturating_sub(1);
    let key = before.get(..colon).unwrap_or_default().trim_ascii_end();
    let key = key.strip_suffix(b"\"").unwrap_or_default();
    // A quotation mark within the key would be escaped, and no key that is looked for has one.
    let start = memchr::memrchr(b'"', key).unwrap_or_default();

    let after = object.get(value.end..).unwrap_or_default();
    let gap = after.len() - after.trim_ascii_start().len();
    if after.get(gap) == Some(&b',') {
        return start..value.end + gap + 1;
    }
    let head = object.get(..start).unwrap_or_default().trim_ascii_end();
    let start = head.strip_suffix(b",").map_or(start, <[u8]>::len);
    start..value.end
}

/// Whether a JSON text holds something: neither nothing nor an empty text, list or object.
pub(super) fn is_given(value: &RawValue) -> bool {
    let text = value.get();
    let mut inner = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    !matches!(text, "null" | "false" | "\"\"")
        && !matches!(
            (inner.next(), inner.next()),
            (Some(b'['), Some(b']')) | (Some(b'{'), Some(b'}'))
        )
}

/// The text between the quotation marks of a JSON string, escapes and all; nothing if it is not one.
pub(super) fn literal(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(borrow)]
        usage: &'a RawValue,
    }

    #[test]
    fn a_member_leaves_with_its_comma_and_nothing_else() {
        for (object, rest) in [
            (r#"{"usage":null}"#, "{}"),
            (r#"{"usage":{"a":[1,2]},"b":1}"#, r#"{"b":1}"#),
            (r#"{"a":1,"usage":null,"b":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1,"usage":3}"#, r#"{"a":1}"#),
            (r#"{"a":"usage" , "usage" : 3 }"#, r#"{"a":"usage"  }"#),
            ("{ \"usage\"\n:\n3\n,\n\"b\":1}", "{ \n\"b\":1}"),
            (
                r#"{"a":"x\",","us\u0061ge":"3","b":1}"#,
                r#"{"a":"x\",","b":1}"#,
            ),
        ] {
            let parsed: Object<'_> = serde_json::from_str(object).unwrap();
            let member = member_around(object.as_bytes(), span_in(object.as_bytes(), parsed.usage));
            let cut = splice(object.as_bytes(), &[(member, b"")]);
            assert_eq!(cut, rest.as_bytes(), "{object}");
            serde_json::from_slice::<serde_json::Value>(&cut).unwrap();
        }
    }

    #[test]
    fn edits_replace_their_ranges_and_keep_the_rest() {
        assert_eq!(splice(b"abcdef", &[]), "abcdef");
        assert_eq!(splice(b"abcdef", &[(0..0, b"x"), (2..4, b"-")]), "xab-ef");
        assert_eq!(splice(b"abc", &[(3..3, b"d")]), "abcd");
    }

    #[test]
    fn what_is_empty_is_not_given() {
        for (text, given) in [
            ("null", false),
            ("false", false),
            ("\"\"", false),
            ("[ ]", false),
            ("{}", false),
            ("[1]", true),
            ("{\"a\":1}", true),
            ("0", true),
            ("\"a\"", true),
        ] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            assert_eq!(is_given(&raw), given, "{text}");
        }
    }
}
