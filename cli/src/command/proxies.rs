//! `proxies`: who carries out the policy, and which revision of it.

use agix_proto::v1::{ListProxiesRequest, ListProxiesResponse, ProxyInfo};
use jiff::Timestamp;
use serde::Serialize;

use super::connect;
use crate::args::Global;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View, ago, rfc3339};
use crate::rollout::{RejectionView, refusal_lines};

#[derive(Debug, Serialize)]
struct Fleet {
    current_revision: u64,
    proxies: Vec<ProxyView>,
    /// Proxies that are not listed because there are very many.
    proxies_left_out: u32,
    /// Whether proxies of other control planes are missing.
    partial: bool,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Debug, Serialize)]
struct ProxyView {
    id: String,
    version: String,
    address: String,
    connected: bool,
    applied_revision: u64,
    /// Revisions behind the current one.
    behind: u64,
    applied_at: Option<String>,
    connected_at: Option<String>,
    last_seen: Option<String>,
    in_flight: u64,
    requests_total: u64,
    rejection: Option<RejectionView>,
    #[serde(skip)]
    wire: ProxyInfo,
}

impl Fleet {
    fn new(answer: ListProxiesResponse, now: Timestamp) -> Self {
        let current = answer.current_revision;
        let proxies = answer.proxies.into_iter();
        Self {
            current_revision: current,
            proxies: proxies.map(|info| ProxyView::new(info, current)).collect(),
            proxies_left_out: answer.proxies_left_out,
            partial: answer.partial,
            now,
        }
    }
}

impl ProxyView {
    fn new(wire: ProxyInfo, current: u64) -> Self {
        let load = wire.load.unwrap_or_default();
        Self {
            id: wire.id.clone(),
            version: wire.version.clone(),
            address: wire.address.clone(),
            connected: wire.connected,
            applied_revision: wire.applied_revision,
            behind: current.saturating_sub(wire.applied_revision),
            applied_at: rfc3339(wire.applied_at_unix_ms),
            connected_at: rfc3339(wire.connected_at_unix_ms),
            last_seen: rfc3339(wire.last_seen_unix_ms),
            in_flight: load.in_flight,
            requests_total: load.requests_total,
            rejection: wire.rejection.clone().map(RejectionView::from),
            wire,
        }
    }

    /// How it stands to the current revision, in a word or two.
    fn state(&self) -> String {
        match (&self.rejection, self.connected, self.behind) {
            (_, false, _) => "away".to_owned(),
            (None, true, 0) => "current".to_owned(),
            (Some(rejection), true, _) => format!("refused {}", rejection.revision),
            (None, true, behind) => format!("{behind} behind"),
        }
    }
}

impl View for Fleet {
    fn text(&self, look: Look) -> String {
        let mut columns = vec![
            "ID",
            "VERSION",
            "ADDRESS",
            ">REVISION",
            "STATE",
            ">SINCE",
            ">SEEN",
        ];
        if look.wide {
            columns.extend([">CONNECTED", ">IN FLIGHT", ">REQUESTS"]);
        }
        let mut table = Table::new(&columns);
        let age = |unix_ms| ago(unix_ms, self.now);
        for proxy in &self.proxies {
            let mut cells = vec![
                proxy.id.clone(),
                proxy.version.clone(),
                proxy.address.clone(),
                proxy.applied_revision.to_string(),
                proxy.state(),
                age(proxy.wire.applied_at_unix_ms),
                age(proxy.wire.last_seen_unix_ms),
            ];
            if look.wide {
                cells.push(age(proxy.wire.connected_at_unix_ms));
                cells.push(proxy.in_flight.to_string());
                cells.push(proxy.requests_total.to_string());
            }
            table.row(cells);
        }
        let more = match self.proxies_left_out {
            0 => String::new(),
            left_out => format!("... and {left_out} more\n"),
        };
        let refused = self.proxies.iter().filter_map(|proxy| {
            let rejection = proxy.rejection.as_ref()?;
            Some((proxy.id.as_str(), proxy.applied_revision, rejection))
        });
        let refusals = match refusal_lines(refused).as_str() {
            "" => String::new(),
            lines => format!("\n{lines}"),
        };
        let partial = if self.partial {
            "the proxies of other control planes are not known: the store cannot be read\n"
        } else {
            ""
        };
        table.text() + &more + partial + &refusals
    }
}

pub(crate) async fn run(global: &Global, output: Output) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let mut service = client.fleet();
    let answer = client
        .call(service.list_proxies(ListProxiesRequest {}))
        .await?;
    let fleet = Fleet::new(answer.into_inner(), clock::wall());
    if fleet.proxies.is_empty() && !output.for_programs() {
        Output::words("no proxy has connected yet\n");
        return Ok(Exit::Ok);
    }
    output.data(&fleet)?;
    Ok(Exit::Ok)
}
