//! What stands out: the traffic, the fleet, agents near their limits, the queue.

use std::sync::Arc;

use agix_proto::v1::{GetTrafficRequest, TrafficSpan};
use axum::Extension;
use axum::extract::State;
use serde::Serialize;

use super::Page;
use super::agents::{Agent, standings};
use super::webhooks::{Queue, queue};
use crate::console::Console;
use crate::console::chart::{Chart, Series};
use crate::console::error::PageError;
use crate::console::guard::Visitor;
use crate::console::view::{count, usd};

/// Agents that are looked at, the most active ones.
const AGENTS: u32 = 20;

#[derive(Debug, Serialize)]
struct Overview {
    /// The most active; absent while the ledger cannot be asked.
    agents: Option<Vec<Agent>>,
    near: usize,
    queue: Option<Queue>,
    charts: Vec<Chart>,
    /// Proxies that report their traffic.
    reporting: u32,
    /// Why something is absent.
    problems: Vec<String>,
}

/// `/`
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
) -> Page {
    let mut problems = Vec::new();
    let standings = standings(&visitor.calls, AGENTS).await;
    let agents = shown(standings, &mut problems)?;
    let agents = agents.map(|(list, _)| list.iter().map(Agent::new).collect::<Vec<_>>());
    let queue = shown(queue(&visitor.calls).await, &mut problems)?;
    let mut traffic = visitor.calls.traffic();
    let traffic = traffic.get_traffic(GetTrafficRequest {}).await?;
    let traffic = traffic.into_inner();
    let page = Overview {
        charts: charts(&traffic.spans),
        reporting: traffic.proxies,
        near: agents.iter().flatten().filter(|it| it.is_near()).count(),
        agents,
        queue,
        problems,
    };
    console
        .page(&visitor, ("overview.html", "overview", "Overview"), &page)
        .await
}

fn charts(spans: &[TrafficSpan]) -> Vec<Chart> {
    let requests = [
        Series::new("answered", "answered", |it| it.answered),
        Series::new("failed", "failed", |it| it.failed),
        Series::new("refused", "refused", |it| it.refused),
    ];
    let spend = [Series::new("answered", "spent", |it| it.cost_nano_usd)];
    let failovers = [Series::new("refused", "failovers", |it| it.failovers)];
    let failures = [Series::new("failed", "failed calls", |it| {
        it.attempts_failed
    })];
    vec![
        Chart::new("Requests", &requests, spans, count),
        Chart::new("Spend", &spend, spans, usd),
        Chart::new("Failovers", &failovers, spans, count),
        Chart::new("Failed calls of providers", &failures, spans, count),
    ]
}

/// What could be asked; what could not becomes a line of the page, unless nobody is signed in.
fn shown<T>(
    asked: Result<T, PageError>,
    problems: &mut Vec<String>,
) -> Result<Option<T>, PageError> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(PageError::Refused(status)) => {
            let problem = status.message().to_owned();
            if !problems.contains(&problem) {
                problems.push(problem);
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
