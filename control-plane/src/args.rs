//! The command line and its environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use agix_control_plane::seal::{InvalidSealKeys, KeyFileError};
use agix_control_plane::{Advertised, Config, EtcdAccess, SealKeys, SealSource, StoreSpec};
use agix_proto::tls::ServerFiles;
use clap::{Parser, ValueEnum};
use tracing::warn;

/// Keeps the policy of agix and its history, and streams it to the proxies.
#[derive(Debug, Parser)]
#[command(
    name = "agix-control-plane",
    version,
    after_help = "\
Examples:
  agix-control-plane --store embedded:/var/lib/agix
  agix-control-plane --store etcd:http://a:2379,http://b:2379,http://c:2379/agix
  agix-control-plane --listen 127.0.0.1:0 --store memory    # a free port, nothing kept

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 could not start, 2 wrong usage."
)]
pub(crate) struct Args {
    /// Where the gRPC services listen; port 0 takes a free one
    #[arg(
        long,
        env = "AGIX_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7070"
    )]
    listen: SocketAddr,

    /// Where the web console listens, for example 127.0.0.1:7071
    #[arg(
        long,
        help = "Where the web console listens, for example 127.0.0.1:7071 [default: no console]",
        env = "AGIX_HTTP",
        value_name = "ADDRESS"
    )]
    http: Option<SocketAddr>,

    /// Where /livez, /readyz and /metrics are, for example 127.0.0.1:7072
    #[arg(
        long,
        help = "Where /livez, /readyz and /metrics are, for example 127.0.0.1:7072 [default: nowhere]",
        env = "AGIX_ADMIN",
        value_name = "ADDRESS"
    )]
    admin: Option<SocketAddr>,

    /// Where proxies, agixctl and other control planes reach this one [default: where it listens]
    #[arg(long, env = "AGIX_ADVERTISE", value_name = "URL")]
    advertise: Option<Advertised>,

    /// Where policy, history and ledger are kept: `embedded:DIR`, `etcd:URL,URL[/PREFIX]` or
    /// `memory`
    #[arg(long, env = "AGIX_STORE", value_name = "STORE")]
    store: StoreSpec,

    /// User of etcd; the variable keeps the password out of the list of processes
    #[arg(
        long,
        env = "AGIX_ETCD_USER",
        value_name = "NAME:PASSWORD",
        hide_env_values = true
    )]
    etcd_user: Option<String>,

    /// Certificates that vouch for an etcd reached by https, as PEM
    #[arg(long, env = "AGIX_ETCD_CA", value_name = "FILE")]
    etcd_ca: Option<PathBuf>,

    /// Our certificate for etcd, as PEM
    #[arg(
        long,
        env = "AGIX_ETCD_CERT",
        value_name = "FILE",
        requires = "etcd_key"
    )]
    etcd_cert: Option<PathBuf>,

    /// The key of that certificate, as PEM
    #[arg(
        long,
        env = "AGIX_ETCD_KEY",
        value_name = "FILE",
        requires = "etcd_cert"
    )]
    etcd_key: Option<PathBuf>,

    /// The key that seals secrets in the store, 64 hexadecimal digits, and after it old ones that
    /// still open; or give them in AGIX_SEAL_KEY
    #[arg(
        long,
        help = "File with the key that seals secrets in the store: 64 hexadecimal digits, then old \
                keys that still open; or AGIX_SEAL_KEY [default: a key of its own beside an \
                embedded store]",
        env = "AGIX_SEAL_KEY_FILE",
        value_name = "FILE"
    )]
    seal_key_file: Option<PathBuf>,

    /// Store secrets as they are: whoever reads the store, its disks and its backups has them
    #[arg(long, env = "AGIX_UNSEALED", conflicts_with = "seal_key_file")]
    unsealed: bool,

    /// File with the tokens that callers are asked for, as `agixctl token create` makes them; read
    /// again when it changes [default: everybody who reaches the address may call]
    #[arg(long, env = "AGIX_TOKENS_FILE", value_name = "FILE")]
    tokens_file: Option<PathBuf>,

    #[command(flatten)]
    tls: TlsArgs,

    /// Listen on addresses other machines can reach although what is said there is not encrypted, or
    /// nothing asks who calls
    #[arg(long, env = "AGIX_INSECURE")]
    insecure: bool,

    /// How log lines look
    #[arg(
        long,
        env = "AGIX_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,

    /// What is logged: a level or directives such as `info,agix_control_plane=debug`;
    /// RUST_LOG is read too
    #[arg(long, env = "AGIX_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// Whose certificates are shown and asked for.
