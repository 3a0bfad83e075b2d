//! The proxies of the other control planes over one store.
//!
//! - Each control plane keeps a list of its own proxies in the store, under a lease: written at once
//!   when something happened that operators wait for, and now and then for the rest. When the control
//!   plane dies, its list goes with the lease.
//! - Whoever is asked about the fleet reads the lists of the others. Nothing is decided by them.
//! - Lists that cannot be read keep nobody from seeing what is here; that they are missing is said.
//! - How the store takes the list shows operators how it takes everything else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agix_core::causes::with_causes;
use agix_core::limits::{
    FLEET_LEASE, FLEET_LIST_BYTES, FLEET_LISTS, FLEET_READ_TIME, FLEET_SETTLE_TIME, FLEET_TELL,
    STORE_RETRY_PAUSE,
};
use agix_proto::v1;
use bytes::Bytes;
use prost::Message as _;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Fleet;
use crate::clock::Clock;
use crate::store::keyspace::Key;
use crate::store::{CommitError, LeaseError, LeaseId, RangeError, RangeRequest, Store, Txn};

/// What a list has around each of its proxies, at most.
const FRAME_BYTES: usize = 8;

/// This control plane's proxies and those of the others.
#[derive(Debug)]
pub(crate) struct Others<S> {
    store: S,
    fleet: Arc<Fleet>,
    clock: Clock,
    /// The name of this control plane's list; `None`: nobody shares the store.
    name: Option<u64>,
    health: Mutex<StoreHealth>,
}

/// Proxies of all control planes, by id.
#[derive(Debug)]
pub(crate) struct Everybody {
    pub(crate) proxies: Vec<v1::ProxyInfo>,
    /// Whether the lists of others could not be read.
    pub(crate) is_partial: bool,
}

/// How the store took what was written last.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreHealth {
    /// What is wrong, for people; empty: nothing.
    pub(crate) trouble: String,
    /// The time it took.
    pub(crate) write_time: Duration,
}

