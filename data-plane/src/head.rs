//! The size of a head: HTTP libraries bound what they buffer, which is more than what we take.

use http::HeaderMap;

/// Bytes of the header lines as they are sent.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    headers.iter().fold(0, |sum, (name, value)| {
        // Colon, space, and the end of the line.
        sum.saturating_add(name.as_str().len())
            .saturating_add(value.len())
            .saturating_add(4)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_line_counts_with_its_separators() {
        let mut headers = HeaderMap::new();
        assert_eq!(size(&headers), 0);
        headers.append("host", HeaderValue::from_static("a"));
        headers.append("x-b", HeaderValue::from_static(""));
        headers.append("x-b", HeaderValue::from_static("cc"));
        assert_eq!(size(&headers), "host: a\r\nx-b: \r\nx-b: cc\r\n".len());
    }
}
