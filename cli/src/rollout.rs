//! Waiting until the proxies run a revision.
//!
//! A rollout is over when every connected proxy runs the revision or a later one, or has refused
//! it. Proxies that are away are named but not waited for: they take the policy when they return.

use std::borrow::Cow;
use std::time::Duration;

use agix_core::policy::ResourceKey;
use agix_proto::v1::{ListProxiesRequest, ListProxiesResponse, ProxyInfo, Rejection};
use serde::Serialize;

use crate::client::{CallError, Client};
use crate::clock::monotonic;
use crate::output::{clean, rfc3339};

/// Pause between two looks at the proxies.
const PAUSE: Duration = Duration::from_millis(100);

/// How far a revision has come.
#[derive(Debug, Serialize)]
pub(crate) struct Rollout {
    revision: u64,
    /// Every connected proxy runs it.
    complete: bool,
    acknowledged: usize,
    connected: usize,
    /// Connected proxies that have not answered.
    waiting: Vec<Follower>,
    /// Connected proxies that refused it.
    refused: Vec<Follower>,
    /// Proxies that are not connected and do not run it.
    away: Vec<Follower>,
}

/// One proxy that does not run the revision.
#[derive(Debug, Serialize)]
struct Follower {
    id: String,
    address: String,
    applied_revision: u64,
    rejection: Option<RejectionView>,
}

/// Why a proxy refused a revision.
#[derive(Debug, Serialize)]
pub(crate) struct RejectionView {
    pub(crate) revision: u64,
    at: Option<String>,
    errors: Vec<ReasonView>,
}

/// One refused resource.
#[derive(Debug, Serialize)]
struct ReasonView {
    path: String,
    code: String,
    message: String,
    help: Option<String>,
}

impl From<Rejection> for RejectionView {
    fn from(wire: Rejection) -> Self {
        let reasons = wire.errors.into_iter().map(|error| {
            let resource = error.key.and_then(|key| ResourceKey::try_from(key).ok());
            let place = resource.map(|key| key.to_string());
            let parts = [place.unwrap_or_default(), error.field];
            ReasonView {
                path: parts
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join("."),
                code: error.code,
                message: error.message,
                help: error.help,
            }
        });
        Self {
            revision: wire.revision,
            at: rfc3339(wire.at_unix_ms),
            errors: reasons.collect(),
        }
    }
}

