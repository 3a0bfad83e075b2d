//! `rollback`: makes a new revision with the content of an old one.

use agix_proto::v1::RollbackRequest;

use super::connect;
use super::outcome::{Outcome, conclude};
use crate::args::{Global, NoteArgs, WaitArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `rollback`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  agixctl rollback 41 --wait -m 'the new chain was too dear'

The history keeps every revision: rolling back is a change like any other.")]
pub(crate) struct RollbackArgs {
    /// The revision whose content comes back
    revision: u64,
    #[command(flatten)]
    note: NoteArgs,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(crate) async fn run(
    args: RollbackArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let request = RollbackRequest {
        to_revision: args.revision,
        expected_revision: args.note.expect_revision,
        author: args.note.author(),
        message: args.note.message,
    };
    let answer = client.call(client.policy().rollback(request)).await?;
    let outcome = Outcome::try_from(answer.into_inner().outcome)?;
    conclude(outcome, &client, &args.wait, false, output).await
}
