//! `completion`: what a shell needs to complete command lines.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Load them in the running shell:
  bash   source <(agixctl completion bash)
  zsh    source <(agixctl completion zsh)
  fish   agixctl completion fish | source")]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut Args::command(), "agixctl", &mut script);
    Output::raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
