//! The members of the cluster: one is asked for as long as it answers, then the next.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agix_core::limits::{ETCD_CONNECT_TIME, ETCD_KEEPALIVE, ETCD_KEEPALIVE_TIME};
use etcd_client::{Client, ConnectOptions};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tracing::warn;

use super::address::{EtcdAddress, UnreadTls};
use super::answer::{EtcdFailure, Trouble};

/// All endpoints of a cluster.
pub(super) struct Endpoints {
    list: Vec<Endpoint>,
    options: ConnectOptions,
    /// The place in the list of the one that is asked.
    current: AtomicUsize,
}

struct Endpoint {
    url: String,
    client: OnceCell<Client>,
}

/// Why an etcd store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenEtcdError {
    /// No endpoint answers, or none lets us in.
    #[error("the etcd store cannot be reached")]
    Unreachable(#[source] EtcdFailure),
    /// What TLS needs cannot be read.
    #[error(transparent)]
    Tls(#[from] UnreadTls),
}

/// After what another endpoint is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AskOn {
    /// After anything but an answer.
    Unanswered,
    /// Only if the request did not leave this process.
    Unreached,
}

impl Endpoints {
    /// The endpoints of an address. Nothing is connected yet.
    pub(super) async fn new(address: &EtcdAddress) -> Result<Self, OpenEtcdError> {
        let mut options = ConnectOptions::new()
            .with_keep_alive(ETCD_KEEPALIVE, ETCD_KEEPALIVE_TIME)
            .with_keep_alive_while_idle(true)
            .with_connect_timeout(ETCD_CONNECT_TIME)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        let access = &address.access;
        if let Some((user, password)) = &access.user {
            options = options.with_user(user.clone(), password.clone());
        }
        if let Some(tls) = address.tls().await? {
            options = options.with_tls(tls);
        }
        let endpoint = |url: &String| Endpoint {
            url: url.clone(),
            client: OnceCell::new(),
        };
        Ok(Self {
            list: address.endpoints.iter().map(endpoint).collect(),
            options,
            current: AtomicUsize::new(0),
        })
    }

    /// Asks what may be asked twice: of every endpoint until one answers, each for `within`.
    pub(super) async fn read<T, F>(
        &self,
        within: Duration,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        Box::pin(self.ask(AskOn::Unanswered, within, ask)).await
    }

    /// Asks for a change: of one endpoint, and of the next only if nothing was sent.
    pub(super) async fn write<T, F>(
        &self,
        within: Duration,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        Box::pin(self.ask(AskOn::Unreached, within, ask)).await
    }

    async fn ask<T, F>(
        &self,
        ask_on: AskOn,
        within: Duration,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let first = self.current.load(Ordering::Relaxed);
        let places = (first..self.list.len()).chain(0..first);
        let mut last = Trouble::Unreached(EtcdFailure::Malformed);
        for place in places {
            let Some(endpoint) = self.list.get(place) else {
                continue;
            };
            let trouble = match endpoint.ask(&self.options, within, &ask).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Unreached(_) => self.leave(place),
                Trouble::Unanswered(_) => {
                    self.leave(place);
                    if ask_on == AskOn::Unreached {
                        return Err(trouble);
                    }
                }
                _ => return Err(trouble),
            }
            last = trouble;
        }
        Err(last)
    }

    /// Asks the endpoint after `place` from now on, unless somebody else went on already.
    fn leave(&self, place: usize) {
        let next = place.saturating_add(1);
        let next = if next < self.list.len() { next } else { 0 };
        let (set, unless) = (Ordering::Relaxed, Ordering::Relaxed);
        // Who loses this race finds an endpoint that somebody else chose.
        if self
            .current
            .compare_exchange(place, next, set, unless)
            .is_ok()
        {
            let next = self.list.get(next).map(|endpoint| endpoint.url.as_str());
            warn!(
                next,
                "an endpoint of etcd does not answer; the next one is asked"
            );
        }
    }
}

impl Endpoint {
    async fn ask<T, F>(
        &self,
        options: &ConnectOptions,
        within: Duration,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let connect = || Client::connect([&self.url], Some(options.clone()));
        // With a user, connecting asks for a token; without, it sends nothing.
        let client = match timeout(within, self.client.get_or_try_init(connect)).await {
            Ok(Ok(client)) => client.clone(),
            Ok(Err(error)) => return Err(unreached(Trouble::of(&self.url, error))),
            Err(_late) => return Err(unreached(Trouble::silent(&self.url, within))),
        };
        match timeout(within, ask(client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Trouble::of(&self.url, error)),
            Err(_late) => Err(Trouble::silent(&self.url, within)),
        }
    }
}

/// What went wrong before the request itself was sent.
fn unreached(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused(failure) => Trouble::Refused(failure),
        other => Trouble::Unreached(other.into_failure()),
    }
}

impl fmt::Debug for Endpoints {
    /// Without the options, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.list.iter().map(|endpoint| &endpoint.url);
        f.debug_list().entries(urls).finish()
    }
}
