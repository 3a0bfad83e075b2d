//! `dev`: a control plane and a proxy in one process.
//!
//! For trying agix and for working on a policy. Both listen on this machine only, because nothing
//! asks who calls. The policy is the file given, applied again whenever it is saved; without one,
//! what the store holds, or else a built-in policy.

mod banner;
mod default;
mod requests;
mod start;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::Output;

use default::Origin;
use start::Started;

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl dev                         simulated models, or the providers whose keys are set
  agixctl dev --policy policy.yaml    work on a policy: it is applied whenever you save it

AGIX_LOG=info shows what the parts log.
Exit codes: 0 stopped by Ctrl-C, 1 could not start, 2 wrong usage.")]
pub(crate) struct DevArgs {
    /// Where the proxy answers agents
    #[arg(
        long,
        env = "AGIX_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        value_parser = loopback,
        hide_env_values = true
    )]
    listen: SocketAddr,

    /// Where the control plane answers agixctl
    #[arg(
        long,
        env = "AGIX_CONTROL",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7070",
        value_parser = loopback,
        hide_env_values = true
    )]
    control: SocketAddr,

    /// Where the web console listens
    #[arg(
        long,
        env = "AGIX_HTTP",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7071",
        value_parser = loopback,
        hide_env_values = true
    )]
    http: SocketAddr,

    /// Where the proxy shows its health and metrics
    #[arg(
        long,
        env = "AGIX_ADMIN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9090",
        value_parser = loopback,
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

    /// Where the policy and its history are kept
    #[arg(
        long,
        help = "Where the policy and its history are kept [default: ~/.agix]",
        env = "AGIX_DATA_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: DevArgs, output: Output) -> Result<Exit, Failure> {
    let output = output.for_people();
    if let Some(policy) = &args.policy {
        // A path that does not exist is better told now than at the first save.
        files::paths(policy)?;
    }
    let mut signals = Signals::listen()?;
    start::log(output)?;
    let started = start::start(&args).await?;
    let work = work(&args, &started, output);
    let worked = tokio::select! {
        worked = work => worked,
        () = signals.next() => Ok(()),
    };
    Output::words("\nstopping: open requests may end; Ctrl-C again stops at once\n");
    tokio::select! {
        () = started.stop() => {}
        () = signals.next() => {}
    }
    worked.map(|()| Exit::Ok)
}

/// Applies the policy, says where everything is, and follows the policy file. Ends only by an
/// error.
async fn work(args: &DevArgs, started: &Started, output: Output) -> Result<(), Failure> {
    let mut watched = args.policy.clone().map(watch::Watched::new);
    let origin = match &mut watched {
        Some(watched) => {
            watched.apply_if_changed(&started.client, output).await;
            Origin::File(watched.path().to_owned())
        }
        None => default::settle(&started.client, output).await?,
    };
    banner::print(started, &origin).await?;
    match &mut watched {
        Some(watched) => watched.follow(&started.client, output).await,
        None => std::future::pending().await,
    }
}

/// The signals that stop a process.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Reads an address of this machine.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_invalid| "write it as 127.0.0.1:PORT".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(
            "dev listens on this machine only, because nothing asks who calls; use \
             127.0.0.1:PORT, or run agix-control-plane and agix-proxy by themselves"
                .to_owned(),
        );
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_is_never_open_to_the_network() {
        assert!(loopback("127.0.0.1:0").is_ok());
        assert!(loopback("[::1]:8080").is_ok());
        assert!(loopback("0.0.0.0:8080").is_err());
        assert!(loopback("192.168.0.1:8080").is_err());
        assert!(loopback("8080").is_err());
    }
}
