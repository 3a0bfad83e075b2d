//! One post of a result to its receiver.
//!
//! Rules this module keeps:
//! - Every address that a name stands for is looked at, and those that were are the ones that are
//!   connected to: nobody resolves the name a second time.
//! - No redirect is followed, no proxy is taken from the environment, no connection is kept.
//! - Of the answer only the head counts; its body is not read.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::{CALLBACK_ADDRESSES, CALLBACK_CONNECT_TIME, CALLBACK_TIME};
use agix_core::time::Wall;
use agix_core::webhook::destination::{Allowed, Refused};
use agix_core::webhook::outcome::CallbackOutcome;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::dialect::retry_after;

/// What a name stands for.
pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Posts results.
#[derive(Debug)]
pub(super) struct Callbacks {
    /// To public addresses only.
    public: reqwest::Client,
    /// To any that can be called.
    private: reqwest::Client,
}

/// Asks the system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

impl Callbacks {
    pub(super) fn new(lookup: &Lookup) -> Result<Self, reqwest::Error> {
        Self::within(lookup, CALLBACK_TIME)
    }

    /// As [`Callbacks::new`], with another time for an answer.
    fn within(lookup: &Lookup, time: Duration) -> Result<Self, reqwest::Error> {
        let client = |private| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .tcp_nodelay(true)
                .connect_timeout(CALLBACK_CONNECT_TIME)
                .timeout(time)
                .pool_max_idle_per_host(0)
                .user_agent(concat!("agix/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(Checked {
                    private,
                    lookup: Arc::clone(lookup),
                }))
                .build()
        };
        Ok(Self {
            public: client(false)?,
            private: client(true)?,
        })
    }

    /// Posts `body`, once.
    pub(super) async fn post(
        &self,
        url: &Url,
        allowed: Allowed,
        headers: HeaderMap,
        body: Bytes,
        now: Wall,
    ) -> CallbackOutcome {
        // As for a name, so for what is written as an address.
        if let Err(refused) = allowed.target(url.as_str()) {
            return CallbackOutcome::Refused(format!("the callback {refused}"));
        }
        let client = if allowed.private {
            &self.private
        } else {
            &self.public
        };
        let mut request = reqwest::Request::new(Method::POST, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        match client.execute(request).await {
            Ok(response) => CallbackOutcome::Answered {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers(), now),
            },
            Err(error) => failed(&error),
        }
    }
}

/// Why there is no answer, in words that name no address.
fn failed(error: &reqwest::Error) -> CallbackOutcome {
    let mut next = error.source();
    while let Some(cause) = next {
        next = cause.source();
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return CallbackOutcome::Refused(format!("the callback {refused}"));
        }
        if cause.is::<NoAddress>() {
            return CallbackOutcome::Failed("the receiver's name stands for no address".to_owned());
        }
    }
    let words = if error.is_connect() && error.is_timeout() {
        "no connection to the receiver in time"
    } else if error.is_timeout() {
        "connection timeout"
    } else if error.is_connect() {
        "no connection to the receiver"
    } else {
        "the receiver broke the connection"
    };
    CallbackOutcome::Failed(words.to_owned())
}

/// A resolver that gives only addresses that may be called, or none at all.
struct Checked {
    private: bool,
    lookup: Lookup,
}

#[derive(Debug, thiserror::Error)]
#[error("the name stands for no address")]
struct NoAddress(#[source] io::Error);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Allowed {
            insecure: true,
            private: self.private,
        };
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await.map_err(NoAddress)?;
            if found.is_empty() || found.len() > CALLBACK_ADDRESSES {
                let count = io::Error::other(format!("{} addresses", found.len()));
                return Err(NoAddress(count).into());
            }
            for address in &found {
                allowed.address(*address)?;
            }
            // The port is that of the request.
            let found = found.into_iter().map(|address| SocketAddr::new(address, 0));
            let addresses: Addrs = Box::new(found);
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests;