/// Why the list is not in the store.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("the store gives no lease")]
    Lease(#[from] LeaseError),
    #[error("the store takes nothing")]
    Commit(#[from] CommitError),
}

/// Why the lists of others are not known.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("the lists of other control planes cannot be read")]
    Range(#[from] RangeError),
    #[error("a list of another control plane makes no sense")]
    Nonsense(#[from] prost::DecodeError),
    #[error("the store does not answer")]
    Late,
}

impl<S: Store> Others<S> {
    /// The proxies of `fleet`, and those that other control planes tell of in a store that is shared.
    pub(crate) fn new(store: S, fleet: Arc<Fleet>, clock: Clock, is_shared: bool) -> Self {
        Self {
            store,
            fleet,
            clock,
            name: is_shared.then(|| fastrand::u64(..)),
            health: Mutex::default(),
        }
    }

    /// The proxies of this control plane.
    pub(crate) const fn own(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// How the store is; `None` if nobody shares it.
    pub(crate) fn health(&self) -> Option<StoreHealth> {
        self.name.map(|_| self.lock().clone())
    }

    /// Tells the others of this control plane's proxies until `stop` is cancelled.
    pub(crate) async fn tell(&self, stop: CancellationToken) {
        let Some(name) = self.name else { return };
        let telling = async {
            loop {
                let error = match self.store.grant(FLEET_LEASE).await {
                    Ok(lease) => self.tell_under(name, lease, &stop).await,
                    Err(error) => Err(error.into()),
                };
                match error {
                    // It stopped, or the lease ended and the list with it.
                    Ok(()) => {}
                    Err(error) => self.failed(&error),
                }
                sleep(STORE_RETRY_PAUSE).await;
            }
        };
        stop.run_until_cancelled(telling).await;
    }

    async fn tell_under(
        &self,
        name: u64,
        lease: LeaseId,
        stop: &CancellationToken,
    ) -> Result<(), Untold> {
        let mut before = 0;
        while !stop.is_cancelled() {
            let lists = self.lists();
            let now = lists.len();
            let began = self.clock.mono();
            for (place, list) in lists.into_iter().enumerate() {
                let txn = Txn::new().put_leased(&key(name, place), list, lease);
                self.store.txn(txn).await?;
            }
            for place in now..before {
                let txn = Txn::new().delete(&key(name, place));
                self.store.txn(txn).await?;
            }
            before = now;
            self.worked(self.clock.mono().since(began));
            let changed = self.fleet.changed.notified();
            if let Some(Ok(())) = stop.run_until_cancelled(timeout(FLEET_TELL, changed)).await {
                // What happens at the same time is told together.
                sleep(FLEET_SETTLE_TIME).await;
            }
            match self.store.keep_alive(lease).await {
                Ok(()) => {}
                Err(LeaseError::Ended) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.store.revoke(lease).await?;
        Ok(())
    }

    /// This control plane's proxies, in parts that fit a value of the store.
    fn lists(&self) -> Vec<Bytes> {
        let mut lists = vec![v1::ListProxiesResponse::default()];
        let mut bytes = 0_usize;
        for proxy in self.fleet.list() {
            let proxy = v1::ProxyInfo::from(&proxy);
            let size = proxy.encoded_len().saturating_add(FRAME_BYTES);
            bytes = bytes.saturating_add(size);
            if bytes > FLEET_LIST_BYTES {
                if lists.len() >= FLEET_LISTS {
                    break;
                }
                bytes = size;
                lists.push(v1::ListProxiesResponse::default());
            }
            if let Some(list) = lists.last_mut() {
                list.proxies.push(proxy);
            }
        }
        lists
            .iter()
            .map(|list| list.encode_to_vec().into())
            .collect()
    }

    /// The proxies of all control planes.
    pub(crate) async fn everybody(&self) -> Everybody {
        let own = self.fleet.list();
        let own = own.iter().map(v1::ProxyInfo::from);
        let others = match self.name {
            Some(name) => timeout(FLEET_READ_TIME, self.read(name))
                .await
                .unwrap_or(Err(Unread::Late)),
            None => Ok(Vec::new()),
        };
        let is_partial = others.is_err();
        let others = others.unwrap_or_else(|error| {
            let error = with_causes(&error);
            warn!(error, "only the proxies of this control plane are known");
            Vec::new()
        });
        let mut proxies: BTreeMap<String, (bool, v1::ProxyInfo)> = BTreeMap::new();
        let all = own.map(|it| (true, it));
        for (is_own, proxy) in all.chain(others.into_iter().map(|it| (false, it))) {
            let rank =
                |is_own: bool, it: &v1::ProxyInfo| (it.connected, is_own, it.connected_at_unix_ms);
            let better = proxies
                .get(&proxy.id)
                .is_none_or(|(was_own, known)| rank(is_own, &proxy) > rank(*was_own, known));
            if better {
                proxies.insert(proxy.id.clone(), (is_own, proxy));
            }
        }
        Everybody {
            proxies: proxies.into_values().map(|(_, proxy)| proxy).collect(),
            is_partial,
        }
    }

    async fn read(&self, own: u64) -> Result<Vec<v1::ProxyInfo>, Unread> {
        let mut proxies = Vec::new();
        let mut request = Some(RangeRequest::new(Key::fleets()));
        while let Some(asked) = request {
            let page = self.store.range(asked.clone()).await?;
            for entry in &page.entries {
                let is_own =
                    matches!(Key::decode(&entry.key), Ok(Key::Fleet(name, _)) if name == own);
                // One that no lease ends is of nobody.
                if is_own || entry.lease.is_none() {
                    continue;
                }
                let list = v1::ListProxiesResponse::decode(entry.value.clone())?;
                proxies.extend(list.proxies);
            }
            request = asked.after(&page);
        }
        Ok(proxies)
    }

    fn worked(&self, write_time: Duration) {
        *self.lock() = StoreHealth {
            trouble: String::new(),
            write_time,
        };
    }

    fn failed(&self, error: &Untold) {
        let text = with_causes(error);
        let mut health = self.lock();
        if health.trouble.is_empty() {
            warn!(
                error = text,
                "the store takes no list of proxies; trying again"
            );
        }
        health.trouble = text;
    }

    fn lock(&self) -> MutexGuard<'_, StoreHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(name: u64, place: usize) -> crate::store::StoreKey {
    Key::Fleet(name, u16::try_from(place).unwrap_or(u16::MAX)).encode()
}

#[cfg(test)]
mod tests {
    use agix_core::id::{ProxyId, Revision};
    use agix_core::sync::{Hello, PolicyHash, Version};
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::store::Memory;

    fn hello(id: &str) -> Hello {
        Hello {
            proxy: ProxyId::new(id).unwrap(),
            incarnation: 1,
            version: "1".to_owned(),
            address: "127.0.0.1:8080".to_owned(),
            applied: None,
        }
    }

    fn plane(store: &Memory) -> (Arc<Others<Memory>>, Arc<Fleet>) {
        let clock = Clock::start();
        let fleet = Fleet::new(clock);
        let others = Others::new(store.clone(), Arc::clone(&fleet), clock, true);
        (Arc::new(others), fleet)
    }

    /// The proxies that are seen, with their revisions, as soon as they are `expected`.
    async fn seen(others: &Others<Memory>, expected: &[(&str, bool, u64)]) {
        loop {
            let everybody = others.everybody().await;
            assert!(!everybody.is_partial);
            let seen: Vec<_> = everybody
                .proxies
                .iter()
                .map(|it| (it.id.as_str(), it.connected, it.applied_revision))
                .collect();
            if seen == expected {
                return;
            }
            // Lets the clock of the test go on.
            sleep(FLEET_SETTLE_TIME).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_control_plane_sees_the_proxies_of_all_and_forgets_those_of_one_that_is_gone() {
        let store = Memory::default();
        let (one, here) = plane(&store);
        let (two, there) = plane(&store);
        let tasks = TaskTracker::new();
        let (stop, stop_two) = (CancellationToken::new(), CancellationToken::new());
        for (others, stop) in [(&one, &stop), (&two, &stop_two)] {
            let (others, stop) = (Arc::clone(others), stop.clone());
            tasks.spawn(async move { others.tell(stop).await });
        }
        let a = here.connect(&hello("a"));
        let b = there.connect(&hello("b"));
        b.applied(Version {
            revision: Revision::new(7),
            hash: PolicyHash::from_bytes([7; 32]),
        });
        for others in [&one, &two] {
            seen(others, &[("a", true, 0), ("b", true, 7)]).await;
        }
        // A proxy that goes over to another control plane is there once.
        let moved = here.connect(&hello("b"));
        drop(b);
        for others in [&one, &two] {
            seen(others, &[("a", true, 0), ("b", true, 0)]).await;
        }
        drop((a, moved));
        let _c = there.connect(&hello("c"));
        seen(&one, &[("a", false, 0), ("b", false, 0), ("c", true, 0)]).await;
        stop_two.cancel();
        seen(&one, &[("a", false, 0), ("b", false, 0)]).await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_large_fleet_is_told_of_in_parts() {
        let (others, fleet) = plane(&Memory::default());
        let count = 2 * FLEET_LIST_BYTES / 40;
        let seats: Vec<_> = (0..count.min(agix_core::limits::FLEET_PROXIES))
            .map(|number| fleet.connect(&hello(&format!("proxy-{number}"))))
            .collect();
        let lists = others.lists();
        assert!(lists.len() > 1);
        let decoded = lists.into_iter().map(|list| {
            assert!(list.len() <= FLEET_LIST_BYTES, "{}", list.len());
            v1::ListProxiesResponse::decode(list).unwrap().proxies.len()
        });
        assert_eq!(decoded.sum::<usize>(), seats.len());
    }
}
