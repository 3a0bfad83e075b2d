//! `token create`: a new token. No control plane is asked: its hash goes into their file of tokens.

use agix_control_plane::access::{self, Role};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View};

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token, and the line for the control planes' --tokens-file
    #[command(after_help = "\
Examples:
  agixctl token create --role admin --name ann
  agixctl token create --role proxy --name fleet -o json | jq -r .line >> tokens

The token is shown this once. Whoever has it does what the role may do, under that name; to revoke it,
delete the line: control planes read the file again by themselves.")]
    Create(CreateArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// What the token may do
    #[arg(long, value_enum)]
    role: RoleArg,

    /// Whose it is: the author of what is done with it
    #[arg(long, value_name = "NAME")]
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    /// Sees everything but secrets
    Viewer,
    /// Also changes the policy, corrects spend, replays webhooks
    Operator,
    /// Also backs up and restores
    Admin,
    /// For proxies, to join
    Proxy,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Operator => Self::Operator,
            RoleArg::Admin => Self::Admin,
            RoleArg::Proxy => Self::Proxy,
        }
    }
}

#[derive(Serialize)]
struct Made {
    token: String,
    line: String,
}

impl View for Made {
    fn text(&self, _look: Look) -> String {
        format!(
            "token, shown this once:\n  {}\nline for the control planes' --tokens-file:\n  {}\n",
            self.token, self.line
        )
    }
}

pub(crate) fn run(args: &TokenArgs, output: Output) -> Result<Exit, Failure> {
    let TokenCommand::Create(args) = &args.command;
    let made = access::create(args.role.into(), &args.name)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    output.data(&Made {
        token: made.token,
        line: made.line,
    })?;
    Ok(Exit::Ok)
}
