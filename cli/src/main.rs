//! `agixctl`: the command line of agix.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`args`] | the command line |
//! | [`command`] | what each command does |
//! | [`client`] | calls to the control plane |
//! | [`files`] | reading what `-f` names |
//! | [`document`] | what is said about a document |
//! | [`rollout`] | waiting for the proxies |
//! | [`output`] | what is printed, and where |
//! | [`exit`] | exit codes and failures |
//! | [`clock`] | the only reader of clocks |

mod args;
mod author;
mod client;
mod clock;
mod command;
mod document;
mod exit;
mod files;
mod output;
mod proxy;
mod rollout;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::output::{Color, Output};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to stdout and end with 0, wrong usage to stderr with 2. A
            // closed stdout or stderr is nothing to complain about.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    let output = args.global.output();
    let exit = command::run(args, output).unwrap_or_else(|failure| {
        tell(&failure, output);
        failure.exit()
    });
    exit.into()
}

fn tell(failure: &Failure, output: Output) {
    if let Some(text) = failure.report(&output.label("error:", Color::Bad)) {
        Output::words(&text);
    }
}
