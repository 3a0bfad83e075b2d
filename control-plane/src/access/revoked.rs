//! A call ends when the token it was made with is revoked.
//!
//! What is said and heard of a call passes through [`Ending`] in both directions. The caller is told
//! with the status that a new call would get; the service sees its caller's connection break, and not
//! the end of what was said: half a document is none.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;
use tonic::Status;

use super::Tokens;
use super::token::Known;

/// Ready once a token is not known any more, or is for something else.
pub(super) type Revocation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is said or heard of a call, for as long as its token is known.
pub(super) struct Ending {
    body: Body,
    /// `None`: it is over.
    revocation: Option<Revocation>,
    /// Who hears of it.
    side: Side,
}

/// Who reads a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Service,
}

/// The service hears nothing more of a call.
#[derive(Debug, thiserror::Error)]
#[error("the token of the call was revoked")]
struct Revoked;

/// When the token that `known` is of is revoked.
pub(super) fn revocation(tokens: &watch::Receiver<Tokens>, known: Known) -> Revocation {
    let mut tokens = tokens.clone();
    Box::pin(async move {
        let revoked = tokens.wait_for(|tokens| !tokens.hold(&known)).await.is_ok();
        if !revoked {
            // Nobody reads the file any more: the control plane stops, and ends calls in its own way.
            std::future::pending::<()>().await;
        }
    })
}

impl Ending {
    pub(super) fn body(body: Body, revocation: Revocation, side: Side) -> Body {
        Body::new(Self {
            body,
            revocation: Some(revocation),
            side,
        })
    }

    fn last(&self) -> Result<Frame<Bytes>, axum::Error> {
        if self.side == Side::Service {
            return Err(axum::Error::new(Revoked));
        }
        let mut trailers = HeaderMap::new();
        let status = Status::unauthenticated("the token is not known here any more");
        match status.add_header(&mut trailers) {
            Ok(()) => Ok(Frame::trailers(trailers)),
            Err(_) => Err(axum::Error::new(Revoked)),
        }
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(revocation) = &mut self.revocation else {
            return Poll::Ready(None);
        };
        if revocation.as_mut().poll(cx).is_ready() {
            self.revocation = None;
            self.body = Body::empty();
            return Poll::Ready(Some(self.last()));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.revocation.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
