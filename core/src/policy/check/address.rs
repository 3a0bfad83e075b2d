//! Addresses that can be called.

use http::Uri;

use crate::policy::{Reference, ReferencePart};

/// What is wrong with `address`, as far as it is known before its references are filled in.
pub(in crate::policy) fn fault(address: &Reference) -> Option<&'static str> {
    let parts = match address {
        Reference::Text(parts) => parts,
        Reference::File(_) => return None,
    };
    match parts.as_slice() {
        [ReferencePart::Literal(text)] => whole_fault(text),
        [ReferencePart::Literal(head), ..] => {
            let scheme = head.split_once("://").map(|(scheme, _)| scheme)?;
            (!is_http(scheme)).then_some(NOT_HTTP)
        }
        _ => None,
    }
}

/// The address, if nothing of it comes from elsewhere.
pub(in crate::policy) fn whole(address: &Reference) -> Option<&str> {
    match address {
        Reference::Text(parts) => match parts.as_slice() {
            [ReferencePart::Literal(text)] => Some(text),
            _ => None,
        },
        Reference::File(_) => None,
    }
}

const NOT_HTTP: &str = "must begin with `http://` or `https://`";

fn whole_fault(text: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(NOT_HTTP);
    };
    if !is_http(scheme) {
        return Some(NOT_HTTP);
    }
    if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
        return Some("names no host");
    }
    let Ok(address) = text.parse::<Uri>() else {
        return Some("is not a legal address");
    };
    let Some(authority) = address.authority() else {
        return Some("names no host");
    };
    if authority.as_str().contains('@') {
        return Some("must not hold a user or a password: send them as a header");
    }
    if text.contains('#') {
        return Some("must not have a fragment");
    }
    let port = authority.as_str().rsplit_once(':').map(|(_, port)| port);
    let is_port =
        |port: &str| port.ends_with(']') || port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_some_and(|port| !is_port(port)) {
        return Some("has an impossible port");
    }
    None
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_addresses_with_a_host_are_taken() {
        for text in [
            "https://api.openai.com/v1",
            "http://127.0.0.1:11434/v1",
            "http://[::1]/v1",
            "http://[::1]:8080",
            "HTTPS://API.example.com",
            "https://x.example/a?version=1",
            "${BASE}",
            "${BASE}/v1",
            "https://${HOST}/v1",
            "http${S}://host",
        ] {
            assert_eq!(fault(&Reference::parse(text).unwrap()), None, "{text}");
        }
        for text in [
            "api.openai.com/v1",
            "localhost:8080",
            "ftp://host/",
            "ftp://${HOST}/",
            "https://",
            "https:///v1",
            "https://:80",
            "http://host:99999",
            "http://host:0",
            "http://host:port",
            "http://user:pass@host",
            "http://ho st",
            "http://höst/",
            "http://host/#a",
        ] {
            assert!(fault(&Reference::parse(text).unwrap()).is_some(), "{text}");
        }
    }
}