#[derive(Debug, clap::Args)]
struct TlsArgs {
    /// Our certificate, as PEM, with those between it and its authority: all ports speak TLS
    #[arg(
        id = "tls_cert",
        long = "tls-cert",
        env = "AGIX_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    cert: Option<PathBuf>,

    /// The key of that certificate, as PEM
    #[arg(
        id = "tls_key",
        long = "tls-key",
        env = "AGIX_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    key: Option<PathBuf>,

    /// Certificates that vouch for proxies, agixctl and Prometheus, as PEM: whoever has no certificate
    /// signed by one is refused, except at the web console
    #[arg(
        id = "tls_client_ca",
        long = "tls-client-ca",
        env = "AGIX_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    client_ca: Option<PathBuf>,
}

impl TlsArgs {
    fn files(self) -> Option<ServerFiles> {
        let (certificate, key) = self.cert.zip(self.key)?;
        Some(ServerFiles {
            certificate,
            key,
            client_ca: self.client_ca,
        })
    }
}

/// What a port needs to which programs come.
const CERTIFICATES: &str = "--tls-cert, --tls-key and --tls-client-ca";
/// What one needs to which people come.
const CERTIFICATE_AND_TOKENS: &str = "--tls-cert, --tls-key and --tokens-file";

/// A port that others reach, and what it lacks.
#[derive(Debug)]
pub(crate) struct Open {
    address: SocketAddr,
    flag: &'static str,
    needs: &'static str,
}

