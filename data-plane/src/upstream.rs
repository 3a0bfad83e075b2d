//! Calling a provider.
//!
//! Rules this module keeps:
//! - The destination comes from the policy alone. No redirect is followed, no proxy is taken from
//!   the environment, nothing is decompressed.
//! - Of the caller's headers none is passed on, except the version and the betas of Anthropic's
//!   protocol to a provider that speaks it. The trace is told only where the policy asks for it.
//! - Every wait has a bound, and dropping a call cancels it.

mod body;

use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agix_core::failover::Failure;
use agix_core::limits::{UPSTREAM_HEADER_BYTES, UPSTREAM_IDLE_CONNECTIONS, UPSTREAM_IDLE_TIME};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Url;

use crate::head;

pub(crate) use body::{Simulated, UpstreamBody};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What is said of an answer whose head is larger than agix takes.
const HEAD_TOO_LARGE: &str = "the head of the provider's answer is too large";

/// The head of a provider's answer, and what follows it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: UpstreamBody,
}

/// The headers of a call, later ones in place of earlier ones of the same name.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    /// The provider's.
    pub(crate) fixed: &'a HeaderMap,
    /// The dialect's.
    pub(crate) dialect: &'static [(&'static str, &'static str)],
    /// The caller's.
    pub(crate) forwarded: Option<&'a HeaderMap>,
    /// Where the call belongs in a trace.
    pub(crate) traceparent: Option<HeaderValue>,
}

/// The connections of one worker to all providers.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// Made anew when the policy changes the time to connect, which belongs to the client.
    current: Mutex<Option<(Duration, reqwest::Client)>>,
}

/// No HTTP client could be made: TLS roots are missing.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client could be made for the providers")]
pub struct ClientError(#[from] reqwest::Error);

impl Clients {
    /// The client with this time to connect.
    pub(crate) fn get(&self, connect: Duration) -> Result<reqwest::Client, ClientError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_for, client)) = &*current
            && *made_for == connect
        {
            return Ok(client.clone());
        }
        let client = make(connect)?;
        *current = Some((connect, client.clone()));
        Ok(client)
    }
}

/// A client as agix needs it.
pub(crate) fn make(connect: Duration) -> Result<reqwest::Client, ClientError> {
    Ok(reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(connect)
        .pool_idle_timeout(UPSTREAM_IDLE_TIME)
        .pool_max_idle_per_host(UPSTREAM_IDLE_CONNECTIONS)
        .user_agent(concat!("agix/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// Sends a request and waits for the head of the answer.
pub(crate) async fn call(
    client: &reqwest::Client,
    url: &Url,
    Headers {
        fixed,
        dialect,
        forwarded,
        traceparent,
    }: Headers<'_>,
    body: Bytes,
) -> Result<Head, CallError> {
    let mut request = reqwest::Request::new(Method::POST, url.clone());
    let headers = request.headers_mut();
    headers.clone_from(fixed);
    for (name, value) in dialect {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if let Some(forwarded) = forwarded {
        for name in forwarded.keys() {
            headers.remove(name);
        }
        for (name, value) in forwarded {
            headers.append(name, value.clone());
        }
    }
    if let Some(traceparent) = traceparent {
        request.headers_mut().insert(TRACEPARENT, traceparent);
    }
    *request.body_mut() = Some(body.into());
    let response = client.execute(request).await.map_err(CallError::Failed)?;
    let mut response: http::Response<reqwest::Body> = response.into();
    if head::size(response.headers()) > UPSTREAM_HEADER_BYTES {
        return Err(CallError::HeadTooLarge);
    }
    Ok(Head {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: UpstreamBody::Http(response.into_body()),
    })
}

/// A call has no answer to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The provider could not be reached, or broke off before the head of its answer.
    #[error("the call failed")]
    Failed(#[source] reqwest::Error),
    /// The head of its answer is larger than agix takes.
    #[error("{HEAD_TOO_LARGE}")]
    HeadTooLarge,
}

impl CallError {
    /// The failure, and words for the caller that name no address.
    pub(crate) fn failure(&self) -> (Failure, &'static str) {
        let Self::Failed(failed) = self else {
            return (Failure::TooLarge, HEAD_TOO_LARGE);
        };
        if failed.is_connect() && failed.is_timeout() {
            return (Failure::Connect, "no connection to the provider in time");
        }
        if failed.is_connect() {
            return (Failure::Connect, "no connection to the provider");
        }
        let mut cause = failed.source();
        while let Some(error) = cause {
            if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
                if hyper.is_parse_too_large() {
                    return (Failure::TooLarge, HEAD_TOO_LARGE);
                }
                if hyper.is_parse() {
                    return (Failure::Malformed, "the provider's answer is not HTTP");
                }
            }
            cause = error.source();
        }
        (Failure::Reset, "the provider broke the connection")
    }
}
