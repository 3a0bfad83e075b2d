//! The policy: what is in force, its history, and what changed between revisions.

use std::sync::Arc;

use agix_core::limits::{CONSOLE_ROWS, CONSOLE_TEXT_BYTES};
use agix_proto::v1::diff_request::Part as DiffPart;
use agix_proto::v1::get_response::Part;
use agix_proto::v1::{
    Change, DiffRequest, DiffStart, GetRequest, HistoryRequest, RevisionInfo, SourceFile,
};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde::Serialize;

use super::Page;
use crate::console::Console;
use crate::console::error::PageError;
use crate::console::form::Fields;
use crate::console::guard::{Calls, Visitor};
use crate::console::view::{Moment, cut};

#[derive(Debug, Serialize)]
struct Policy {
    current: Option<Revision>,
    files: Vec<File>,
    history: Vec<Revision>,
    /// The history goes on before this revision.
    older: Option<u64>,
}

/// A revision, in short.
#[derive(Debug, Serialize)]
pub(super) struct Revision {
    pub(super) number: u64,
    author: String,
    message: String,
    at: Moment,
    rolled_back_to: Option<u64>,
    resources: u32,
    changed: u32,
    removed: u32,
}

#[derive(Debug, Serialize)]
struct File {
    name: String,
    text: String,
    is_cut: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    revision: Revision,
    is_current: bool,
    files: Vec<File>,
    changes: Changes,
}

#[derive(Debug, Serialize)]
struct Compared {
    from: u64,
    to: u64,
    changes: Changes,
}

/// What differs between two revisions.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    list: Vec<Changed>,
    left_out: u32,
}

#[derive(Debug, Serialize)]
struct Changed {
    path: String,
    old: Option<String>,
    new: Option<String>,
}

/// `/policy`
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Page {
    let before = Fields::of_query(&uri).number("before");
    let request = HistoryRequest {
        limit: CONSOLE_ROWS,
        before,
    };
    let history = visitor.calls.policy().history(request).await?.into_inner();
    let older = history.revisions.last().map(|last| last.revision);
    let (current, files) = match fetch(&visitor.calls, None).await {
        Ok((info, files)) => (Some(console.revision(info)), files),
        Err(PageError::Refused(status)) if status.code() == tonic::Code::NotFound => {
            (None, Vec::new())
        }
        Err(error) => return Err(error),
    };
    let revisions = history.revisions.into_iter();
    let page = Policy {
        current,
        files,
        history: revisions.map(|info| console.revision(info)).collect(),
        older: older.filter(|_| history.more),
    };
    console
        .page(&visitor, ("policy.html", "policy", "Policy"), &page)
        .await
}

/// `/policy/{revision}`
pub(super) async fn revision(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Path(number): Path<u64>,
) -> Page {
    let (info, files) = fetch(&visitor.calls, Some(number)).await?;
    let page = Shown {
        changes: changes(&visitor.calls, number.saturating_sub(1), number)
            .await
            .unwrap_or_else(|_gone| Changes::none()),
        is_current: current(&visitor.calls).await? == number,
        revision: console.revision(info),
        files,
    };
    let title = format!("Revision {number}");
    console
        .page(&visitor, ("revision.html", "policy", &title), &page)
        .await
}

/// `/policy/diff?from=1&to=2`
pub(super) async fn diff(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Page {
    let fields = Fields::of_query(&uri);
    let number = |name, missing| fields.number(name).ok_or(PageError::Form(missing));
    let from = number("from", "`from` is the number of a revision")?;
    let to = number("to", "`to` is the number of a revision")?;
    let changes = changes(&visitor.calls, from, to).await?;
    let page = Compared { from, to, changes };
    let title = format!("Revision {from} to {to}");
    console
        .page(&visitor, ("diff.html", "policy", &title), &page)
        .await
}

/// The number of the current revision; 0: there is none.
pub(super) async fn current(calls: &Calls) -> Result<u64, PageError> {
    let request = HistoryRequest {
        limit: 1,
        before: None,
    };
    let history = calls.policy().history(request).await?.into_inner();
    Ok(history.revisions.first().map_or(0, |info| info.revision))
}

/// What differs between two revisions.
pub(super) async fn changes(calls: &Calls, from: u64, to: u64) -> Result<Changes, PageError> {
    let start = DiffStart {
        from: Some(from),
        to: Some(to),
    };
    let request = DiffRequest {
        part: Some(DiffPart::Start(start)),
    };
    let answer = calls.policy().diff(tokio_stream::once(request)).await?;
    let answer = answer.into_inner();
    Ok(Changes {
        list: answer.changes.into_iter().map(Changed::from).collect(),
        left_out: answer.changes_left_out,
    })
}

/// A revision and its files, secrets shown as fingerprints.
async fn fetch(
    calls: &Calls,
    revision: Option<u64>,
) -> Result<(RevisionInfo, Vec<File>), PageError> {
    let stream = calls.policy().get(GetRequest { revision }).await?;
    let mut stream = stream.into_inner();
    let mut info = None;
    let mut files: Vec<SourceFile> = Vec::new();
    while let Some(message) = stream.message().await? {
        match message.part {
            Some(Part::Info(it)) => info = Some(it),
            Some(Part::File(part)) => match files.last_mut() {
                Some(last) if last.name == part.name => last.text.push_str(&part.text),
                _ => files.push(part),
            },
            // Resources follow the files.
            Some(Part::Resource(_)) | None => break,
        }
    }
    let info = info.ok_or(PageError::Missing("revision of this number"))?;
    Ok((info, files.into_iter().map(File::from).collect()))
}

impl Console {
    pub(super) fn revision(&self, info: RevisionInfo) -> Revision {
        Revision {
            number: info.revision,
            author: info.author,
            message: info.message,
            at: self.moment(info.time_unix_ms),
            rolled_back_to: info.rolled_back_to,
            resources: info.resources_total,
            changed: info.resources_changed,
            removed: info.resources_removed,
        }
    }
}

impl Changes {
    const fn none() -> Self {
        Self {
            list: Vec::new(),
            left_out: 0,
        }
    }
}

impl From<Change> for Changed {
    fn from(change: Change) -> Self {
        let Change { path, old, new } = change;
        Self { path, old, new }
    }
}

impl From<SourceFile> for File {
    fn from(file: SourceFile) -> Self {
        let text = cut(&file.text, CONSOLE_TEXT_BYTES);
        Self {
            is_cut: text.len() < file.text.len(),
            text: text.to_owned(),
            name: file.name,
        }
    }
}
