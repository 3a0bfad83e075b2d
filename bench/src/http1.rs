//! As much HTTP/1.1 as the mock provider and the load generator need: they must stay far cheaper
//! than the proxies they measure, so they frame messages and interpret nothing else.

use thiserror::Error;

/// Most headers of a message.
const HEADERS: usize = 48;
/// What ends a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Where a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The head is not complete yet.
    Partial,
    /// The head takes `head` bytes and the whole message `total`.
    Sized {
        /// Bytes of the head.
        head: usize,
        /// Bytes of head and body.
        total: usize,
    },
    /// The head takes `head` bytes and a chunked body follows.
    Chunked {
        /// Bytes of the head.
        head: usize,
    },
}

/// Bytes that are no message the bench understands.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// Not HTTP/1.1.
    #[error("not an HTTP/1.1 message")]
    Syntax(#[from] httparse::Error),
    /// Neither a length nor chunks.
    #[error("the length of the message is not given")]
    NoLength,
}

/// The frame of the request at the start of `bytes`.
pub(crate) fn request(bytes: &[u8]) -> Result<Frame, FrameError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes)? {
        httparse::Status::Complete(head) => body(head, parsed.headers),
        httparse::Status::Partial => Ok(Frame::Partial),
    }
}

/// The status and the frame of the response at the start of `bytes`.
pub(crate) fn response(bytes: &[u8]) -> Result<(u16, Frame), FrameError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(bytes)? {
        httparse::Status::Complete(head) => {
            Ok((parsed.code.unwrap_or_default(), body(head, parsed.headers)?))
        }
        httparse::Status::Partial => Ok((0, Frame::Partial)),
    }
}

/// Whether `body`, all that came of a chunked body so far, is complete.
pub(crate) fn is_last_chunk(body: &[u8]) -> bool {
    body == LAST_CHUNK || body.ends_with(b"\r\n0\r\n\r\n")
}

fn body(head: usize, headers: &[httparse::Header<'_>]) -> Result<Frame, FrameError> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|text| text.parse().ok());
            let length: usize = length.ok_or(FrameError::NoLength)?;
            return Ok(Frame::Sized {
                head,
                total: head + length,
            });
        }
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Frame::Chunked { head });
        }
    }
    Err(FrameError::NoLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_framed_by_its_length_or_its_chunks() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(
            response(sized).unwrap(),
            (
                200,
                Frame::Sized {
                    head: 38,
                    total: 41
                }
            )
        );
        let chunked = b"HTTP/1.1 429 No\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(
            response(chunked).unwrap(),
            (429, Frame::Chunked { head: 47 })
        );
        assert_eq!(request(b"POST / HTTP/1.1\r\nhost").unwrap(), Frame::Partial);
        assert!(request(b"POST / HTTP/1.1\r\nhost: a\r\n\r\n").is_err());
    }

    #[test]
    fn a_chunked_body_ends_with_the_empty_chunk_alone() {
        assert!(is_last_chunk(b"0\r\n\r\n"));
        assert!(is_last_chunk(b"1\r\na\r\n0\r\n\r\n"));
        assert!(!is_last_chunk(b"10\r\n\r\n"));
    }
}
