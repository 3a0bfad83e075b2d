//! Where an etcd cluster is and how it lets us in: `http://a:2379,http://b:2379[/prefix]`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use agix_core::limits::{ETCD_ENDPOINTS, ETCD_PREFIX_BYTES};
use etcd_client::{Certificate, Identity, TlsOptions};
use tonic::transport::Endpoint;

/// What keys begin with if the address does not say.
const PREFIX: &str = "agix";

/// An etcd cluster, and the part of it that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdAddress {
    /// The members to ask, as URLs without a path.
    pub(super) endpoints: Vec<String>,
    prefix: String,
    /// How to get in.
    pub access: EtcdAccess,
}

/// What a cluster asks for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct EtcdAccess {
    /// Name and password.
    pub user: Option<(String, String)>,
    /// The file with the certificates that vouch for the cluster, for `https`.
    pub ca: Option<PathBuf>,
    /// The files with our certificate and its key, if the cluster asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why a text is not the address of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEtcdAddress {
    /// No endpoints.
    #[error("`etcd` needs endpoints: `etcd:http://a:2379,http://b:2379`")]
    NoEndpoint,
    /// Too many of them.
    #[error("an etcd store has at most {ETCD_ENDPOINTS} endpoints")]
    TooMany,
    /// One that is no URL.
    #[error("`{0}` is not an endpoint of etcd; write `http://HOST:PORT` or `https://HOST:PORT`")]
    NotAnEndpoint(String),
    /// Plain and TLS together.
    #[error("the endpoints of an etcd store are all `http` or all `https`")]
    Mixed,
    /// A name or password where everybody sees it.
    #[error("the user of etcd does not belong into its address; use --etcd-user")]
    User,
    /// A prefix that would not work.
    #[error("`{0}` is not a prefix: it has 1 to {ETCD_PREFIX_BYTES} letters, digits and `-_./`")]
    Prefix(String),
}

/// Why a file for TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnreadTls {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing says whom to trust.
    #[error("an etcd store by `https` needs --etcd-ca, the file with the certificates to trust")]
    NoCa,
    /// Certificates for a cluster without TLS.
    #[error("--etcd-ca and --etcd-cert need endpoints that begin with `https://`")]
    NotTls,
}

impl EtcdAddress {
    /// What every key begins with.
    pub(super) fn key_prefix(&self) -> Vec<u8> {
        format!("/{}/", self.prefix).into_bytes()
    }

    fn is_tls(&self) -> bool {
        self.endpoints.iter().any(|url| url.starts_with("https://"))
    }

    /// What TLS needs, if the endpoints ask for it.
    pub(super) async fn tls(&self) -> Result<Option<TlsOptions>, UnreadTls> {
        let EtcdAccess {
            user: _,
            ca,
            identity,
        } = &self.access;
        if !self.is_tls() {
            return match (ca, identity) {
                (None, None) => Ok(None),
                _ => Err(UnreadTls::NotTls),
            };
        }
        let ca = read(ca.as_deref().ok_or(UnreadTls::NoCa)?).await?;
        let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(
                read(certificate).await?,
                read(key).await?,
            ));
        }
        Ok(Some(tls))
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, UnreadTls> {
    let file = path.to_owned();
    // A file of a few kilobytes, once at the start.
    let read = tokio::task::spawn_blocking(move || std::fs::read(file)).await;
    read.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|source| UnreadTls::File {
            path: path.to_owned(),
            source,
        })
}

impl FromStr for EtcdAddress {
    type Err = InvalidEtcdAddress;

