//! A stream to a control plane: how it is opened, said something on and heard.
//!
//! Rules this module keeps:
//! - The control planes an operator named are asked in turn, and so are the addresses of a name. One
//!   that hangs or is gone costs one try.
//! - Whoever is not the owner of what is asked for names the owner, and that one is asked at once. A
//!   second name is not followed.

use std::io;
use std::net::SocketAddr;

use agix_core::limits::{
    CONTROL_CONNECT_TIME, CONTROL_KEEPALIVE, CONTROL_KEEPALIVE_TIME, CONTROL_OPEN_TIME,
};
pub(crate) use agix_proto::bearer::Channel;
use agix_proto::bearer::Cleartext;
use agix_proto::convert::InvalidMessage;
use agix_proto::tls::{Credentials, explain};
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::codegen::http::Uri;
use tonic::transport::{self, Endpoint};
use tonic::{Code, Status, Streaming};

/// Where a control plane listens if its address does not say.
const DEFAULT_PORT: u16 = 80;
/// And where if it is one with TLS.
const DEFAULT_TLS_PORT: u16 = 443;

/// An open stream on which the proxy says `S` and hears `H`.
#[derive(Debug)]
pub(crate) struct Line<S, H> {
    say: mpsc::Sender<S>,
    hear: Streaming<H>,
}

/// Why there is no stream, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The address is not one.
    #[error(
        "`{address}` is not an address of a control plane; write http://HOST:PORT or https://HOST:PORT"
    )]
    Address { address: String },
    /// The join token would be sent where others can read it.
    #[error(transparent)]
    Cleartext(#[from] Cleartext),
    /// Nobody answers there, or not as it has to.
    #[error("cannot connect to {address}{}", advice(.cause))]
    Connect {
        address: String,
        #[source]
        cause: transport::Error,
    },
    /// The certificates cannot be used there.
    #[error("TLS cannot be spoken with {address}; give --ca")]
    Tls {
        address: String,
        #[source]
        cause: transport::Error,
    },
    /// Nobody knows the name.
    #[error("cannot find {address}")]
    Unknown {
        address: String,
        #[source]
        cause: io::Error,
    },
    /// Somebody is there and says nothing.
    #[error("{address} does not answer")]
    Hangs { address: String },
    /// The control plane ended the stream and said why.
    #[error("the control plane ended the stream: {message} ({code:?})")]
    Refused {
        code: Code,
        message: String,
        /// Whom to ask instead.
        owner: Option<String>,
    },
    /// The stream ended.
    #[error("the control plane ended the stream")]
    Ended,
    /// What came makes no sense.
    #[error("the control plane sent a message that makes no sense")]
    Nonsense(#[source] InvalidMessage),
    /// The control plane does not read what the proxy says.
    #[error("the control plane does not read what the proxy says")]
    NotRead,
}

/// The control planes an operator named, and what the proxy shows them.
#[derive(Debug, Clone, Default)]
pub struct ControlPlanes {
    /// Their addresses, `http://127.0.0.1:7070`, tried in turn. None: the proxy lives on its
    /// snapshot.
    pub addresses: Vec<String>,
    /// The join token, if they ask for one, and certificates.
    pub credentials: Credentials,
}

/// Which control plane is asked next.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    address: String,
    credentials: Credentials,
    /// Counts how often that one was asked: if its name has several addresses, each has its turn.
    round: u64,
}

impl Turn {
    /// The one of `endpoints` that the try numbered `attempt` goes to; `None` if there are none.
    pub(crate) fn of(attempt: u64, endpoints: &ControlPlanes) -> Option<Self> {
        let ControlPlanes {
            addresses,
            credentials,
        } = endpoints;
        let count = u64::try_from(addresses.len()).ok()?;
        let place = usize::try_from(attempt.checked_rem(count)?).ok()?;
        Some(Self {
            address: addresses.get(place)?.clone(),
            credentials: credentials.clone(),
            round: attempt.checked_div(count)?,
        })
    }

    /// Opens something at this control plane, or at the one that it names as the owner. Whom that
    /// one names is not asked: they may be changing, and the next try finds out. A control plane
    /// that hangs is given up after [`CONTROL_OPEN_TIME`].
    pub(crate) async fn open<T, F>(self, open: impl Fn(Channel) -> F) -> Result<T, LineError>
    where
        F: Future<Output = Result<T, LineError>>,
    {
        let Self {
            address,
            credentials,
            round,
        } = self;
        match open_at(&address, round, &credentials, &open).await {
            Err(LineError::Refused {
                owner: Some(owner), ..
            }) => {
                let owner = redirected(&address, owner)?;
                open_at(&owner, round, &credentials, &open).await
            }
            answer => answer,
        }
    }
}

