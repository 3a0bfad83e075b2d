//! `traceparent`, as the W3C's Trace Context has it: where a request belongs in a trace that its
//! caller began.
//!
//! A header that is not of that form, or sent twice, is as good as none: the trace begins here.

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The caller's place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    /// Whether the caller keeps the trace.
    pub(crate) sampled: bool,
}

/// The caller's place, if it says.
pub(super) fn read(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    Parent::parse(value.to_str().ok()?)
}

impl Parent {
    /// The caller's place in a header's text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        // Later versions may say more; this one does not, and the last one is forbidden.
        let is_whole = version != 0 || parts.next().is_none();
        (is_whole && version != 0xff && trace != 0 && span != 0).then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
}

/// The header for who is called next.
pub(super) fn header(trace: u128, span: u64, sampled: bool) -> Option<HeaderValue> {
    let flags = u8::from(sampled);
    HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-{flags:02x}")).ok()
}

/// A number of exactly so many small hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_one = text.len() == digits && text.bytes().all(is_hex);
    is_one.then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_callers_place_is_read_as_it_was_written() {
        let parent = Parent::parse(TEXT).unwrap();
        assert!(parent.sampled);
        let again = header(parent.trace, parent.span, parent.sampled).unwrap();
        assert_eq!(again, TEXT);
        assert!(!Parent::parse(&TEXT.replace("-01", "-00")).unwrap().sampled);
        // A later version may say more.
        let later = format!("01{}-more", TEXT.strip_prefix("00").unwrap());
        assert_eq!(Parent::parse(&later), Some(parent));
    }

    #[test]
    fn what_is_no_place_begins_a_trace_of_its_own() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Parent::parse(text), None, "{text}");
        }
        let mut twice = HeaderMap::new();
        twice.append(TRACEPARENT, HeaderValue::from_static(TEXT));
        assert!(read(&twice).is_some());
        twice.append(TRACEPARENT, HeaderValue::from_static(TEXT));
        assert_eq!(read(&twice), None);
    }

    proptest! {
        /// A place that is read is written as one that is read as the same.
        #[test]
        fn any_text_is_a_place_or_none(
            text in "[0-9a-f]{1,3}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-g+]{2}(-.*)?|.*",
        ) {
            if let Some(parent) = Parent::parse(&text) {
                let again = header(parent.trace, parent.span, parent.sampled).unwrap();
                prop_assert_eq!(Parent::parse(again.to_str().unwrap()), Some(parent));
            }
        }
    }
}