/// Who refused what, and why, for people. Those that say the same are named together.
pub(crate) fn refusal_lines<'a>(
    refusals: impl Iterator<Item = (&'a str, u64, &'a RejectionView)>,
) -> String {
    let mut groups: Vec<(Vec<Cow<'_, str>>, String)> = Vec::new();
    for (id, applied, rejection) in refusals {
        let reasons = rejection.errors.iter().map(ReasonView::lines);
        let text = format!(
            " refused revision {}, {}:\n{}",
            rejection.revision,
            still(applied),
            reasons.collect::<String>()
        );
        match groups.iter_mut().find(|(_, said)| *said == text) {
            Some((ids, _)) => ids.push(clean(id)),
            None => groups.push((vec![clean(id)], text)),
        }
    }
    let lines = groups.into_iter().map(|(ids, text)| ids.join(", ") + &text);
    lines.collect()
}

fn still(revision: u64) -> String {
    match revision {
        0 => "still without a policy".to_owned(),
        revision => format!("still at revision {revision}"),
    }
}

impl ReasonView {
    fn lines(&self) -> String {
        let place = match self.path.as_str() {
            "" => String::new(),
            path => format!("{}: ", clean(path)),
        };
        let (message, code) = (clean(&self.message), clean(&self.code));
        let help = match &self.help {
            Some(help) => format!("    help: {}\n", clean(help)),
            None => String::new(),
        };
        format!("  {place}{message} [{code}]\n{help}")
    }
}

impl Follower {
    fn new(proxy: ProxyInfo) -> Self {
        Self {
            id: proxy.id,
            address: proxy.address,
            applied_revision: proxy.applied_revision,
            rejection: proxy.rejection.map(RejectionView::from),
        }
    }

    fn line(&self, state: &str) -> String {
        let (id, address) = (clean(&self.id), clean(&self.address));
        format!(
            "{id} ({address}) {state}, {}\n",
            still(self.applied_revision)
        )
    }
}

impl Rollout {
    fn judge(revision: u64, fleet: ListProxiesResponse) -> Self {
        let newest = fleet.current_revision.max(revision);
        let mut rollout = Self {
            revision,
            complete: false,
            acknowledged: 0,
            connected: 0,
            waiting: Vec::new(),
            refused: Vec::new(),
            away: Vec::new(),
        };
        for proxy in fleet.proxies {
            // A later revision than the current one is of a history that was replaced.
            let follows = (revision..=newest).contains(&proxy.applied_revision);
            let refused = proxy
                .rejection
                .as_ref()
                .is_some_and(|rejection| rejection.revision >= revision);
            rollout.connected += usize::from(proxy.connected);
            match (proxy.connected, follows, refused) {
                (true, true, _) => rollout.acknowledged += 1,
                (true, false, true) => rollout.refused.push(Follower::new(proxy)),
                (true, false, false) => rollout.waiting.push(Follower::new(proxy)),
                (false, false, _) => rollout.away.push(Follower::new(proxy)),
                (false, true, _) => {}
            }
        }
        rollout.complete = rollout.acknowledged == rollout.connected;
        rollout
    }

    /// Whether every connected proxy runs the revision.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether a proxy has not answered.
    pub(crate) const fn timed_out(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How far it is: `1/2 proxies run revision 42`.
    pub(crate) fn line(&self) -> String {
        if self.connected == 0 {
            let revision = self.revision;
            return format!("no proxy is connected; those that come will run revision {revision}");
        }
        let run = if self.connected == 1 {
            "proxy runs"
        } else {
            "proxies run"
        };
        format!(
            "{}/{} {run} revision {}",
            self.acknowledged, self.connected, self.revision
        )
    }

    /// Who does not run the revision, and why.
    pub(crate) fn laggards(&self) -> String {
        let refused = self.refused.iter().filter_map(|follower| {
            let rejection = follower.rejection.as_ref()?;
            Some((follower.id.as_str(), follower.applied_revision, rejection))
        });
        let waiting = self.waiting.iter().map(|one| one.line("has not answered"));
        let away = self.away.iter().map(|one| one.line("is away"));
        let others: String = waiting.chain(away).collect();
        refusal_lines(refused) + &others
    }
}

/// Waits until the rollout of `revision` is over or `limit` has passed, and tells `progress` of
/// each look and how long it has waited.
///
/// # Errors
/// The last call's, if the control plane could not be asked until the end of the time.
pub(crate) async fn wait(
    client: &Client,
    revision: u64,
    limit: Duration,
    mut progress: impl FnMut(&Rollout, Duration),
) -> Result<Rollout, CallError> {
    let started = monotonic();
    loop {
        let mut fleet = client.fleet();
        let asked = client.call(fleet.list_proxies(ListProxiesRequest {})).await;
        let waited = started.elapsed();
        let over = waited >= limit;
        match asked {
            Ok(answer) => {
                let rollout = Rollout::judge(revision, answer.into_inner());
                progress(&rollout, waited);
                if rollout.waiting.is_empty() || over {
                    return Ok(rollout);
                }
            }
            // A control plane that restarts is back in a moment.
            Err(CallError::Unavailable { .. }) if !over => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use agix_proto::v1::ResourceError;

    use super::*;

    fn proxy(id: &str, connected: bool, applied: u64, refused: Option<u64>) -> ProxyInfo {
        let rejection = refused.map(|revision| Rejection {
            revision,
            at_unix_ms: 1,
            errors: vec![ResourceError {
                message: "the key is missing".to_owned(),
                code: "AGX0001".to_owned(),
                ..ResourceError::default()
            }],
        });
        ProxyInfo {
            id: id.to_owned(),
            address: "127.0.0.1:1".to_owned(),
            connected,
            applied_revision: applied,
            rejection,
            ..ProxyInfo::default()
        }
    }

    fn judge(proxies: Vec<ProxyInfo>) -> Rollout {
        let fleet = ListProxiesResponse {
            current_revision: 3,
            proxies,
            proxies_left_out: 0,
            partial: false,
        };
        Rollout::judge(2, fleet)
    }

    #[test]
    fn only_a_proxy_that_runs_the_revision_counts() {
        let rollout = judge(vec![
            proxy("new", true, 2, None),
            proxy("newer", true, 3, None),
            proxy("old", true, 1, None),
            proxy("stranger", true, 4, None),
        ]);
        assert_eq!(rollout.line(), "2/4 proxies run revision 2");
        assert!(!rollout.is_complete());
        assert_eq!(
            rollout.laggards(),
            "old (127.0.0.1:1) has not answered, still at revision 1\n\
             stranger (127.0.0.1:1) has not answered, still at revision 4\n"
        );
    }

    #[test]
    fn a_refusal_ends_the_wait_and_gives_its_reasons() {
        let rollout = judge(vec![
            proxy("a", true, 1, Some(2)),
            proxy("b", true, 1, Some(2)),
        ]);
        assert!(rollout.waiting.is_empty() && !rollout.is_complete());
        assert_eq!(
            rollout.laggards(),
            "a, b refused revision 2, still at revision 1:\n  the key is missing [AGX0001]\n"
        );
    }

    #[test]
    fn an_older_refusal_does_not_count() {
        let rollout = judge(vec![proxy("a", true, 0, Some(1))]);
        assert_eq!(rollout.waiting.len(), 1);
    }

    #[test]
    fn a_proxy_that_is_away_is_named_but_not_waited_for() {
        let rollout = judge(vec![proxy("a", true, 2, None), proxy("b", false, 1, None)]);
        assert!(rollout.is_complete());
        assert_eq!(rollout.line(), "1/1 proxy runs revision 2");
        assert!(rollout.laggards().contains("b (127.0.0.1:1) is away"));
    }
}
