//! The command line and its environment variables.

use std::net::SocketAddr;

use agix_control_plane::{Config, StoreSpec};
use clap::{Parser, ValueEnum};

/// Keeps the policy of agix and its history, and streams it to the proxies.
#[derive(Debug, Parser)]
#[command(
    name = "agix-control-plane",
    version,
    after_help = "\
Examples:
  agix-control-plane --store embedded:/var/lib/agix
  agix-control-plane --listen 127.0.0.1:0 --store memory    # a free port, nothing kept

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 could not start, 2 wrong usage."
)]
pub(crate) struct Args {
    /// Where the gRPC services listen; port 0 takes a free one
    #[arg(
        long,
        env = "AGIX_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7070"
    )]
    listen: SocketAddr,

    /// Where policy and history are kept: `embedded:DIR` or `memory`
    #[arg(long, env = "AGIX_STORE", value_name = "STORE")]
    store: StoreSpec,

    /// Listen on an address other machines can reach, although nothing asks who calls
    #[arg(long, env = "AGIX_INSECURE")]
    insecure: bool,

    /// How log lines look
    #[arg(
        long,
        env = "AGIX_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,

    /// What is logged: a level or directives such as `info,agix_control_plane=debug`;
    /// RUST_LOG is read too
    #[arg(long, env = "AGIX_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The control plane would be open to the network.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and this version does not check who calls: anyone \
     who reaches it could read and change the policy. Listen on 127.0.0.1, or pass --insecure if \
     the network itself keeps others out"
)]
pub(crate) struct OpenToNetwork(SocketAddr);

impl Args {
    /// The settings, unless they open the control plane to the network unasked.
    pub(crate) fn config(self) -> Result<Config, OpenToNetwork> {
        if !self.listen.ip().is_loopback() && !self.insecure {
            return Err(OpenToNetwork(self.listen));
        }
        Ok(Config {
            listen: self.listen,
            store: self.store,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(extra: &[&str]) -> Args {
        let base = ["agix-control-plane", "--store", "memory"];
        Args::try_parse_from(base.iter().chain(extra)).unwrap()
    }

    #[test]
    fn the_network_is_refused_unless_asked_for() {
        assert!(args(&[]).config().is_ok());
        assert!(args(&["--listen", "[::1]:7070"]).config().is_ok());
        let open = ["--listen", "0.0.0.0:7070"];
        let refused = args(&open).config().unwrap_err().to_string();
        assert!(refused.contains("--insecure"), "{refused}");
        assert!(args(&[open[0], open[1], "--insecure"]).config().is_ok());
    }

    #[test]
    fn a_wrong_store_is_a_usage_error_that_names_the_right_ones() {
        let error = Args::try_parse_from(["agix-control-plane", "--store", "etcd:x"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("embedded:DIR"), "{error}");
    }
}