/// Holds seal keys. It has no flag: a list of processes shows those.
const SEAL_KEY: &str = "AGIX_SEAL_KEY";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the settings do not go together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// A port would be open to the network.
    #[error(
        "{} can be reached from other machines, so {} needs {}; or listen on 127.0.0.1, or pass \
         --insecure if the network itself keeps others out", .0.address, .0.flag, .0.needs
    )]
    OpenToNetwork(Open),
    /// Others are sent where nobody answers.
    #[error("--advertise has to begin with https://, since TLS is spoken there (--tls-cert)")]
    AdvertisedPlain,
    /// A user without a password.
    #[error("--etcd-user is NAME:PASSWORD")]
    EtcdUser,
    /// A seal key that is none.
    #[error("--seal-key-file is of no use")]
    SealKeyFile(#[source] KeyFileError),
    /// The same, in the environment.
    #[error("{SEAL_KEY} is no seal key")]
    SealKey(#[source] InvalidSealKeys),
    /// Two ways to seal.
    #[error("{SEAL_KEY} is set: pass neither --seal-key-file nor --unsealed, or unset it")]
    SealedTwice,
    /// Settings of a store that is not used.
    #[error("--etcd-user, --etcd-ca, --etcd-cert and --etcd-key need `--store etcd:URL`")]
    NotEtcd,
}

impl Args {
    /// The settings, unless they open the control plane to the network unasked.
    pub(crate) fn config(self) -> Result<Config, Unusable> {
        for open in self.open() {
            if !self.insecure {
                return Err(Unusable::OpenToNetwork(open));
            }
            let Open {
                address,
                flag,
                needs,
            } = open;
            warn!(
                "--insecure: {flag} {address} can be reached from other machines without {needs}"
            );
        }
        let advertised = self.advertise.as_ref();
        if self.tls.cert.is_some() && advertised.is_some_and(|it| !it.is_encrypted()) {
            return Err(Unusable::AdvertisedPlain);
        }
        let seal = self.seal(std::env::var(SEAL_KEY).ok().as_deref())?;
        let access = EtcdAccess {
            user: self.etcd_user.as_deref().map(user).transpose()?,
            ca: self.etcd_ca,
            identity: self.etcd_cert.zip(self.etcd_key),
        };
        let mut store = self.store;
        match &mut store {
            StoreSpec::Etcd(address) => address.access = access,
            StoreSpec::Memory | StoreSpec::Embedded(_) if access == EtcdAccess::default() => {}
            StoreSpec::Memory | StoreSpec::Embedded(_) => return Err(Unusable::NotEtcd),
        }
        Ok(Config {
            listen: self.listen,
            http: self.http,
            admin: self.admin,
            advertise: self.advertise,
            store,
            seal,
            tokens: self.tokens_file,
            tls: self.tls.files(),
        })
    }

    /// The ports that other machines reach, and that lack what that needs.
    fn open(&self) -> impl Iterator<Item = Open> + use<> {
        let has_tls = self.tls.cert.is_some();
        let asks_programs = has_tls && self.tls.client_ca.is_some();
        let asks_visitors = has_tls && self.tokens_file.is_some();
        let open = |flag, address: Option<SocketAddr>, is_safe: bool, needs| {
            let address = address.filter(|it| !it.ip().is_loopback() && !is_safe)?;
            Some(Open {
                address,
                flag,
                needs,
            })
        };
        let ports = [
            open("--listen", Some(self.listen), asks_programs, CERTIFICATES),
            open("--http", self.http, asks_visitors, CERTIFICATE_AND_TOKENS),
            open("--admin", self.admin, asks_programs, CERTIFICATES),
        ];
        ports.into_iter().flatten()
    }

    /// What seals secrets in the store; `given` is what the environment says.
    fn seal(&self, given: Option<&str>) -> Result<SealSource, Unusable> {
        match (given.filter(|given| !given.is_empty()), &self.seal_key_file) {
            (Some(_), Some(_)) => Err(Unusable::SealedTwice),
            (Some(_), None) if self.unsealed => Err(Unusable::SealedTwice),
            (Some(given), None) => {
                let keys = given.parse().map_err(Unusable::SealKey)?;
                Ok(SealSource::Keys(keys))
            }
            (None, Some(path)) => {
                let keys = SealKeys::read(path).map_err(Unusable::SealKeyFile)?;
                Ok(SealSource::Keys(keys))
            }
            (None, None) if self.unsealed => Ok(SealSource::Unsealed),
            (None, None) => Ok(SealSource::Own),
        }
    }
}

/// Name and password.
fn user(text: &str) -> Result<(String, String), Unusable> {
    let (name, password) = text.split_once(':').ok_or(Unusable::EtcdUser)?;
    if name.is_empty() {
        return Err(Unusable::EtcdUser);
    }
    Ok((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(extra: &[&str]) -> Args {
        let base = ["agix-control-plane", "--store", "memory"];
        Args::try_parse_from(base.iter().chain(extra)).unwrap()
    }

    #[test]
    fn the_network_is_refused_unless_asked_for() {
        assert!(args(&[]).config().is_ok());
        assert!(args(&["--listen", "[::1]:7070"]).config().is_ok());
        let open = ["--listen", "0.0.0.0:7070"];
        let refused = args(&open).config().unwrap_err().to_string();
        assert!(refused.contains("--insecure"), "{refused}");
        assert!(args(&[open[0], open[1], "--insecure"]).config().is_ok());
    }

    #[test]
    fn what_others_reach_is_encrypted_and_asks_who_they_are() {
        let tls = ["--tls-cert", "/c", "--tls-key", "/k"];
        let ca = ["--tls-client-ca", "/ca"];
        let tokens = ["--tokens-file", "/t"];
        let refused = |parts: &[&[&str]]| {
            let refused = args(&parts.concat()).config();
            refused.err().map(|error| error.to_string())
        };
        for flag in ["--listen", "--admin"] {
            let open = [flag, "10.0.0.1:70"];
            for parts in [&[&open[..]][..], &[&open, &tls], &[&open, &tls, &tokens]] {
                let told = refused(parts).unwrap();
                assert!(told.contains(flag) && told.contains("--tls-client-ca"));
            }
            assert_eq!(refused(&[&open, &tls, &ca]), None);
        }
        let open = ["--http", "10.0.0.1:70"];
        for parts in [&[&open[..]][..], &[&open, &tls, &ca], &[&open, &tokens]] {
            let told = refused(parts).unwrap();
            assert!(told.contains("--http") && told.contains("--tokens-file"));
        }
        assert_eq!(refused(&[&open, &tls, &tokens]), None);
        let plain = ["--advertise", "http://a:1"];
        assert!(refused(&[&tls, &plain]).unwrap().contains("https://"));
        let encrypted = ["--advertise", "https://a:1"];
        assert_eq!(refused(&[&tls, &encrypted]), None);
        let base = ["agix-control-plane", "--store", "memory"];
        let alone = |flags: &[&str]| Args::try_parse_from(base.iter().chain(flags)).is_err();
        assert!(alone(&tls[..2]) && alone(&tls[2..]) && alone(&ca));
    }

    #[test]
    fn a_wrong_store_is_a_usage_error_that_names_the_right_ones() {
        let error = Args::try_parse_from(["agix-control-plane", "--store", "redis:x"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("embedded:DIR"), "{error}");
    }

    #[test]
    fn secrets_are_sealed_in_one_way() {
        let key = "ab".repeat(32);
        assert_eq!(args(&[]).seal(None).unwrap(), SealSource::Own);
        let unsealed = args(&["--unsealed"]);
        assert_eq!(unsealed.seal(Some("")).unwrap(), SealSource::Unsealed);
        let keys = args(&[]).seal(Some(&key)).unwrap();
        assert_eq!(keys, SealSource::Keys(key.parse().unwrap()));
        let refused = unsealed.seal(Some(&key)).unwrap_err();
        assert!(matches!(refused, Unusable::SealedTwice));
        let refused = args(&[]).seal(Some("hunter2")).unwrap_err();
        assert!(matches!(refused, Unusable::SealKey(_)));
        let missing = args(&["--seal-key-file", "/does/not/exist"]);
        let refused = missing.seal(None).unwrap_err();
        assert!(matches!(refused, Unusable::SealKeyFile(_)));
        let refused = missing.seal(Some(&key)).unwrap_err();
        assert!(matches!(refused, Unusable::SealedTwice));
    }

    #[test]
    fn how_etcd_lets_us_in_goes_with_an_etcd_store_alone() {
        let etcd = ["agix-control-plane", "--store", "etcd:https://a:2379"];
        let config = |base: &[&str], extra: &[&str]| {
            Args::try_parse_from(base.iter().chain(extra)).map(Args::config)
        };
        let all = ["--etcd-user", "me:a:b", "--etcd-ca", "/ca.pem"];
        let StoreSpec::Etcd(address) = config(&etcd, &all).unwrap().unwrap().store else {
            panic!("an etcd store");
        };
        let user = ("me".to_owned(), "a:b".to_owned());
        assert_eq!(address.access.user, Some(user));
        assert_eq!(address.access.ca, Some("/ca.pem".into()));
        let refused = config(&etcd, &["--etcd-user", "me"]).unwrap().unwrap_err();
        assert!(matches!(refused, Unusable::EtcdUser));
        let refused = args(&all).config().unwrap_err();
        assert!(refused.to_string().contains("--store etcd:URL"));
        assert!(config(&etcd, &["--etcd-cert", "/cert.pem"]).is_err());
    }
}
