//! The side that is connected to.
//!
//! The files are read again while the server runs, so that a new certificate needs no restart. Files
//! that cannot be used change nothing.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use agix_core::limits::{TLS_HANDSHAKE_TIME, TLS_REREAD};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{TlsError, Wire, certificates, key, read};

/// What TLS calls HTTP/2.
const HTTP2: &[u8] = b"h2";
/// What TLS calls HTTP/1.1.
const HTTP1: &[u8] = b"http/1.1";
/// What the first byte of a client is that begins with TLS.
const HANDSHAKE: u8 = 0x16;

/// The files of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Its certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// The key of that.
    pub key: PathBuf,
    /// The certificates that vouch for clients; none: no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// Who comes to a port, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Programs of agix, with gRPC and a certificate.
    Programs,
    /// Programs that watch, with HTTP and a certificate.
    Watchers,
    /// People and agents, with HTTP and something else to show than a certificate.
    Visitors,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is as it should be.
    Good,
    /// Its client does not speak TLS, at a port where everybody has to.
    Plaintext,
    /// Its client showed no certificate, at a port where everybody has to.
    NoCertificate,
}

impl Standing {
    /// What a client is told that is turned away; `None`: it is not.
    pub const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Good => None,
            Self::Plaintext => Some(
                "only TLS is spoken here: write the address with https://, and give --ca, the \
                 certificate of the authority that signed the server's",
            ),
            Self::NoCertificate => Some(
                "clients without a certificate are refused here: give --client-cert and \
                 --client-key, signed by the authority of the server's --tls-client-ca",
            ),
        }
    }
}

/// The certificate of a server and what it asks of clients, as the files say now.
#[derive(Debug, Clone)]
pub struct ServerTls {
    configs: watch::Receiver<Configs>,
    asks: bool,
}

/// What makes TLS of the connections of one port.
#[derive(Debug, Clone)]
pub struct Acceptor {
    tls: ServerTls,
    clients: Clients,
}

#[derive(Debug, Clone)]
struct Configs {
    programs: Arc<ServerConfig>,
    watchers: Arc<ServerConfig>,
    visitors: Arc<ServerConfig>,
}

/// What was in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl ServerTls {
    /// Reads the files, and gives the work that reads them again until `stop` is cancelled.
    pub fn follow(
        files: ServerFiles,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send), TlsError> {
        let contents = Contents::read(&files)?;
        let (sender, configs) = watch::channel(Configs::new(&files, &contents)?);
        let asks = files.client_ca.is_some();
        let tls = Self { configs, asks };
        Ok((tls, reread(files, contents, sender, stop)))
    }

    /// What makes TLS of the connections of a port, by who comes there.
    pub fn at(&self, clients: Clients) -> Acceptor {
        Acceptor {
            tls: self.clone(),
            clients,
        }
    }
}

impl Acceptor {
    /// Makes TLS of a connection, within [`TLS_HANDSHAKE_TIME`].
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(Wire, Standing)> {
        let accepted = timeout(TLS_HANDSHAKE_TIME, self.shake_hands(stream)).await;
        accepted.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<(Wire, Standing)> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [HANDSHAKE] {
            return Ok((Wire::Plain(stream), Standing::Plaintext));
        }
        let config = self.tls.configs.borrow().of(self.clients);
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let asks = self.tls.asks && self.clients != Clients::Visitors;
        let (_, session) = stream.get_ref();
        let standing = match session.peer_certificates() {
            None if asks => Standing::NoCertificate,
            None | Some(_) => Standing::Good,
        };
        Ok((Wire::Tls(Box::new(stream)), standing))
    }
}

impl Configs {
    fn new(files: &ServerFiles, contents: &Contents) -> Result<Self, TlsError> {
        let verifier = verifier(files, contents)?;
        let config = |protocol: &[u8], asks: bool| {
            let verifier = verifier.clone().filter(|_| asks);
            let verifier = verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
            let mut config =
                ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                    .with_safe_default_protocol_versions()
                    .map_err(|source| files.unusable(source))?
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(
                        certificates(&files.certificate, &contents.certificate)?,
                        key(&files.key, &contents.key)?,
                    )
                    .map_err(|source| files.unusable(source))?;
            config.alpn_protocols.push(protocol.to_vec());
            Ok(Arc::new(config))
        };
        Ok(Self {
            programs: config(HTTP2, true)?,
            watchers: config(HTTP1, true)?,
            visitors: config(HTTP1, false)?,
        })
    }

    fn of(&self, clients: Clients) -> Arc<ServerConfig> {
        Arc::clone(match clients {
            Clients::Programs => &self.programs,
            Clients::Watchers => &self.watchers,
            Clients::Visitors => &self.visitors,
        })
    }
}

/// What looks at certificates of clients. That there has to be one is seen to after the handshake, so
/// that whoever has none can be told.
fn verifier(
    files: &ServerFiles,
    contents: &Contents,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (Some(path), Some(bytes)) = (&files.client_ca, &contents.client_ca) else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, bytes)? {
        let added = roots.add(certificate);
        added.map_err(|source| TlsError::Authority {
            path: path.clone(),
            source,
        })?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build();
    verifier.map(Some).map_err(|source| TlsError::Clients {
        path: path.clone(),
        source,
    })
}

impl ServerFiles {
    fn unusable(&self, source: rustls::Error) -> TlsError {
        TlsError::Identity {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        }
    }
}

impl Contents {
    fn read(files: &ServerFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }
}

async fn reread(
    files: ServerFiles,
    mut known: Contents,
    configs: watch::Sender<Configs>,
    stop: CancellationToken,
) {
    let mut complained = false;
    let pause = || tokio::time::sleep(TLS_REREAD);
    while stop.run_until_cancelled(pause()).await.is_some() {
        let reading = files.clone();
        let Ok(contents) = spawn_blocking(move || Contents::read(&reading)).await else {
            return;
        };
        let renewed = match contents {
            Ok(contents) if contents == known => continue,
            Ok(contents) => Configs::new(&files, &contents).map(|configs| (contents, configs)),
            Err(error) => Err(error),
        };
        match renewed {
            Ok((contents, renewed)) => {
                complained = false;
                known = contents;
                configs.send_replace(renewed);
                info!("the certificates for TLS have changed");
            }
            // The files of a new certificate may come one after the other.
            Err(_) if complained => {}
            Err(error) => {
                complained = true;
                let error: &dyn Error = &error;
                error!(error, "the certificates of before stay in use");
            }
        }
    }
}
