//! `apply`: makes a document the policy.

use agix_proto::v1::apply_request::Part;
use agix_proto::v1::{ApplyRequest, ApplyStart, Document};

use super::connect;
use super::outcome::{Outcome, conclude};
use crate::args::{DocumentArgs, Global, NoteArgs, WaitArgs};
use crate::client::{CallError, Client, file_parts};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::Output;

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl apply -f policy.yaml --wait -m 'raise the batch limit'
  agixctl apply -f policies/ --dry-run
  agixctl apply -f policy.yaml --expect-revision 41

The document replaces the whole policy: what it does not say is not in force.
Exit codes: 0 applied or unchanged, 3 not legal, 4 not every proxy follows, 5 conflict.")]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    note: NoteArgs,
    #[command(flatten)]
    wait: WaitArgs,

    /// Only say what would change
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
}

pub(crate) async fn run(args: ApplyArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let document = files::read(&args.document.file)?;
    let client = connect(global).await?;
    let start = ApplyStart {
        author: args.note.author(),
        message: args.note.message,
        expected_revision: args.note.expect_revision,
        dry_run: args.dry_run,
    };
    let outcome = submit(&client, start, document).await?;
    conclude(outcome, &client, &args.wait, args.dry_run, output).await
}

/// Sends a document to become the policy.
pub(crate) async fn submit(
    client: &Client,
    start: ApplyStart,
    document: Document,
) -> Result<Outcome, CallError> {
    let parts = std::iter::once(Part::Start(start)).chain(file_parts(document).map(Part::File));
    let requests = parts.map(|part| ApplyRequest { part: Some(part) });
    let mut policy = client.policy();
    let answer = client
        .call(policy.apply(tokio_stream::iter(requests)))
        .await?;
    Outcome::try_from(answer.into_inner().outcome)
}
