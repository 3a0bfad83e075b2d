//! placeholder
use agix_core::id::{ProxyId, Revision};
use agix_core::policy::{Policy, Problem};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
#[derive(Debug)]
pub struct SyncConfig {
    pub endpoints: Vec<String>,
    pub proxy_id: ProxyId,
    pub incarnation: u64,
    pub version: String,
    pub address: String,
    pub snapshot: Option<PathBuf>,
}
#[derive(Debug)]
pub struct Load {
    pub in_flight: u64,
    pub requests_total: u64,
}
pub async fn run(
    config: SyncConfig,
    install: Arc<dyn Fn(Revision, &Policy) -> Result<(), Vec<Problem>> + Send + Sync>,
    load: Arc<dyn Fn() -> Load + Send + Sync>,
    shutdown: CancellationToken,
) {
    shutdown.cancelled().await
}
