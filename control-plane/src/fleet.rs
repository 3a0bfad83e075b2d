//! The proxies this control plane knows, from what their streams say.
//!
//! - A proxy is known by its id. When a second connection uses an id, the newer one wins: the older
//!   is ended, and the log says so if they are different processes.
//! - A proxy that left is remembered for a while, the number of those remembered is bounded.

mod others;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agix_core::id::{ProxyId, Revision};
use agix_core::limits::{FLEET_MEMORY, FLEET_PROXIES};
use agix_core::sync::{Hello, Load, NackReason, Version};
use agix_core::time::{Mono, Wall};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use others::{Everybody, Others};

use crate::clock::Clock;

/// All proxies.
#[derive(Debug)]
pub struct Fleet {
    clock: Clock,
    state: Mutex<State>,
    /// Something happened that operators wait for.
    changed: Notify,
}

/// What is known of one proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyStatus {
    /// Its identity.
    pub id: ProxyId,
    /// Differs with each start of its process.
    pub incarnation: u64,
    /// The version of its program.
    pub version: String,
    /// Where it listens.
    pub address: String,
    /// Whether it has a stream now.
    pub connected: bool,
    /// The revision it has in force; [`Revision::NONE`]: none.
    pub applied: Revision,
    /// When it acknowledged that; `None`: not to this process.
    pub applied_at: Option<Wall>,
    /// When its stream began.
    pub connected_at: Wall,
    /// When it was last heard of.
    pub last_seen: Wall,
    /// How busy it is.
    pub load: Load,
    /// The newest revision it refused.
    pub rejection: Option<Rejected>,
}

/// A revision a proxy refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The revision.
    pub revision: Revision,
    /// When.
    pub at: Wall,
    /// Why.
    pub reasons: Vec<NackReason>,
}

/// A proxy's place in the list for as long as its stream lasts. To be dropped with the stream.
#[derive(Debug)]
pub struct Seat {
    fleet: Arc<Fleet>,
    id: ProxyId,
    session: u64,
    replaced: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    proxies: BTreeMap<ProxyId, Known>,
    last_session: u64,
}

#[derive(Debug)]
struct Known {
    status: ProxyStatus,
    /// The stream that speaks for it.
    session: u64,
    replaced: CancellationToken,
    heard: Mono,
}

impl Fleet {
    /// An empty list.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// A proxy said hello on a new stream.
    pub fn connect(self: &Arc<Self>, hello: &Hello) -> Seat {
        let now = self.clock.wall();
        let mut state = self.state();
        let session = state.last_session.saturating_add(1);
        state.last_session = session;
        let before = state.proxies.remove(&hello.proxy);
        if let Some(before) = &before {
            before.give_way(hello);
        }
        if state.proxies.len() >= FLEET_PROXIES {
            self.forget(&mut state);
            state.make_room();
        }
        let replaced = CancellationToken::new();
        let known = Known {
            status: status(hello, before.map(|known| known.status), now),
            session,
            replaced: replaced.clone(),
            heard: self.clock.mono(),
        };
        state.proxies.insert(hello.proxy.clone(), known);
        self.changed.notify_one();
        info!(
            proxy = %hello.proxy,
            version = ?hello.version,
            address = ?hello.address,
            applied = %hello.applied.map_or(Revision::NONE, |version| version.revision),
            "a proxy connected"
        );
        Seat {
            fleet: Arc::clone(self),
            id: hello.proxy.clone(),
            session,
            replaced,
        }
    }

    /// All proxies, by id.
    pub fn list(&self) -> Vec<ProxyStatus> {
        let mut state = self.state();
        self.forget(&mut state);
        let known = state.proxies.values();
        known.map(|known| known.status.clone()).collect()
    }

