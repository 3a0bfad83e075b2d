//! Signing in with a token, and out again.

use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::{CONSOLE_SESSION_TIME, CONSOLE_TOKEN_BYTES};
use agix_proto::v1::StatusRequest;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tonic::Code;

use super::Page;
use crate::console::Console;
use crate::console::api::Token;
use crate::console::error::PageError;
use crate::console::form::Fields;
use crate::console::guard::Visitor;
use crate::console::session::COOKIE;

#[derive(Debug, Serialize)]
struct SignIn {
    problem: Option<&'static str>,
}

/// `/sign-in`
pub(super) async fn ask(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
) -> Page {
    form(&console, &visitor, None)
}

/// The form of `/sign-in`, sent.
pub(super) async fn sign_in(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    body: Body,
) -> Result<Response, PageError> {
    let fields = Fields::of_form(body).await?;
    let again = |problem| Ok(form(&console, &visitor, Some(problem))?.into_response());
    let text = fields.get("token").unwrap_or_default();
    if text.is_empty() || text.len() > CONSOLE_TOKEN_BYTES {
        return again("This is not a token.");
    }
    let Some(token) = Token::new(text) else {
        return again("This is not a token.");
    };
    let calls = console.api.with(token.clone());
    match calls.fleet().status(StatusRequest {}).await {
        Ok(_status) => {}
        Err(status)
            if matches!(
                status.code(),
                Code::Unauthenticated | Code::PermissionDenied
            ) =>
        {
            return again("This token is not accepted. It may have been revoked.");
        }
        Err(status) => return Err(status.into()),
    }
    let session = console.sessions.open(token)?;
    Ok(redirect_with(&cookie(
        &console,
        &session,
        CONSOLE_SESSION_TIME,
    )))
}

/// The button of every page.
pub(super) async fn sign_out(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    if let Some(session) = &visitor.session {
        console.sessions.close(session);
    }
    redirect_with(&cookie(&console, "", Duration::ZERO))
}

/// The cookie with the name of a session, for so long.
fn cookie(console: &Console, session: &str, time: Duration) -> String {
    let secure = if console.is_encrypted { "; Secure" } else { "" };
    let age = time.as_secs();
    format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

fn form(console: &Console, visitor: &Visitor, problem: Option<&'static str>) -> Page {
    console.bare_page(visitor, ("sign_in.html", "Sign in"), &SignIn { problem })
}

fn redirect_with(cookie: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
