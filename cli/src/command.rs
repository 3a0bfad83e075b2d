//! What each command does. A command makes its calls, builds one view of the result, prints it and
//! says how it ended.

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod budgets;
pub(crate) mod completion;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod failover;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod outcome;
pub(crate) mod rollback;
pub(crate) mod show;
pub(crate) mod token;
pub(crate) mod top;
pub(crate) mod usage;
pub(crate) mod validate;
pub(crate) mod webhook;

mod proxies;
mod revision;
mod standing;
mod status;
mod version;

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::args::{Args, Command, Global};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The runtime could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the program cannot start")]
struct RuntimeError(#[from] io::Error);

/// Carries out the command.
pub(crate) fn run(args: Args, output: Output) -> Result<Exit, Failure> {
    let Args { global, command } = args;
    match command {
        Command::Dev(args) => {
            runtime(Builder::new_multi_thread())?.block_on(dev::run(args, output))
        }
        Command::Validate(args) => validate::run(&args, output),
        Command::Version => version::run(output),
        Command::Completion(args) => completion::run(&args),
        Command::Apply(args) => block_on(apply::run(args, &global, output)),
        Command::Diff(args) => block_on(diff::run(&args, &global, output)),
        Command::Get(args) => block_on(get::run(&args, &global, output)),
        Command::History(args) => block_on(history::run(&args, &global, output)),
        Command::Show(args) => block_on(show::run(&args, &global, output)),
        Command::Rollback(args) => block_on(rollback::run(args, &global, output)),
        Command::Limits(args) => block_on(limits::run(&args, &global, output)),
        Command::Budgets(args) => block_on(budgets::run(args, &global, output)),
        Command::Top(args) => block_on(top::run(&args, &global, output)),
        Command::Usage(args) => block_on(usage::run(&args, &global, output)),
        Command::Webhook(args) => block_on(webhook::run(&args, &global, output)),
        Command::Audit(args) => block_on(audit::run(&args, &global, output)),
        Command::Failover(args) => block_on(failover::run(&args, &global, output)),
        Command::Ledger(args) => block_on(ledger::run(&args, &global, output)),
        Command::Backup(args) => block_on(backup::backup(args, &global, output)),
        Command::Restore(args) => block_on(backup::restore(args, &global, output)),
        Command::Token(args) => token::run(&args, output),
        Command::Proxies => block_on(proxies::run(&global, output)),
        Command::Status => block_on(status::run(&global, output)),
    }
}

/// Connects to the control plane that the options name.
async fn connect(global: &Global) -> Result<Client, Failure> {
    let credentials = global.credentials()?;
    Ok(Client::connect(&global.endpoint, global.request_timeout, &credentials).await?)
}

fn block_on(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    runtime(Builder::new_current_thread())?.block_on(command)
}

fn runtime(mut builder: Builder) -> Result<Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, RuntimeError(error)))
}