    /// How many proxies are connected, and how many of those have `current` in force.
    pub fn count(&self, current: Revision) -> (usize, usize) {
        let state = self.state();
        let connected = || {
            state
                .proxies
                .values()
                .filter(|known| known.status.connected)
        };
        let up_to_date = connected().filter(|known| known.status.applied == current);
        (connected().count(), up_to_date.count())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets who left long ago.
    fn forget(&self, state: &mut State) {
        let now = self.clock.mono();
        state
            .proxies
            .retain(|_, known| known.status.connected || now.since(known.heard) < FLEET_MEMORY);
    }
}

impl State {
    /// Forgets whoever left first, if the list is full.
    fn make_room(&mut self) {
        while self.proxies.len() >= FLEET_PROXIES {
            let left = self
                .proxies
                .iter()
                .filter(|(_, known)| !known.status.connected);
            let Some(first) = left.min_by_key(|(_, known)| known.heard).map(|(id, _)| id) else {
                return;
            };
            let first = first.clone();
            self.proxies.remove(&first);
        }
    }
}

impl Known {
    /// Ends this stream in favour of that of `newer`.
    fn give_way(&self, newer: &Hello) {
        if !self.status.connected {
            return;
        }
        self.replaced.cancel();
        if self.status.incarnation == newer.incarnation {
            info!(proxy = %newer.proxy, "a proxy connected anew; its old stream is ended");
        } else {
            warn!(
                proxy = %newer.proxy,
                older = ?self.status.address,
                newer = ?newer.address,
                "two proxies use one id: the newer connection wins. If both are running, give \
                 each an id of its own"
            );
        }
    }
}

fn status(hello: &Hello, before: Option<ProxyStatus>, now: Wall) -> ProxyStatus {
    let applied = hello
        .applied
        .map_or(Revision::NONE, |version| version.revision);
    let before = before.filter(|before| before.incarnation == hello.incarnation);
    let (applied_at, load, rejection) = match before {
        Some(before) => (
            before.applied_at.filter(|_| before.applied == applied),
            before.load,
            before.rejection.filter(|it| it.revision > applied),
        ),
        None => (None, Load::default(), None),
    };
    ProxyStatus {
        id: hello.proxy.clone(),
        incarnation: hello.incarnation,
        version: hello.version.clone(),
        address: hello.address.clone(),
        connected: true,
        applied,
        applied_at,
        connected_at: now,
        last_seen: now,
        load,
        rejection,
    }
}

impl Seat {
    /// Cancelled when a newer connection uses the same id.
    pub const fn replaced(&self) -> &CancellationToken {
        &self.replaced
    }

    /// The proxy's id.
    pub const fn id(&self) -> &ProxyId {
        &self.id
    }

    /// The proxy gave a sign of life.
    pub fn alive(&self, load: Load) {
        self.update(|status, _| status.load = load);
    }

    /// The proxy has put `version` in force.
    pub fn applied(&self, version: Version) {
        self.update(|status, now| {
            if status.applied != version.revision {
                status.applied = version.revision;
                status.applied_at = Some(now);
            }
            let newer = |rejected: &Rejected| rejected.revision > version.revision;
            status.rejection = status.rejection.take().filter(newer);
        });
        self.fleet.changed.notify_one();
    }

    /// The proxy refused `revision`, or cannot be offered it.
    pub fn refused(&self, revision: Revision, reasons: Vec<NackReason>) {
        let first = reasons.first().map_or("", |reason| &reason.message);
        warn!(proxy = %self.id, %revision, reason = ?first, "a proxy refused a policy");
        self.update(|status, now| {
            status.rejection = Some(Rejected {
                revision,
                at: now,
                reasons,
            });
        });
        self.fleet.changed.notify_one();
    }

