//! The side that connects.

use std::fmt;
use std::path::PathBuf;

use agix_core::limits::TLS_HANDSHAKE_TIME;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::Scheme;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Error, Identity};

use super::{TlsError, key, read, read_certificates};
use crate::bearer::Bearer;

/// The files of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientFiles {
    /// The certificates that vouch for servers; none: those that the machine trusts.
    pub ca: Option<PathBuf>,
    /// Our certificate, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What a client believes of servers, and shows them.
#[derive(Clone)]
pub struct ClientTls(ClientTlsConfig);

/// What a client shows to control planes.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Its token, if it has one.
    pub bearer: Bearer,
    /// Its certificate, and whom it believes.
    pub tls: ClientTls,
}

impl ClientTls {
    /// Reads the files.
    pub fn read(files: &ClientFiles) -> Result<Self, TlsError> {
        let mut config = Self::default().0;
        if let Some(path) = &files.ca {
            let bytes = read_certificates(path)?;
            config = ClientTlsConfig::new()
                .timeout(TLS_HANDSHAKE_TIME)
                .ca_certificate(Certificate::from_pem(bytes));
        }
        if let Some((path, of_key)) = &files.identity {
            let (certificate, private) = (read_certificates(path)?, read(of_key)?);
            key(of_key, &private)?;
            config = config.identity(Identity::from_pem(certificate, private));
        }
        let tls = Self(config);
        // What the library does not take, it says now and not at the first connection.
        if *files != ClientFiles::default() {
            let anywhere = Endpoint::from_static("https://localhost");
            let named = anywhere.uri().clone();
            tls.on(anywhere, &named).map_err(TlsError::Unusable)?;
        }
        Ok(tls)
    }

    /// Speaks TLS at `endpoint` if `named`, the address that was asked for, begins with `https://`; its
    /// host is what the certificate has to be for.
    pub fn on(&self, endpoint: Endpoint, named: &Uri) -> Result<Endpoint, Error> {
        if named.scheme() != Some(&Scheme::HTTPS) {
            return Ok(endpoint);
        }
        let host = named.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        endpoint.tls_config(self.0.clone().domain_name(host))
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        let config = ClientTlsConfig::new().timeout(TLS_HANDSHAKE_TIME);
        Self(config.with_native_roots())
    }
}

impl fmt::Debug for ClientTls {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}
