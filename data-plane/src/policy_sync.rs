//! Keeps the proxy's policy current: the driver of [`agix_core::sync::ClientSession`].
//!
//! Rules this module keeps:
//! - What is in force stays in force whatever happens to the control plane or to an update.
//! - A policy is checked, installed and written to the disk before it is acknowledged, all of it
//!   away from the threads that serve requests.
//! - With a snapshot file the proxy serves before any control plane has answered.
//! - The driver ends only when it is told to. Changes of its state are logged, tries are not.

mod connection;
mod driver;
mod install;
mod reporter;
mod snapshot_file;
mod status;

use std::path::PathBuf;
use std::sync::Arc;

use agix_core::id::{ProxyId, Revision};
use agix_core::policy::{Policy, Problem};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use agix_core::sync::Load;
pub use status::{Applied, Link, Source, SyncStatus};

use crate::clock::Clock;
use crate::control_line::ControlPlanes;
use driver::Driver;

/// Who the proxy is, and where its policy comes from.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// The control planes.
    pub endpoints: ControlPlanes,
    /// The proxy's identity, stable over restarts.
    pub proxy_id: ProxyId,
    /// Differs with each start of the process.
    pub incarnation: u64,
    /// The version of the program.
    pub version: String,
    /// Where it listens, for people.
    pub address: String,
    /// Where the last good policy is kept for the next start.
    pub snapshot: Option<PathBuf>,
}

/// Puts a policy in force for all requests that begin from now on, or says what stands in the way
/// and changes nothing. May block.
pub type Install = Arc<dyn Fn(Revision, &Policy) -> Result<(), Vec<Problem>> + Send + Sync>;

/// Says how busy the proxy is.
pub type LoadSource = Arc<dyn Fn() -> Load + Send + Sync>;

/// Loads the snapshot, then follows the control plane until `shutdown`. What becomes of it is told
/// through `status`.
pub async fn run(
    config: SyncConfig,
    install: Install,
    load: LoadSource,
    status: watch::Sender<SyncStatus>,
    shutdown: CancellationToken,
) {
    let driver = Driver::start(config, install, load, status, Clock::start()).await;
    driver.run(shutdown).await;
}

#[cfg(test)]
mod tests;