async fn open_at<T, F>(
    address: &str,
    round: u64,
    credentials: &Credentials,
    open: &impl Fn(Channel) -> F,
) -> Result<T, LineError>
where
    F: Future<Output = Result<T, LineError>>,
{
    let opened = timeout(CONTROL_OPEN_TIME, async {
        open(connect(address, round, credentials).await?).await
    });
    opened.await.unwrap_or_else(|_late| {
        Err(LineError::Hangs {
            address: address.to_owned(),
        })
    })
}

/// Connects to a control plane. Of the addresses that its name has, the one whose turn it is comes
/// first.
async fn connect(
    address: &str,
    round: u64,
    credentials: &Credentials,
) -> Result<Channel, LineError> {
    let endpoint = endpoint(address)?;
    credentials.bearer.may_go_to(endpoint.uri())?;
    let (host, port) = authority(&endpoint);
    let found: Vec<SocketAddr> = match lookup_host((host.as_str(), port)).await {
        Ok(found) => found.collect(),
        Err(cause) => {
            let address = address.to_owned();
            return Err(LineError::Unknown { address, cause });
        }
    };
    let mut last = None;
    for place in in_turn(found, round) {
        let scheme = endpoint.uri().scheme_str().unwrap_or_default();
        let there = Endpoint::from_shared(format!("{scheme}://{place}"));
        let Ok(there) = there.map(|it| with_bounds(it).origin(endpoint.uri().clone())) else {
            continue;
        };
        let there = secured(there, endpoint.uri(), credentials)?;
        match there.connect().await {
            Ok(channel) => return Ok(credentials.bearer.on(channel)),
            Err(cause) => last = Some(cause),
        }
    }
    let address = address.to_owned();
    Err(match last {
        Some(cause) => LineError::Connect { address, cause },
        None => LineError::Address { address },
    })
}

/// A channel to a control plane that connects when it is used, and again after it was lost.
pub(crate) fn lazily(address: &str, credentials: &Credentials) -> Result<Channel, LineError> {
    let endpoint = endpoint(address)?;
    credentials.bearer.may_go_to(endpoint.uri())?;
    let uri = endpoint.uri().clone();
    let endpoint = secured(with_bounds(endpoint), &uri, credentials)?;
    Ok(credentials.bearer.on(endpoint.connect_lazy()))
}

/// The endpoint with TLS, if the address that was asked for says so.
fn secured(endpoint: Endpoint, named: &Uri, with: &Credentials) -> Result<Endpoint, LineError> {
    let secured = with.tls.on(endpoint, named);
    secured.map_err(|cause| LineError::Tls {
        address: named.to_string(),
        cause,
    })
}

/// What helps against an error of a connection, behind what it is.
fn advice(cause: &transport::Error) -> String {
    explain(cause).map_or_else(String::new, |advice| format!(": {advice}"))
}

/// Where to go when `asked` names another. A control plane can name whom it likes, but not in a
/// protocol other than its own.
pub(crate) fn redirected(asked: &str, named: String) -> Result<String, LineError> {
    let asked = endpoint(asked)?;
    match endpoint(&named) {
        Ok(there) if there.uri().scheme() == asked.uri().scheme() => Ok(named),
        Ok(_) | Err(_) => Err(LineError::Address { address: named }),
    }
}

/// The addresses, beginning with the one whose turn it is.
fn in_turn<T>(mut addresses: Vec<T>, round: u64) -> Vec<T> {
    let count = u64::try_from(addresses.len()).unwrap_or(u64::MAX);
    let first = usize::try_from(round.checked_rem(count).unwrap_or(0)).unwrap_or(0);
    addresses.rotate_left(first);
    addresses
}

fn endpoint(address: &str) -> Result<Endpoint, LineError> {
    match Endpoint::from_shared(address.to_owned()) {
        Ok(endpoint) if is_address(endpoint.uri()) => Ok(endpoint),
        Ok(_) | Err(_) => Err(LineError::Address {
            address: address.to_owned(),
        }),
    }
}

fn is_address(uri: &Uri) -> bool {
    uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
}

fn authority(endpoint: &Endpoint) -> (String, u16) {
    let uri = endpoint.uri();
    let host = uri.host().unwrap_or_default();
    // An IPv6 address has brackets in a URL only.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let default = match uri.scheme_str() {
        Some("https") => DEFAULT_TLS_PORT,
        _ => DEFAULT_PORT,
    };
    (host.to_owned(), uri.port_u16().unwrap_or(default))
}