    fn from_str(text: &str) -> Result<Self, InvalidEtcdAddress> {
        let scheme_ends = text.rfind("://").map_or(0, |at| at.saturating_add(3));
        let (list, prefix) = match text.get(scheme_ends..).and_then(|rest| rest.find('/')) {
            Some(at) => text.split_at(scheme_ends.saturating_add(at)),
            None => (text, ""),
        };
        let prefix = match prefix.trim_matches('/') {
            "" => PREFIX,
            prefix => prefix,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if prefix.len() > ETCD_PREFIX_BYTES || !prefix.chars().all(fits) {
            return Err(InvalidEtcdAddress::Prefix(prefix.to_owned()));
        }
        if list.is_empty() {
            return Err(InvalidEtcdAddress::NoEndpoint);
        }
        let endpoints: Vec<_> = list.split(',').map(str::to_owned).collect();
        if endpoints.len() > ETCD_ENDPOINTS {
            return Err(InvalidEtcdAddress::TooMany);
        }
        for endpoint in &endpoints {
            check(endpoint)?;
        }
        let tls = endpoints.iter().filter(|url| url.starts_with("https://"));
        match tls.count() {
            0 => {}
            count if count == endpoints.len() => {}
            _ => return Err(InvalidEtcdAddress::Mixed),
        }
        Ok(Self {
            endpoints,
            prefix: prefix.to_owned(),
            access: EtcdAccess::default(),
        })
    }
}

fn check(endpoint: &str) -> Result<(), InvalidEtcdAddress> {
    let wrong = || InvalidEtcdAddress::NotAnEndpoint(endpoint.to_owned());
    let rest = endpoint
        .strip_prefix("http://")
        .or_else(|| endpoint.strip_prefix("https://"))
        .ok_or_else(wrong)?;
    if rest.contains('@') {
        return Err(InvalidEtcdAddress::User);
    }
    if rest.is_empty() || rest.contains(['/', '?', '#']) {
        return Err(wrong());
    }
    match Endpoint::from_shared(endpoint.to_owned()) {
        Ok(_) => Ok(()),
        Err(_) => Err(wrong()),
    }
}

impl fmt::Display for EtcdAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoints.join(","), self.prefix)
    }
}

impl fmt::Debug for EtcdAccess {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, ca, identity } = self;
        f.debug_struct("EtcdAccess")
            .field("user", &user.as_ref().map(|(name, _)| name))
            .field("ca", ca)
            .field("identity", identity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let address = text.parse::<EtcdAddress>();
        address
            .map(|address| address.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn endpoints_and_a_prefix_are_read_as_they_are_printed() {
        for text in [
            "http://a:2379/agix",
            "http://a:2379,http://b:2379,http://[::1]:2379/agix/eu",
            "https://a:2379,https://b:2379/x",
        ] {
            assert_eq!(parsed(text).unwrap(), text);
        }
        assert_eq!(parsed("http://a:2379").unwrap(), "http://a:2379/agix");
        assert_eq!(parsed("http://a:2379/").unwrap(), "http://a:2379/agix");
    }

    #[test]
    fn what_is_no_address_is_refused_and_says_why() {
        for (text, told) in [
            ("", "needs endpoints"),
            ("a:2379", "not an endpoint"),
            ("http://a:2379,b:2379", "not an endpoint"),
            ("http://a:2379/x,http://b:2379", "not an endpoint"),
            ("http://", "not an endpoint"),
            ("http://a:2379,https://b:2379", "all `http` or all"),
            ("http://me:secret@a:2379", "--etcd-user"),
            ("http://a:2379/x y", "not a prefix"),
        ] {
            let refused = parsed(text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let access = EtcdAccess {
            user: Some(("me".to_owned(), "secret".to_owned())),
            ..EtcdAccess::default()
        };
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[tokio::test]
    async fn tls_needs_somebody_to_trust_and_plain_takes_no_certificates() {
        let mut address: EtcdAddress = "https://a:2379".parse().unwrap();
        assert!(matches!(address.tls().await, Err(UnreadTls::NoCa)));
        address.access.ca = Some("/does/not/exist".into());
        assert!(matches!(address.tls().await, Err(UnreadTls::File { .. })));
        let mut address: EtcdAddress = "http://a:2379".parse().unwrap();
        assert!(matches!(address.tls().await, Ok(None)));
        address.access.ca = Some("/does/not/exist".into());
        assert!(matches!(address.tls().await, Err(UnreadTls::NotTls)));
    }
}
