//! Errors of providers: a status, headers and a body, written as HTTP does.

use agix_core::limits::{RETRY_AFTER_LONGEST, UPSTREAM_ERROR_SHOWN};
use agix_core::time::Wall;
use agix_proxy::dialect::decode_error;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Reads a refusal.
pub(crate) fn refusal(bytes: &[u8]) {
    let (status, headers, body) = message(bytes);
    let now = Wall::from_millis(1_795_435_200_000);
    let refused = decode_error(status, &headers, body, now);
    assert_eq!(refused.status, status);
    assert!(!refused.message.is_empty());
    assert!(refused.message.len() <= UPSTREAM_ERROR_SHOWN);
    assert!(!refused.message.chars().any(char::is_control));
    for word in refused.message.split(' ') {
        let key = word.find("sk-").filter(|at| word.len() - at > 12);
        assert_eq!(key, None, "a key is shown: {word}");
    }
    if let Some(code) = &refused.code {
        assert!(code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    assert!(refused.retry_after <= Some(RETRY_AFTER_LONGEST));
}

/// Takes a message apart; what cannot be a status or a header is left out.
fn message(bytes: &[u8]) -> (u16, HeaderMap, &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (&bytes[..0], bytes),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.parse().ok());
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    let status = status.filter(|status| (400..600).contains(status));
    (status.unwrap_or(500), headers.collect(), body)
}
