//! Relaying watches, each on a stream of its own that is dropped with it.
//!
//! A stream that fails ends the watch: whoever watches lists again. None is resumed, for the list is
//! the truth anyway.

use agix_core::limits::ETCD_ANSWER_TIME;
use etcd_client::{EventType, GetOptions, WatchOptions, WatchResponse, WatchStream};

use super::Etcd;
use super::answer::{self, EtcdFailure, Trouble, number_of};
use crate::store::watch::{CutOff, Watcher};
use crate::store::{BackendFailure, Commit, Event, KeyRange, StoreRevision, Watch, WatchEnd};

/// etcd's number of the revision before the first commit.
const BEGINNING: i64 = 1;

impl Etcd {
    /// The commits of `range` from `from` on.
    pub(super) async fn begin_watch(
        &self,
        range: KeyRange,
        from: StoreRevision,
    ) -> Result<Watch, WatchEnd> {
        // etcd takes a watch from the compacted revision itself, whose deletions are gone.
        let before = number_of(from).saturating_sub(1).max(BEGINNING);
        match self.can_read(&range, before).await {
            Ok(()) | Err(Trouble::Future(_)) => {}
            Err(Trouble::Compacted(_)) => {
                let at = self.compacted().await.map_err(unavailable)?;
                return Err(WatchEnd::Compacted { at });
            }
            Err(trouble) => return Err(unavailable(trouble)),
        }
        let stream = self.stream(&range, before).await.map_err(unavailable)?;
        let (watcher, watch) = Watcher::new(range, from);
        let (prefix, stop) = (self.inner.prefix.clone(), self.inner.stop.clone());
        self.inner.tasks.spawn(async move {
            let end = tokio::select! {
                () = watcher.is_gone() => return,
                () = stop.cancelled() => WatchEnd::Closed,
                end = relay(&watcher, stream, &prefix) => match end {
                    Some(end) => end,
                    None => return,
                },
            };
            watcher.end(end);
        });
        Ok(watch)
    }

    /// The revision up to which the past is gone; asked for after etcd said that something is.
    pub(super) async fn compacted(&self) -> Result<StoreRevision, Trouble> {
        let key = self.inner.prefix.clone();
        let asked = self.inner.endpoints.read(ETCD_ANSWER_TIME, |client| {
            let options = WatchOptions::new().with_start_revision(BEGINNING);
            let key = key.clone();
            async move {
                let mut stream = client.watch_client().watch(key, Some(options)).await?;
                while let Some(response) = stream.message().await? {
                    if response.canceled() {
                        return Ok(response.compact_revision());
                    }
                }
                Ok(0)
            }
        });
        let at = answer::revision(asked.await?);
        at.ok_or(Trouble::Unanswered(EtcdFailure::Malformed))
    }

    async fn can_read(&self, range: &KeyRange, at: i64) -> Result<(), Trouble> {
        let (key, _) = self.bounds(range);
        let asked = self.inner.endpoints.read(ETCD_ANSWER_TIME, |client| {
            let options = GetOptions::new().with_count_only().with_revision(at);
            let key = key.clone();
            async move { client.kv_client().get(key, Some(options)).await }
        });
        asked.await.map(drop)
    }

    async fn stream(&self, range: &KeyRange, start: i64) -> Result<WatchStream, Trouble> {
        let (key, end) = self.bounds(range);
        let asked = self.inner.endpoints.read(ETCD_ANSWER_TIME, |client| {
            let options = WatchOptions::new()
                .with_range(end.clone())
                .with_start_revision(start);
            let key = key.clone();
            async move {
                let mut stream = client.watch_client().watch(key, Some(options)).await?;
                let first = stream.message().await?;
                // A watch that cannot begin says so in the message that follows.
                Ok(first.filter(WatchResponse::created).map(|_| stream))
            }
        });
        let stream = asked.await?;
        stream.ok_or(Trouble::Unanswered(EtcdFailure::Malformed))
    }
}

/// Sends on what comes; `None`: the watcher was cut off.
async fn relay(watcher: &Watcher, mut stream: WatchStream, prefix: &[u8]) -> Option<WatchEnd> {
    loop {
        let response = match stream.message().await {
            Ok(Some(response)) => response,
            Ok(None) => return Some(WatchEnd::Unavailable(malformed())),
            Err(error) => return Some(WatchEnd::Unavailable(BackendFailure::new(error))),
        };
        if response.canceled() {
            return Some(match answer::revision(response.compact_revision()) {
                Some(at) => WatchEnd::Compacted { at },
                None => {
                    WatchEnd::Unavailable(BackendFailure::new(response.cancel_reason().to_owned()))
                }
            });
        }
        let Some(commits) = commits(&response, prefix) else {
            return Some(WatchEnd::Unavailable(malformed()));
        };
        for commit in commits {
            if let Err(CutOff) = watcher.send(&commit) {
                return None;
            }
        }
    }
}

/// The events of a response by commit; `None` if they make no sense. etcd never parts a commit
/// unless it is asked to.
fn commits(response: &WatchResponse, prefix: &[u8]) -> Option<Vec<Commit>> {
    let mut commits: Vec<Commit> = Vec::new();
    for event in response.events() {
        let pair = event.kv()?;
        let revision = answer::revision(pair.mod_revision())?;
        let event = match event.event_type() {
            EventType::Put => Event::Put(answer::entry(prefix, pair.clone())?),
            EventType::Delete => Event::Deleted(answer::key_of(prefix, pair)?),
        };
        match commits.last_mut() {
            Some(last) if last.revision == revision => last.events.push(event),
            _ => commits.push(Commit {
                revision,
                events: vec![event],
            }),
        }
    }
    for commit in &mut commits {
        commit
            .events
            .sort_by(|one, other| one.key().cmp(other.key()));
    }
    Some(commits)
}

fn malformed() -> BackendFailure {
    BackendFailure::new(EtcdFailure::Malformed)
}

fn unavailable(trouble: Trouble) -> WatchEnd {
    WatchEnd::Unavailable(trouble.into())
}
