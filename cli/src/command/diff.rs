//! `diff`: what a document or another revision would change.

use std::path::PathBuf;

use agix_core::policy::document::Severity;
use agix_proto::v1::diff_request::Part;
use agix_proto::v1::{DiffRequest, DiffResponse, DiffStart, Document, StatusRequest};
use serde::Serialize;

use super::connect;
use crate::args::Global;
use crate::client::{CallError, Client, file_parts};
use crate::document::{Findings, received, tell};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::{ChangeView, Look, Output, View, change_lines};

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl diff -f policy.yaml        the current revision and a document
  agixctl diff --from 40 --to 42     two revisions
  agixctl diff --from 40             a revision and the current one

Exit codes: 0 no difference, 1 a difference, more than 1 an error.")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["file", "from", "to"]))]
pub(crate) struct DiffArgs {
    /// The new side: a file, a directory of *.yaml and *.yml files, or - for standard input
    #[arg(short, long, value_name = "FILE|DIR|-", conflicts_with = "to")]
    file: Vec<PathBuf>,

    /// The old side
    #[arg(
        long,
        help = "The old side [default: the current revision]",
        value_name = "REVISION"
    )]
    from: Option<u64>,

    /// The new side
    #[arg(
        long,
        help = "The new side [default: the current revision]",
        value_name = "REVISION"
    )]
    to: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Differences {
    different: bool,
    from: u64,
    /// The revision on the new side; none if it is a document.
    to: Option<u64>,
    changes: Vec<ChangeView>,
    changes_left_out: u32,
    #[serde(flatten)]
    findings: Findings,
}

impl View for Differences {
    fn text(&self, look: Look) -> String {
        change_lines(&self.changes, self.changes_left_out, look)
    }
}

pub(crate) async fn run(args: &DiffArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    // 1 says that there is a difference, so no failure may end with it.
    compare(args, global, output)
        .await
        .map_err(|failure| failure.instead_of_failed(Exit::Usage))
}

async fn compare(args: &DiffArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let document = files::read(&args.file)?;
    let client = connect(global).await?;
    let to = match args.to {
        None if args.file.is_empty() => Some(current_revision(&client).await?),
        to => to,
    };
    let start = DiffStart {
        from: args.from,
        to,
    };
    let answer = difference(&client, start, document).await?;
    let diagnostics = received(answer.diagnostics)?;
    let people = !output.for_programs();
    if people {
        tell(&diagnostics, output);
    }
    let view = Differences {
        different: !answer.changes.is_empty() || answer.changes_left_out > 0,
        from: answer.from,
        to: answer.to,
        changes: answer.changes.into_iter().map(ChangeView::from).collect(),
        changes_left_out: answer.changes_left_out,
        findings: Findings::new(&diagnostics),
    };
    output.data(&view)?;
    if diagnostics
        .iter()
        .any(|one| one.severity == Severity::Error)
    {
        return Ok(Exit::Invalid);
    }
    if view.different {
        return Ok(Exit::Failed);
    }
    if people {
        Output::words(&format!("no difference from revision {}\n", view.from));
    }
    Ok(Exit::Ok)
}

/// Asks for the differences that `start` and `document` describe.
pub(crate) async fn difference(
    client: &Client,
    start: DiffStart,
    document: Document,
) -> Result<DiffResponse, CallError> {
    let parts = std::iter::once(Part::Start(start)).chain(file_parts(document).map(Part::File));
    let requests = parts.map(|part| DiffRequest { part: Some(part) });
    let mut policy = client.policy();
    let answer = client
        .call(policy.diff(tokio_stream::iter(requests)))
        .await?;
    Ok(answer.into_inner())
}

/// The number of the current revision; 0 if there is none.
async fn current_revision(client: &Client) -> Result<u64, CallError> {
    let status = client.call(client.fleet().status(StatusRequest {})).await?;
    let current = status.into_inner().current;
    Ok(current.map_or(0, |info| info.revision))
}
