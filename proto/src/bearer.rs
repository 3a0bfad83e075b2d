//! What a client shows to a control plane to say who it is: a token, in each call's metadata.
//!
//! A token goes to this machine, or elsewhere over TLS. In the clear it leaves the machine only if
//! whoever started the client said that the network keeps others out. It is never printed.

use std::fmt;
use std::net::IpAddr;

use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::Scheme;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status, transport};

/// A channel on which each call shows a token, if there is one.
pub type Channel = InterceptedService<transport::Channel, Bearer>;

/// A token, or none.
#[derive(Clone, Default)]
pub struct Bearer {
    token: Option<MetadataValue<Ascii>>,
    insecure: bool,
}

/// A text that cannot be a token. It is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no token: one is written agix_..., in one word")]
pub struct InvalidToken;

/// The token would cross the network in the clear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the token is not sent to {0} in the clear: everybody on the way could read it; write the address \
     with https://, or pass --insecure if the network keeps others out"
)]
pub struct Cleartext(String);

impl Bearer {
    /// Shows `token`; with `insecure` also to other machines.
    pub fn new(token: &str, insecure: bool) -> Result<Self, InvalidToken> {
        let token = token.trim();
        let is_word = token
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_');
        if token.is_empty() || !is_word {
            return Err(InvalidToken);
        }
        let value: Result<MetadataValue<Ascii>, _> = format!("Bearer {token}").parse();
        let mut value = value.map_err(|_invalid| InvalidToken)?;
        value.set_sensitive(true);
        Ok(Self {
            token: Some(value),
            insecure,
        })
    }

    /// Whether the token, if there is one, may be sent to `uri`.
    pub fn may_go_to(&self, uri: &Uri) -> Result<(), Cleartext> {
        let host = uri.host().unwrap_or_default();
        let is_encrypted = uri.scheme() == Some(&Scheme::HTTPS);
        if self.token.is_none() || self.insecure || is_encrypted || is_here(host) {
            return Ok(());
        }
        Err(Cleartext(host.to_owned()))
    }

    /// A channel on which each call shows the token.
    pub fn on(&self, channel: transport::Channel) -> Channel {
        InterceptedService::new(channel, self.clone())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer")
            .field("has_token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

/// Whether a host is this machine, by its name alone.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<IpAddr, _> = host.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stays_on_this_machine_unless_it_is_said_that_it_may_leave() {
        let uri = |text: &'static str| Uri::from_static(text);
        let bearer = Bearer::new(" agix_1_2\n", false).unwrap();
        for here in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert_eq!(bearer.may_go_to(&uri(here)), Ok(()));
        }
        assert_eq!(bearer.may_go_to(&uri("https://cp:1")), Ok(()));
        for there in [
            "http://10.0.0.1:1",
            "http://cp:1",
            "http://127.0.0.1.evil.example:1",
        ] {
            let refused = bearer.may_go_to(&uri(there)).unwrap_err();
            assert!(refused.to_string().contains("--insecure"));
            assert_eq!(Bearer::default().may_go_to(&uri(there)), Ok(()));
            let insecure = Bearer::new("agix_1_2", true).unwrap();
            assert_eq!(insecure.may_go_to(&uri(there)), Ok(()));
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        let bearer = Bearer::new("agix_1_2", false).unwrap();
        assert!(!format!("{bearer:?}").contains("agix_"));
        for wrong in ["", "two words", "a\u{7f}b"] {
            assert_eq!(Bearer::new(wrong, false).unwrap_err(), InvalidToken);
        }
    }
}
