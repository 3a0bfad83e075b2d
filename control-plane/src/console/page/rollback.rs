//! Going back to an earlier revision, after a look at what that changes.

use std::sync::Arc;

use agix_proto::v1::RollbackRequest;
use agix_proto::v1::rollback_response::Outcome;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Serialize;

use super::Page;
use super::policy::{Changes, changes, current};
use crate::console::Console;
use crate::console::error::PageError;
use crate::console::form::Fields;
use crate::console::guard::Visitor;

/// The author of what is done here without a token; with one the token's name is.
const AUTHOR: &str = "console";

#[derive(Debug, Serialize)]
struct Rollback {
    to: u64,
    current: u64,
    changes: Changes,
    problem: Option<String>,
}

/// `/policy/{revision}/rollback`
pub(super) async fn ask(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Path(to): Path<u64>,
) -> Page {
    question(&console, &visitor, to, None).await
}

/// The same, confirmed.
pub(super) async fn carry_out(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Path(to): Path<u64>,
    body: Body,
) -> Result<Response, PageError> {
    let fields = Fields::of_form(body).await?;
    let expected = fields.number("current");
    let expected = expected.ok_or(PageError::Form("it lacks the revision that was looked at"))?;
    let message = fields
        .get("message")
        .map_or_else(|| format!("back to revision {to}"), ToOwned::to_owned);
    let request = RollbackRequest {
        to_revision: to,
        expected_revision: Some(expected),
        author: AUTHOR.to_owned(),
        message,
    };
    let answer = visitor.calls.policy().rollback(request).await?;
    match answer.into_inner().outcome {
        Some(Outcome::Applied(_)) => Ok(Redirect::to("/policy").into_response()),
        Some(Outcome::Conflict(conflict)) => {
            let problem = format!(
                "Meanwhile {} applied revision {}. Look at what would change now.",
                conflict.current_author, conflict.current_revision
            );
            let page = question(&console, &visitor, to, Some(problem)).await?;
            Ok(page.into_response())
        }
        None => Err(PageError::Missing("answer to this")),
    }
}

async fn question(console: &Console, visitor: &Visitor, to: u64, problem: Option<String>) -> Page {
    let current = current(&visitor.calls).await?;
    let page = Rollback {
        to,
        current,
        changes: changes(&visitor.calls, current, to).await?,
        problem,
    };
    let title = format!("Back to revision {to}");
    console
        .page(visitor, ("rollback.html", "policy", &title), &page)
        .await
}
