//! The proxies.

use std::sync::Arc;

use agix_proto::v1::{ListAgentsRequest, ListProxiesRequest, ProxyInfo};
use axum::Extension;
use axum::extract::State;
use serde::Serialize;

use super::Page;
use crate::console::Console;
use crate::console::error::PageError;
use crate::console::guard::{Calls, Visitor};
use crate::console::view::{Moment, count};

#[derive(Debug, Serialize)]
struct Fleet {
    revision: u64,
    proxies: Vec<Proxy>,
    left_out: u32,
    /// Absent while the ledger cannot be asked.
    leases: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Proxy {
    id: String,
    version: String,
    address: String,
    revision: u64,
    /// `current`, `2 behind`, `refused 7`, `away`.
    state: String,
    /// `ok`, `near`, `full`.
    level: &'static str,
    applied: Option<Moment>,
    seen: Moment,
    in_flight: String,
    requests: String,
    refusals: Vec<String>,
}

/// `/fleet`
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
) -> Page {
    let mut fleet = visitor.calls.fleet();
    let answer = fleet.list_proxies(ListProxiesRequest {}).await?;
    let answer = answer.into_inner();
    let current = answer.current_revision;
    let proxies = answer.proxies.into_iter();
    let leases = leases(&visitor.calls).await?;
    let page = Fleet {
        leases,
        revision: current,
        proxies: proxies.map(|info| proxy(&console, info, current)).collect(),
        left_out: answer.proxies_left_out,
    };
    let template = ("fleet.html", "fleet", "Fleet");
    console.page(&visitor, template, &page).await
}

/// How many sessions of proxies have a lease of the ledger.
async fn leases(calls: &Calls) -> Result<Option<u32>, PageError> {
    let request = ListAgentsRequest {
        agents: Vec::new(),
        most_active: 1,
    };
    match calls
        .ledger()
        .list_agents(request)
        .await
        .map_err(PageError::from)
    {
        Ok(answer) => Ok(Some(answer.into_inner().sessions)),
        Err(PageError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn proxy(console: &Console, info: ProxyInfo, current: u64) -> Proxy {
    let behind = current.saturating_sub(info.applied_revision);
    let (state, level) = match (&info.rejection, info.connected, behind) {
        (_, false, _) => ("away".to_owned(), "full"),
        (Some(rejection), true, _) => (format!("refused {}", rejection.revision), "full"),
        (None, true, 0) => ("current".to_owned(), "ok"),
        (None, true, behind) => (format!("{behind} behind"), "near"),
    };
    let load = info.load.unwrap_or_default();
    let errors = info.rejection.into_iter().flat_map(|it| it.errors);
    Proxy {
        state,
        level,
        revision: info.applied_revision,
        applied: (info.applied_at_unix_ms > 0).then(|| console.moment(info.applied_at_unix_ms)),
        seen: console.moment(info.last_seen_unix_ms),
        in_flight: count(load.in_flight),
        requests: count(load.requests_total),
        refusals: errors
            .map(|error| match error.key {
                Some(key) => format!("{} {}: {}", key.name, error.field, error.message),
                None => error.message,
            })
            .collect(),
        id: info.id,
        version: info.version,
        address: info.address,
    }
}