    /// Changes what is known, unless a newer connection speaks for the proxy now.
    fn update(&self, change: impl FnOnce(&mut ProxyStatus, Wall)) {
        let now = self.fleet.clock.wall();
        let mut state = self.fleet.state();
        if let Some(known) = state.proxies.get_mut(&self.id)
            && known.session == self.session
        {
            known.heard = self.fleet.clock.mono();
            known.status.last_seen = now;
            change(&mut known.status, now);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.update(|status, _| {
            status.connected = false;
            info!(proxy = %status.id, "a proxy disconnected");
        });
        self.fleet.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use agix_core::sync::PolicyHash;

    use super::*;

    fn version(number: u64) -> Version {
        Version {
            revision: Revision::new(number),
            hash: PolicyHash::from_bytes([7; 32]),
        }
    }

    fn hello(id: &str, incarnation: u64, applied: Option<u64>) -> Hello {
        Hello {
            proxy: ProxyId::new(id).unwrap(),
            incarnation,
            version: "1".to_owned(),
            address: "127.0.0.1:8080".to_owned(),
            applied: applied.map(version),
        }
    }

    fn reason() -> NackReason {
        NackReason {
            resource: None,
            field: String::new(),
            code: "AGX0000".to_owned(),
            message: "no".to_owned(),
            help: None,
        }
    }

    fn only(fleet: &Fleet) -> ProxyStatus {
        let mut list = fleet.list();
        assert_eq!(list.len(), 1);
        list.remove(0)
    }

    #[test]
    fn a_proxy_is_listed_with_what_it_says() {
        let fleet = Fleet::new(Clock::start());
        let seat = fleet.connect(&hello("a", 1, None));
        assert_eq!(fleet.count(Revision::new(1)), (1, 0));
        seat.applied(version(1));
        let load = Load {
            in_flight: 3,
            requests_total: 9,
        };
        seat.alive(load);
        let known = only(&fleet);
        assert!(known.connected && known.applied_at.is_some());
        assert_eq!((known.applied, known.load), (Revision::new(1), load));
        assert_eq!(fleet.count(Revision::new(1)), (1, 1));
        drop(seat);
        assert!(!only(&fleet).connected);
        assert_eq!(fleet.count(Revision::new(1)), (0, 0));
    }

    #[test]
    fn a_refusal_is_shown_until_a_later_revision_is_in_force() {
        let fleet = Fleet::new(Clock::start());
        let seat = fleet.connect(&hello("a", 1, Some(1)));
        seat.refused(Revision::new(2), vec![reason()]);
        assert_eq!(only(&fleet).rejection.unwrap().revision, Revision::new(2));
        drop(seat);
        let seat = fleet.connect(&hello("a", 1, Some(1)));
        assert!(
            only(&fleet).rejection.is_some(),
            "kept over a lost connection"
        );
        seat.applied(version(3));
        assert_eq!(only(&fleet).rejection, None);
    }

    #[test]
    fn the_time_of_an_acknowledgement_outlives_a_connection_but_not_a_process() {
        let fleet = Fleet::new(Clock::start());
        let seat = fleet.connect(&hello("a", 1, None));
        seat.applied(version(1));
        let since = only(&fleet).applied_at;
        assert!(since.is_some());
        let again = fleet.connect(&hello("a", 1, Some(1)));
        again.applied(version(1));
        assert_eq!(only(&fleet).applied_at, since);
        let _restarted = fleet.connect(&hello("a", 2, Some(1)));
        assert_eq!(only(&fleet).applied_at, None);
    }

    #[test]
    fn the_newer_of_two_connections_wins() {
        let fleet = Fleet::new(Clock::start());
        let old = fleet.connect(&hello("a", 1, Some(1)));
        let new = fleet.connect(&hello("a", 2, None));
        assert!(old.replaced().is_cancelled() && !new.replaced().is_cancelled());
        old.applied(version(5));
        drop(old);
        let known = only(&fleet);
        assert!(
            known.connected,
            "the end of the old stream is not that of the new one"
        );
        assert_eq!((known.incarnation, known.applied), (2, Revision::NONE));
    }

    #[test]
    fn the_list_is_bounded_and_keeps_who_is_connected() {
        let fleet = Fleet::new(Clock::start());
        let _kept = fleet.connect(&hello("kept", 1, None));
        for n in 0..FLEET_PROXIES + 10 {
            drop(fleet.connect(&hello(&format!("p{n}"), 1, None)));
        }
        let list = fleet.list();
        assert_eq!(list.len(), FLEET_PROXIES);
        assert!(list.iter().any(|known| known.connected));
    }
}
