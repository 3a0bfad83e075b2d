//! `agix-control-plane`: reads its settings, starts the control plane, stops it on a signal.

mod args;
mod telemetry;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use agix_control_plane::start;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::args::Args;

/// Started or ran with an error.
const FAILED: u8 = 1;
/// Called the wrong way; also what clap exits with.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = telemetry::set_up(&args) {
        return complain(&error, USAGE);
    }
    let config = match args.config() {
        Ok(config) => config,
        Err(error) => return complain(&error, USAGE),
    };
    let shutdown = CancellationToken::new();
    let signals = TaskTracker::new();
    match listen_for_signals() {
        Ok(stop) => {
            let shutdown = shutdown.clone();
            signals.spawn(async move {
                stop.await;
                shutdown.cancel();
            });
        }
        Err(error) => return complain(&error, FAILED),
    }
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let running = match start(config, shutdown).await {
        Ok(running) => running,
        Err(error) => return complain(&error, FAILED),
    };
    // Scripts wait for this line and read the address from it. A closed stdout is no reason to
    // stop: the address is in the log too.
    let admin = running
        .admin
        .map(|admin| format!(" (admin {scheme}://{admin})"));
    drop(writeln!(
        std::io::stdout(),
        "agix-control-plane is listening on {}{}",
        running.address,
        admin.unwrap_or_default()
    ));
    running.stopped().await;
    info!("the control plane has stopped");
    ExitCode::SUCCESS
}

/// Ends with the first SIGTERM or SIGINT. The handlers are in place when this returns.
fn listen_for_signals() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!("{name}: stopping");
    })
}

/// Prints an error with its causes, one below the other.
fn complain(error: &dyn Error, code: u8) -> ExitCode {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let lines: Vec<String> = std::iter::once(format!("error: {error}"))
        .chain(causes.map(|cause| format!("  caused by: {cause}")))
        .collect();
    let text = lines.join("\n") + "\n";
    // Nothing can be done about a stderr that is closed.
    drop(std::io::stderr().write_all(text.as_bytes()));
    ExitCode::from(code)
}
