//! The body of an answer, and the headers every answer has.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use crate::clock;
use crate::front::held::Waiting;
use crate::listener::guard::Busy;
use crate::relay::RelayBody;
use crate::shared::Shared;
use crate::trail::Trail;

pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
pub(crate) const OPENAI_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What an answer is made of.
#[derive(Debug)]
pub(crate) enum Content {
    /// All of it.
    Whole(Bytes),
    /// A stream as it arrives.
    Relay(Box<RelayBody>),
    /// A stream that is held back.
    Waiting(Box<Waiting>),
}

/// The body of an answer; while it lives, the request counts as being answered.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    content: Content,
    _open: Open,
}

/// A request being answered.
#[derive(Debug)]
pub(crate) struct Open {
    shared: Arc<Shared>,
    _busy: Busy,
    /// Handed in with the answer's end.
    trail: Option<Arc<Trail>>,
}

/// The names of one request.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    /// `req_` and 32 hexadecimal digits.
    request: [u8; 36],
    /// The trace's id; a request that begins one has the same digits.
    trace: u128,
}

impl Open {
    pub(crate) fn new(shared: &Arc<Shared>, busy: Busy) -> Self {
        shared.metrics.in_flight.inc();
        shared.metrics.total.inc();
        Self {
            shared: Arc::clone(shared),
            _busy: busy,
            trail: None,
        }
    }

    /// Keeps the request's trail until the answer has ended.
    pub(crate) fn follow(&mut self, trail: Option<&Arc<Trail>>) {
        self.trail = trail.cloned();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.metrics.in_flight.dec();
    }
}

impl Ids {
    /// New names, in the caller's trace if it is in one.
    pub(crate) fn draw(trace: Option<u128>) -> Self {
        let number = clock::random_wide().max(1);
        let mut request = *b"req_00000000000000000000000000000000";
        for (place, digit) in request.iter_mut().skip(4).zip(hex(number)) {
            *place = digit;
        }
        let trace = trace.unwrap_or(number);
        Self { request, trace }
    }

    /// The request's name.
    pub(crate) fn request(&self) -> &str {
        std::str::from_utf8(&self.request).unwrap_or_default()
    }

    /// The trace's name as a number.
    pub(crate) const fn trace_number(&self) -> u128 {
        self.trace
    }

    /// Writes the names into an answer's head.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        if let Ok(request) = HeaderValue::from_str(self.request()) {
            headers.insert(OPENAI_REQUEST_ID, request.clone());
            headers.insert(ANTHROPIC_REQUEST_ID, request);
        }
        if let Ok(trace) = HeaderValue::from_bytes(&hex(self.trace)) {
            headers.insert(TRACE_ID, trace);
        }
    }
}

/// The 32 hexadecimal digits of a number.
fn hex(number: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [b'0'; 32];
    let mut rest = number;
    for place in digits.iter_mut().rev() {
        let digit = usize::try_from(rest & 15).unwrap_or(0);
        *place = DIGITS.get(digit).copied().unwrap_or(b'0');
        rest >>= 4;
    }
    digits
}

impl ReplyBody {
    pub(crate) fn new(content: Content, open: Open) -> Self {
        Self {
            content,
            _open: open,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Relay(relay) => relay
                .poll(cx)
                .map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
            Content::Waiting(waiting) => waiting
                .poll(cx)
                .map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Relay(_) | Content::Waiting(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Content::Relay(_) | Content::Waiting(_) => SizeHint::default(),
        }
    }
}
