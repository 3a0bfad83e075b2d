//! Why there is no page, as a page.

use std::error::Error;

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tonic::{Code, Status};

use super::session::NoRandomness;

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// Nobody is signed in, and that is needed.
    #[error("sign in first")]
    SignIn,
    /// A service refused or could not answer.
    #[error("{}", .0.message())]
    Refused(#[source] Box<Status>),
    /// There is no such page.
    #[error("there is no such page")]
    NoPage,
    /// There is no such thing.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// A form lacks something.
    #[error("the form is not complete: {0}")]
    Form(&'static str),
    /// The request was meant for another host.
    #[error("this console answers only to names of this machine, such as localhost")]
    ForeignHost,
    /// The request does not come from a page of this console.
    #[error("this was not sent by a page of this console")]
    ForeignOrigin,
    /// The page took too long.
    #[error("the page took too long; the control plane is busy")]
    Slow,
    /// Nobody can be signed in.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The program is wrong.
    #[error("the page cannot be made")]
    Broken(#[from] tera::Error),
}

impl From<Status> for PageError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unauthenticated => Self::SignIn,
            _ => Self::Refused(Box::new(status)),
        }
    }
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn => StatusCode::SEE_OTHER,
            Self::Refused(status) => match status.code() {
                Code::PermissionDenied => StatusCode::FORBIDDEN,
                Code::NotFound => StatusCode::NOT_FOUND,
                Code::InvalidArgument | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
                Code::Unavailable | Code::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::NoPage | Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Form(_) => StatusCode::BAD_REQUEST,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Slow => StatusCode::SERVICE_UNAVAILABLE,
            Self::Random(_) | Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if matches!(self, Self::SignIn) {
            return (StatusCode::SEE_OTHER, [(header::LOCATION, "/sign-in")]).into_response();
        }
        if let Self::Random(_) | Self::Broken(_) = &self {
            let error: &dyn Error = &self;
            tracing::error!(error, "a page of the console cannot be made");
        }
        let status = self.status();
        let page = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{status} - agix</title>\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <link rel=\"icon\" href=\"/icon.svg\"><link rel=\"stylesheet\" href=\"/style.css\"></head>\
             <body><main id=\"main\"><h1>{status}</h1><p>{}.</p>\
             <p><a href=\"/\">Overview</a></p></main></body></html>",
            escaped(&self.to_string())
        );
        (status, Html(page)).into_response()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_shown_as_text() {
        let status = Status::unavailable("the ledger is led by <b>10.0.0.1</b>");
        let response = PageError::from(status).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(escaped("<b>\"&"), "&lt;b&gt;&quot;&amp;");
    }

    #[test]
    fn whoever_is_not_signed_in_is_led_there() {
        let response = PageError::from(Status::unauthenticated("no token")).into_response();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], "/sign-in");
    }
}
