//! `show`: one revision and what it changed.

use agix_proto::v1::{DiffStart, Document, HistoryRequest};
use serde::Serialize;

use super::connect;
use super::diff::difference;
use super::revision::RevisionView;
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{ChangeView, Look, Output, View, change_lines, clean, local};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The revision; its whole policy is shown by `agixctl get policy --revision N`
    revision: u64,
}

#[derive(Debug, Serialize)]
struct Shown {
    revision: RevisionView,
    /// What it changed; none if the revision before it is no longer kept.
    changes: Option<Vec<ChangeView>>,
    changes_left_out: u32,
}

impl View for Shown {
    fn text(&self, look: Look) -> String {
        let revision = &self.revision;
        let changes = match &self.changes {
            Some(changes) => change_lines(changes, self.changes_left_out, look),
            None => "the revision before it is no longer kept\n".to_owned(),
        };
        let message = match revision.note().as_str() {
            "" => String::new(),
            note => format!("message   {}\n", clean(note)),
        };
        format!(
            "revision  {}\nauthor    {}\ntime      {}\nhash      {}\n{message}\n{changes}",
            revision.revision,
            clean(&revision.author),
            local(revision.time_unix_ms),
            revision.hash,
        )
    }
}

/// There is no such revision.
#[derive(Debug, thiserror::Error)]
#[error("there is no revision {0}")]
struct NoRevision(u64);

pub(crate) async fn run(args: &ShowArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let request = HistoryRequest {
        limit: 2,
        before: args.revision.checked_add(1),
    };
    let answer = client.call(client.policy().history(request)).await?;
    let mut kept = answer.into_inner().revisions.into_iter();
    let info = kept
        .next()
        .filter(|info| info.revision == args.revision)
        .ok_or_else(|| {
            Failure::new(Exit::Failed, NoRevision(args.revision))
                .help("`agixctl history` lists the revisions that are kept")
        })?;
    let before = match kept.next() {
        Some(before) => Some(before.revision),
        // The first revision of all changed the empty policy.
        None => (args.revision == 1).then_some(0),
    };
    let mut changes = None;
    let mut changes_left_out = 0;
    if let Some(before) = before {
        let start = DiffStart {
            from: Some(before),
            to: Some(args.revision),
        };
        let answer = difference(&client, start, Document::default()).await?;
        changes = Some(answer.changes.into_iter().map(ChangeView::from).collect());
        changes_left_out = answer.changes_left_out;
    }
    output.data(&Shown {
        revision: RevisionView::from(info),
        changes,
        changes_left_out,
    })?;
    Ok(Exit::Ok)
}
