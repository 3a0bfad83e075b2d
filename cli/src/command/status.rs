//! `status`: whether the control plane works and the proxies follow.

use agix_proto::v1::{StatusRequest, StatusResponse};
use jiff::Timestamp;
use serde::Serialize;

use super::connect;
use super::revision::RevisionView;
use crate::args::Global;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View, ago, clean, rfc3339};

/// A write that takes so long is worth a word: requests that need the ledger wait for such.
const SLOW_STORE_MS: u32 = 100;

#[derive(Debug, Serialize)]
struct Status {
    endpoint: String,
    version: String,
    store: String,
    started_at: Option<String>,
    /// The current revision; none if nothing was applied yet.
    current: Option<RevisionView>,
    proxies_connected: u32,
    proxies_current: u32,
    /// A backup is being restored, or its restore was cut off.
    restoring: bool,
    /// Whether proxies of other control planes are missing from these numbers.
    proxies_partial: bool,
    /// What is wrong with the store that control planes share.
    store_trouble: Option<String>,
    /// How long it took for what was written last.
    store_write_ms: Option<u32>,
    #[serde(skip)]
    started_at_unix_ms: i64,
    #[serde(skip)]
    now: Timestamp,
}

impl Status {
    fn new(endpoint: &str, answer: StatusResponse, now: Timestamp) -> Self {
        let current = answer.current.filter(|info| info.revision > 0);
        Self {
            endpoint: endpoint.to_owned(),
            version: answer.version,
            store: answer.store,
            started_at: rfc3339(answer.started_at_unix_ms),
            current: current.map(RevisionView::from),
            proxies_connected: answer.proxies_connected,
            proxies_current: answer.proxies_current,
            restoring: answer.restoring,
            proxies_partial: answer.partial,
            store_trouble: Some(answer.store_trouble).filter(|it| !it.is_empty()),
            store_write_ms: Some(answer.store_write_ms).filter(|it| *it > 0),
            started_at_unix_ms: answer.started_at_unix_ms,
            now,
        }
    }
}

impl View for Status {
    fn text(&self, _look: Look) -> String {
        let policy = match &self.current {
            _ if self.restoring => "none: a restore is under way or was cut off; `agixctl restore \
                                    FILE` finishes it"
                .to_owned(),
            None => "none yet: `agixctl apply -f FILE` makes the first revision".to_owned(),
            Some(current) => format!(
                "revision {}, applied {} ago by {}",
                current.revision,
                ago(current.time_unix_ms, self.now),
                clean(&current.author),
            ),
        };
        let proxies = match &self.current {
            None => format!("{} connected", self.proxies_connected),
            Some(_) => format!(
                "{}/{} run the current revision",
                self.proxies_current, self.proxies_connected
            ),
        };
        let partial = if self.proxies_partial {
            " (those of other control planes are not known)"
        } else {
            ""
        };
        let store = match (&self.store_trouble, self.store_write_ms) {
            (Some(trouble), _) => format!("store          {}\n", clean(trouble)),
            (None, Some(slow)) if slow >= SLOW_STORE_MS => {
                format!("store          slow: the last write took {slow} ms\n")
            }
            (None, _) => String::new(),
        };
        format!(
            "control plane  {} (version {}, store {}, up {})\n\
             policy         {policy}\n\
             proxies        {proxies}{partial}\n{store}",
            self.endpoint,
            clean(&self.version),
            clean(&self.store),
            ago(self.started_at_unix_ms, self.now),
        )
    }
}

pub(crate) async fn run(global: &Global, output: Output) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let answer = client.call(client.fleet().status(StatusRequest {})).await?;
    output.data(&Status::new(
        client.endpoint(),
        answer.into_inner(),
        clock::wall(),
    ))?;
    Ok(Exit::Ok)
}
