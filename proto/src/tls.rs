//! TLS between the processes of agix: what each shows, and whom it believes.
//!
//! Rules this module keeps:
//! - rustls with ring, TLS 1.2 or later. Nobody is believed who is not vouched for, and no option
//!   turns that off.
//! - A server that asks for certificates tells whoever has none what is missing, and does nothing else
//!   for them; whoever shows a wrong one does not get through the handshake.
//! - Keys come from files. Nothing here prints them.

mod client;
mod explain;
mod server;
mod wire;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use agix_core::limits::TLS_FILE_BYTES;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;

pub use client::{ClientFiles, ClientTls, Credentials};
pub use explain::explain;
pub use server::{Acceptor, Clients, ServerFiles, ServerTls, Standing};
pub use wire::Wire;

/// Why the files for TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One is longer than any such file.
    #[error("{} has more than {TLS_FILE_BYTES} bytes: it holds no certificates", .0.display())]
    TooLong(PathBuf),
    /// One that should hold certificates holds none.
    #[error("there is no certificate in {}: one begins with -----BEGIN CERTIFICATE-----", .0.display())]
    NoCertificate(PathBuf),
    /// One that should hold a key holds none.
    #[error("there is no private key in {}: one begins with -----BEGIN PRIVATE KEY-----", .0.display())]
    NoKey(PathBuf),
    /// Certificate and key do not go together.
    #[error("the certificate in {} cannot be used with the key in {}", certificate.display(), key.display())]
    Identity {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate vouches for nobody.
    #[error("the certificates in {} cannot vouch for others", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// They vouch for no client.
    #[error("the certificates in {} cannot vouch for clients", path.display())]
    Clients {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The library does not take them.
    #[error("the certificates cannot be used")]
    Unusable(#[source] tonic::transport::Error),
}

/// The bytes of a file of certificates or keys.
fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let most = u64::try_from(TLS_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > TLS_FILE_BYTES {
        return Err(TlsError::TooLong(path.to_owned()));
    }
    Ok(bytes)
}

/// The bytes of a file with certificates in it.
pub fn read_certificates(path: &Path) -> Result<Vec<u8>, TlsError> {
    let bytes = read(path)?;
    certificates(path, &bytes)?;
    Ok(bytes)
}

/// The certificates in the bytes of `path`.
fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

/// The key in the bytes of `path`.
fn key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_absent| TlsError::NoKey(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_of_no_use_are_named() {
        let absent = Path::new("/does/not/exist");
        let ca = |path: &Path| ClientFiles {
            ca: Some(path.to_owned()),
            identity: None,
        };
        let refused = ClientTls::read(&ca(absent)).unwrap_err();
        assert!(refused.to_string().contains("/does/not/exist"));
        assert!(matches!(
            key(absent, b"-----BEGIN CERTIFICATE-----"),
            Err(TlsError::NoKey(_))
        ));
        assert!(matches!(
            certificates(absent, b"-----BEGIN PRIVATE KEY-----"),
            Err(TlsError::NoCertificate(_))
        ));
    }
}