fn with_bounds(endpoint: Endpoint) -> Endpoint {
    endpoint
        .tcp_nodelay(true)
        .connect_timeout(CONTROL_CONNECT_TIME)
        .http2_keep_alive_interval(CONTROL_KEEPALIVE)
        .keep_alive_timeout(CONTROL_KEEPALIVE_TIME)
        .keep_alive_while_idle(true)
}

/// Whom a control plane names as the owner of what it was asked for.
pub(crate) fn owner(status: &Status) -> Option<String> {
    let owner = status.metadata().get(agix_proto::OWNER)?;
    owner.to_str().ok().map(str::to_owned)
}

impl ControlPlanes {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}

impl From<Vec<String>> for ControlPlanes {
    fn from(addresses: Vec<String>) -> Self {
        Self {
            addresses,
            credentials: Credentials::default(),
        }
    }
}

impl<S, H> Line<S, H> {
    pub(crate) const fn new(say: mpsc::Sender<S>, hear: Streaming<H>) -> Self {
        Self { say, hear }
    }

    /// What the control plane says next. Loses nothing when it is dropped before it is done.
    pub(crate) async fn next<M>(&mut self) -> Result<M, LineError>
    where
        M: TryFrom<H, Error = InvalidMessage>,
    {
        let message = self.hear.message().await?.ok_or(LineError::Ended)?;
        M::try_from(message).map_err(LineError::Nonsense)
    }

    /// Says something to the control plane.
    pub(crate) fn say<'a, M>(&self, message: &'a M) -> Result<(), LineError>
    where
        S: From<&'a M>,
    {
        let sent = self.say.try_send(S::from(message));
        sent.map_err(|_full| LineError::NotRead)
    }

    /// Says nothing more, and waits until the control plane has ended the stream, too.
    pub(crate) async fn hang_up(self) {
        let Self { say, mut hear } = self;
        drop(say);
        while let Ok(Some(_rest)) = hear.message().await {}
    }
}

impl From<Status> for LineError {
    fn from(status: Status) -> Self {
        Self::Refused {
            code: status.code(),
            owner: owner(&status),
            message: status.message().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn named(owner: Option<&str>) -> LineError {
        LineError::Refused {
            code: Code::Unavailable,
            message: "not here".to_owned(),
            owner: owner.map(str::to_owned),
        }
    }

    /// Somebody who lets others connect and says nothing.
    async fn silent() -> (tokio::net::TcpListener, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        (listener, address)
    }

    #[test]
    fn control_planes_have_their_turn_and_so_do_the_addresses_of_each() {
        let endpoints = vec!["a".to_owned(), "b".to_owned()].into();
        let turns = (0..5).map(|attempt| Turn::of(attempt, &endpoints).unwrap());
        let turns: Vec<_> = turns.map(|it| (it.address, it.round)).collect();
        let expected = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)];
        assert_eq!(turns, expected.map(|(it, round)| (it.to_owned(), round)));
        assert!(Turn::of(0, &ControlPlanes::default()).is_none());
        assert_eq!(in_turn(vec![1, 2, 3], 4), [2, 3, 1]);
        assert!(in_turn(Vec::<u8>::new(), 4).is_empty());
    }

    #[tokio::test]
    async fn the_owner_that_is_named_is_asked_and_whom_it_names_is_not() {
        let (_first, first) = silent().await;
        let (_second, second) = silent().await;
        let asked = Mutex::new(0);
        let turn = Turn::of(0, &vec![first].into()).unwrap();
        let answer = turn.open(|_channel| {
            *asked.lock().unwrap() += 1;
            let error = named(Some(&second));
            async { Err::<(), _>(error) }
        });
        assert!(matches!(answer.await, Err(LineError::Refused { .. })));
        assert_eq!(asked.into_inner().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_control_plane_that_hangs_is_given_up() {
        let (_listener, address) = silent().await;
        let turn = Turn::of(0, &vec![address.clone()].into()).unwrap();
        let answer = turn.open(|_channel| std::future::pending::<Result<(), _>>());
        let given_up = answer.await.unwrap_err();
        assert!(matches!(given_up, LineError::Hangs { address: it } if it == address));
    }

    #[test]
    fn nobody_is_sent_to_what_is_no_address_or_to_another_protocol() {
        let asked = "https://a:1";
        assert_eq!(
            redirected(asked, "https://b:2".to_owned()).unwrap(),
            "https://b:2"
        );
        for named in ["http://b:2", "b", "", "file:///etc/passwd"] {
            assert!(redirected(asked, named.to_owned()).is_err(), "{named}");
        }
    }
}
