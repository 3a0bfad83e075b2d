//! The way to a proxy, for what agixctl asks of it as its callers do.

use crate::args::Global;
use crate::exit::{Exit, Failure};

/// A proxy that was named.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proxy<'a> {
    /// Its address, without a slash at the end.
    pub(crate) address: &'a str,
}

/// The proxy cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("the proxy at {proxy} cannot be asked")]
struct Unreachable {
    proxy: String,
    source: reqwest::Error,
}

impl<'a> Proxy<'a> {
    /// The proxy at an address.
    pub(crate) fn at(address: &'a str) -> Self {
        Self {
            address: address.trim_end_matches('/'),
        }
    }

    /// What asks it, as the options say: in how much time, and whom to believe.
    pub(crate) fn client(self, global: &Global) -> Result<reqwest::Client, Failure> {
        // Whoever was first to install one has done no harm.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .timeout(global.request_timeout);
        if let Some(ca) = global.authorities()? {
            let certificates = reqwest::Certificate::from_pem_bundle(&ca);
            client = client.tls_certs_only(certificates.map_err(|it| self.failed(it))?);
        }
        client.build().map_err(|source| self.failed(source))
    }

    /// A call of it failed.
    pub(crate) fn failed(self, source: reqwest::Error) -> Failure {
        let proxy = self.address.to_owned();
        Failure::new(Exit::Unreachable, Unreachable { proxy, source })
            .help("name another proxy with --proxy or AGIX_PROXY")
    }
}
