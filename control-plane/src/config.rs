//! What a control plane is started with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use agix_proto::tls::ServerFiles;

use crate::seal::SealKeys;
use crate::store::{EtcdAddress, InvalidEtcdAddress};

/// Settings of one control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the gRPC services listen. Port 0 takes a free port; see [`crate::Running::address`].
    pub listen: SocketAddr,
    /// Where the web console listens; none: there is none. Port 0 takes a free port; see
    /// [`crate::Running::console`].
    pub http: Option<SocketAddr>,
    /// Where `/livez`, `/readyz` and `/metrics` are; none: nowhere. Port 0 takes a free port; see
    /// [`crate::Running::admin`].
    pub admin: Option<SocketAddr>,
    /// Where others reach this control plane, `http://HOST:PORT` or `https://HOST:PORT`; absent:
    /// where it listens.
    pub advertise: Option<Advertised>,
    /// Where policy and history are kept.
    pub store: StoreSpec,
    /// What seals secrets there.
    pub seal: SealSource,
    /// The files of the certificate its ports show, and of those that vouch for clients; none: they
    /// are not encrypted.
    pub tls: Option<ServerFiles>,
    /// The file of the tokens that callers are asked for; none: everybody may call.
    pub tokens: Option<PathBuf>,
}

/// Where the key comes from that seals secrets in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealSource {
    /// It was given.
    Keys(SealKeys),
    /// The store's own: in a file beside an embedded store, made when it is missing; none in
    /// memory; etcd has none, and is not started on.
    Own,
    /// There is none: who reads the store reads the secrets.
    Unsealed,
}

/// How an address begins where nothing is encrypted.
const HTTP: &str = "http://";
/// How it begins where TLS is spoken.
const HTTPS: &str = "https://";

/// Where others reach a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised(String);

/// A text that is no address of a control plane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address others can reach; write `http://HOST:PORT` or `https://HOST:PORT`"
)]
pub struct InvalidAdvertised(String);

impl Advertised {
    /// The address a control plane listens on.
    pub fn listening(address: SocketAddr, is_encrypted: bool) -> Self {
        let scheme = if is_encrypted { HTTPS } else { HTTP };
        Self(format!("{scheme}{address}"))
    }

    /// Whether TLS is spoken there.
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with(HTTPS)
    }

    /// The address as a text without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Advertised {
    type Err = InvalidAdvertised;

    fn from_str(text: &str) -> Result<Self, InvalidAdvertised> {
        let rest = text.strip_prefix(HTTP).or(text.strip_prefix(HTTPS));
        if rest.is_some_and(is_authority) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAdvertised(text.to_owned()))
        }
    }
}

/// Whether a text is `HOST:PORT`.
fn is_authority(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && host.chars().all(plain) && port.parse::<u16>().is_ok()
    })
}

/// Where a control plane keeps its data, as written after `--store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSpec {
    /// `memory`: gone when the process ends.
    Memory,
    /// `embedded:DIR`: a file in a directory of this machine, used by one process at a time.
    Embedded(PathBuf),
    /// `etcd:ENDPOINTS[/PREFIX]`: an etcd cluster that any number of control planes share.
    Etcd(EtcdAddress),
}

/// Why the text after `--store` names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStoreSpec {
    /// `etcd` with an address that is none.
    #[error(transparent)]
    Etcd(#[from] InvalidEtcdAddress),
    /// `embedded` without a directory.
    #[error("`embedded` needs a directory: `embedded:DIR`, for example `embedded:/var/lib/agix`")]
    NoDirectory,
    /// Anything else.
    #[error("`{0}` is not a store; use `embedded:DIR`, `etcd:http://HOST:PORT` or `memory`")]
    Unknown(String),
}

impl StoreSpec {
    /// The kind of store, in one word: `memory`, `embedded`, `etcd`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Embedded(_) => "embedded",
            Self::Etcd(_) => "etcd",
        }
    }
}

impl FromStr for StoreSpec {
    type Err = InvalidStoreSpec;

    fn from_str(text: &str) -> Result<Self, InvalidStoreSpec> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("memory", "") => Ok(Self::Memory),
            ("embedded", "") => Err(InvalidStoreSpec::NoDirectory),
            ("embedded", directory) => Ok(Self::Embedded(PathBuf::from(directory))),
            ("etcd", address) => Ok(Self::Etcd(address.parse()?)),
            _ => Err(InvalidStoreSpec::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Embedded(directory) => write!(f, "embedded:{}", directory.display()),
            Self::Etcd(address) => write!(f, "etcd:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_read_as_it_is_printed() {
        for text in [
            "memory",
            "embedded:/var/lib/agix",
            "embedded:relative/dir",
            "etcd:http://a:2379,http://b:2379/agix",
        ] {
            assert_eq!(text.parse::<StoreSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_advertised_is_an_address() {
        let advertised: Advertised = "http://plane-1.example:7070".parse().unwrap();
        assert_eq!(advertised.as_str(), "http://plane-1.example:7070");
        let encrypted: Advertised = "https://10.0.0.1:7070".parse().unwrap();
        assert!(encrypted.is_encrypted() && !advertised.is_encrypted());
        for wrong in [
            "plane-1:7070",
            "http://plane-1",
            "http://a b:1",
            "http://a:1/x",
            "",
        ] {
            assert!(wrong.parse::<Advertised>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_store_that_does_not_exist_is_refused_with_the_ones_that_do() {
        let refused = |text: &str| text.parse::<StoreSpec>().unwrap_err().to_string();
        assert!(refused("etcd").contains("etcd:http://a:2379"));
        assert!(refused("etcd:127.0.0.1:2379").contains("not an endpoint"));
        assert!(refused("embedded:").contains("embedded:DIR"));
        assert!(refused("redis:x").contains("`redis:x` is not a store"));
        assert!(refused("memory:x").contains("is not a store"));
    }
}
