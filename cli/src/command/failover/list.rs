//! `failover list`: every chain, and how its targets are.

use agix_proto::v1::{ChainStatus, ListChainsRequest, ListChainsResponse, PastError, TargetStatus};
use jiff::Timestamp;
use serde::Serialize;

use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View, ago, clean, rfc3339};

#[derive(Debug, Serialize)]
struct Listing {
    chains: Vec<ChainView>,
    /// Proxies that report to this control plane.
    proxies: u32,
    /// Listing that are not listed because there are very many.
    left_out: u32,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Debug, Serialize)]
struct ChainView {
    model: String,
    targets: Vec<TargetView>,
}

#[derive(Debug, Serialize)]
struct TargetView {
    model: String,
    provider: String,
    state: &'static str,
    /// Proxies that leave it alone by what they saw.
    open_at: u32,
    calls: u64,
    failed: u64,
    passed_over: u64,
    /// The newest first.
    errors: Vec<ErrorView>,
}

#[derive(Debug, Serialize)]
struct ErrorView {
    proxy: String,
    reason: String,
    at: Option<String>,
    #[serde(skip)]
    at_unix_ms: i64,
}

impl From<ChainStatus> for ChainView {
    fn from(chain: ChainStatus) -> Self {
        let ChainStatus { model, targets } = chain;
        Self {
            model,
            targets: targets.into_iter().map(TargetView::from).collect(),
        }
    }
}

impl From<TargetStatus> for TargetView {
    fn from(target: TargetStatus) -> Self {
        let state = match (target.provider.is_empty(), target.open, target.open_at) {
            (true, ..) => "no provider",
            (_, true, _) => "left alone",
            (_, false, 0) => "in use",
            (_, false, _) => "left alone by some",
        };
        Self {
            model: target.model,
            provider: target.provider,
            state,
            open_at: target.open_at,
            calls: target.attempts,
            failed: target.failures,
            passed_over: target.passed_over,
            errors: target.errors.into_iter().map(ErrorView::from).collect(),
        }
    }
}

impl From<PastError> for ErrorView {
    fn from(error: PastError) -> Self {
        Self {
            proxy: error.proxy_id,
            reason: error.reason,
            at: rfc3339(error.at_unix_ms),
            at_unix_ms: error.at_unix_ms,
        }
    }
}

impl View for Listing {
    fn text(&self, _look: Look) -> String {
        let mut table = Table::new(&[
            "CHAIN",
            "TARGET",
            "PROVIDER",
            "STATE",
            ">CALLS",
            ">FAILED",
            ">PASSED OVER",
            "LAST ERROR",
        ]);
        for chain in &self.chains {
            for (place, target) in chain.targets.iter().enumerate() {
                let error = target.errors.first().map(|error| {
                    let age = ago(error.at_unix_ms, self.now);
                    format!(
                        "{}, {age} ago at {}",
                        clean(&error.reason),
                        clean(&error.proxy)
                    )
                });
                table.row(vec![
                    if place == 0 {
                        chain.model.clone()
                    } else {
                        String::new()
                    },
                    target.model.clone(),
                    target.provider.clone(),
                    target.state.to_owned(),
                    target.calls.to_string(),
                    target.failed.to_string(),
                    target.passed_over.to_string(),
                    error.unwrap_or_default(),
                ]);
            }
        }
        let more = match self.left_out {
            0 => String::new(),
            count => format!("and {count} more\n"),
        };
        table.text() + &more
    }
}

pub(super) async fn run(client: &Client, output: Output) -> Result<Exit, Failure> {
    let mut service = client.targets();
    let answer = client
        .call(service.list_chains(ListChainsRequest {}))
        .await?;
    let ListChainsResponse {
        chains,
        proxies,
        left_out,
    } = answer.into_inner();
    output.data(&Listing {
        chains: chains.into_iter().map(ChainView::from).collect(),
        proxies,
        left_out,
        now: clock::wall(),
    })?;
    Ok(Exit::Ok)
}
