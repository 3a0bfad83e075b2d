//! What a request must be before a page looks at it.
//!
//! - Its host is one of this machine where the console listens on loopback: a foreign page whose name
//!   was made to lead here gets nothing.
//! - What changes something comes from a page of this console, by what the browser says of its
//!   origin.
//! - Whoever has a session goes on with its token.
//!
//! And what every answer says: nothing may be loaded from elsewhere, framed or kept.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::CONSOLE_PAGE_TIME;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Console;
pub(super) use super::api::Calls;
use super::error::PageError;
use super::session::COOKIE;

const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who asks for a page.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) calls: Calls,
    /// The name of the session, if there is one.
    pub(super) session: Option<String>,
}

/// Lets a request through to its page, or not.
pub(super) async fn guard(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = if let Err(error) = check(&console, &request) {
        error.into_response()
    } else {
        let visitor = visitor(&console, request.headers());
        request.extensions_mut().insert(visitor);
        within(CONSOLE_PAGE_TIME, next.run(request)).await
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn within(time: Duration, page: impl Future<Output = Response>) -> Response {
    let made = tokio::time::timeout(time, page).await;
    made.unwrap_or_else(|_elapsed| PageError::Slow.into_response())
}

fn check(console: &Console, request: &Request) -> Result<(), PageError> {
    let headers = request.headers();
    let host = text(headers, header::HOST).ok_or(PageError::ForeignHost)?;
    if console.address.ip().is_loopback() && !is_this_machine(host) {
        return Err(PageError::ForeignHost);
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let ours = match (
        text(headers, FETCH_SITE),
        headers.get(header::ORIGIN).map(HeaderValue::to_str),
    ) {
        (Some(site), _) if site != "same-origin" => false,
        (_, Some(Ok(origin))) => host_of(origin).is_some_and(|from| from == host),
        (_, Some(Err(_))) => false,
        // A browser of today says at least one of both.
        (site, None) => site.is_some(),
    };
    if ours {
        Ok(())
    } else {
        Err(PageError::ForeignOrigin)
    }
}

fn visitor(console: &Console, headers: &HeaderMap) -> Visitor {
    let session = session_name(headers);
    let token = session.as_deref().and_then(|it| console.sessions.find(it));
    Visitor {
        session: session.filter(|_| token.is_some()),
        calls: console.api.with(token.unwrap_or_default()),
    }
}

fn session_name(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// `127.0.0.1:7071` of `http://127.0.0.1:7071`.
fn host_of(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, host)| host)
}

/// Whether a host names this machine itself.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in [
            "localhost:7071",
            "LOCALHOST",
            "127.0.0.1:7071",
            "[::1]:80",
            "127.8.0.1",
        ] {
            assert!(is_this_machine(own), "{own}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:7071",
            "",
            "[fe80::1]",
        ] {
            assert!(!is_this_machine(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_session_is_read_from_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(session_name(&headers), None);
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=b; agix_session=cd; e=f"),
        );
        assert_eq!(session_name(&headers).as_deref(), Some("cd"));
    }
}
