//! `dev`: a control plane and a proxy in one process.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// Where the proxy answers agents
    #[arg(
        long,
        env = "AGIX_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        hide_env_values = true
    )]
    listen: SocketAddr,

    /// Where the control plane answers agixctl
    #[arg(
        long,
        env = "AGIX_CONTROL",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7070",
        hide_env_values = true
    )]
    control: SocketAddr,

    /// Where the proxy shows its health and metrics
    #[arg(
        long,
        env = "AGIX_ADMIN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9090",
        hide_env_values = true
    )]
    admin: SocketAddr,

    /// The policy: a file or a directory, applied now and whenever it changes
    #[arg(
        long,
        env = "AGIX_POLICY",
        value_name = "FILE|DIR",
        hide_env_values = true
    )]
    policy: Option<PathBuf>,

    /// Where the policy and its history are kept [default: ~/.agix]
    #[arg(
        long,
        env = "AGIX_DATA_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: DevArgs, _output: Output) -> Result<Exit, Failure> {
    Output::words(&format!("{args:?}"));
    Ok(Exit::Failed)
}
