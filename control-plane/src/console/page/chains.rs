//! Chains of models: where requests go, how each target does, and why it failed lately.

use std::sync::Arc;

use agix_proto::v1::{ChainStatus, ListChainsRequest, TargetStatus};
use axum::Extension;
use axum::extract::State;
use serde::Serialize;

use super::Page;
use crate::console::Console;
use crate::console::guard::Visitor;
use crate::console::view::{Moment, count, percent};

/// How long a failure is called a late one.
const LATELY_MS: i64 = 60_000;
/// Failures of a target that are shown.
const ERRORS: usize = 3;

#[derive(Debug, Serialize)]
struct Chains {
    list: Vec<Chain>,
    proxies: u32,
    left_out: u32,
}

#[derive(Debug, Serialize)]
struct Chain {
    model: String,
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
struct Target {
    model: String,
    provider: String,
    /// `in use`, `failed lately`, `left alone`, `not called yet`.
    state: &'static str,
    /// `ok`, `near`, `full`.
    level: &'static str,
    calls: String,
    failed: String,
    passed_over: String,
    errors: Vec<Failure>,
}

#[derive(Debug, Serialize)]
struct Failure {
    reason: String,
    proxy: String,
    at: Moment,
}

/// `/chains`
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
) -> Page {
    let mut targets = visitor.calls.targets();
    let answer = targets.list_chains(ListChainsRequest {}).await?;
    let answer = answer.into_inner();
    let page = Chains {
        list: answer
            .chains
            .into_iter()
            .map(|it| console.chain(it))
            .collect(),
        proxies: answer.proxies,
        left_out: answer.left_out,
    };
    console
        .page(&visitor, ("chains.html", "chains", "Chains"), &page)
        .await
}

impl Console {
    fn chain(&self, chain: ChainStatus) -> Chain {
        let targets = chain.targets.into_iter();
        Chain {
            targets: targets.map(|it| self.target(it)).collect(),
            model: chain.model,
        }
    }

    fn target(&self, target: TargetStatus) -> Target {
        let now = self.clock.wall().as_millis();
        let last = target.errors.first().map(|error| error.at_unix_ms);
        let lately = last.is_some_and(|at| now.saturating_sub(at) < LATELY_MS);
        let (state, level) = match (target.provider.is_empty(), target.open) {
            (true, _) => ("no provider serves it", "full"),
            (false, true) => ("left alone", "full"),
            (false, false) if lately => ("failed lately", "near"),
            (false, false) if target.attempts == 0 => ("not called yet", "near"),
            (false, false) => ("in use", "ok"),
        };
        let errors = target.errors.into_iter().take(ERRORS);
        Target {
            model: target.model,
            provider: target.provider,
            state,
            level,
            calls: count(target.attempts),
            failed: match target.failures {
                0 => "0".to_owned(),
                failed => format!("{} ({})", count(failed), percent(failed, target.attempts)),
            },
            passed_over: count(target.passed_over),
            errors: errors
                .map(|error| Failure {
                    reason: error.reason,
                    proxy: error.proxy_id,
                    at: self.moment(error.at_unix_ms),
                })
                .collect(),
        }
    }
}
