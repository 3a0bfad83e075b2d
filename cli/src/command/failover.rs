//! `failover`: how the targets of chains are, and drills.

mod list;
mod test;

use clap::Subcommand;

use super::connect;
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `failover`.
#[derive(Debug, clap::Args)]
pub(crate) struct FailoverArgs {
    #[command(subcommand)]
    command: FailoverCommand,
}

#[derive(Debug, Subcommand)]
enum FailoverCommand {
    /// List the chains: whether their targets are in use, what failed, and why
    List,
    /// Ask for a model as if targets of its chain failed, and show who answers
    Test(test::TestArgs),
}

pub(crate) async fn run(
    args: &FailoverArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    match &args.command {
        FailoverCommand::List => list::run(&connect(global).await?, output).await,
        FailoverCommand::Test(args) => test::run(args, global, output).await,
    }
}
