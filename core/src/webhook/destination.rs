//! Where a callback may go.
//!
//! Rules this module keeps:
//! - Only what has one meaning is taken: an address in a notation that programs read differently is
//!   refused, whatever it may mean.
//! - An address that is written and one that a name stands for pass the same function.
//! - What is not known to be public is not public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::REFERENCE_BYTES;
use crate::policy::WebhookDefinition;

/// What a definition lets its callbacks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// Go over a connection without TLS.
    pub insecure: bool,
    /// Go to addresses that are not public.
    pub private: bool,
}

/// A place that may be called, unless its name stands for an address that may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether it is reached by TLS.
    pub is_tls: bool,
    /// Who is called.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a place may not be called. The texts name no address: they end up in histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another scheme.
    #[error("must begin with `https://`")]
    Scheme,
    /// Not by TLS.
    #[error("must begin with `https://`; `allow_insecure: true` permits `http://`")]
    Insecure,
    /// Characters that no address needs, or none that is one.
    #[error("is not an address that every program reads in the same way")]
    Ambiguous,
    /// A user, a password or a fragment.
    #[error("must hold neither user nor password nor fragment")]
    Credentials,
    /// Not a public address.
    #[error("leads to an address that is not public; `allow_private: true` permits that")]
    Private,
    /// An address that nobody can be called at.
    #[error("leads to an address at which nobody is to be called")]
    Never,
}

/// What kind of address one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Anybody's.
    Public,
    /// Of this machine, this network or this cloud.
    Private,
    /// Nobody's, or everybody's.
    Never,
}

/// Names that stand for what is near, whatever a resolver says.
const NEAR: [&str; 7] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "arpa",
];

impl Allowed {
    /// What `definition` allows.
    pub const fn by(definition: &WebhookDefinition) -> Self {
        Self {
            insecure: definition.allow_insecure,
            private: definition.allow_private,
        }
    }

    /// Whether `address` may be called.
    pub fn address(self, address: IpAddr) -> Result<(), Refused> {
        match class(address) {
            Class::Public => Ok(()),
            Class::Private if self.private => Ok(()),
            Class::Private => Err(Refused::Private),
            Class::Never => Err(Refused::Never),
        }
    }

    /// Reads the address of a callback, unless it may not be called.
    pub fn target(self, url: &str) -> Result<Target, Refused> {
        let is_plain = |b: u8| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b);
        if url.len() > REFERENCE_BYTES || !url.bytes().all(is_plain) {
            return Err(Refused::Ambiguous);
        }
        let (scheme, rest) = url.split_once("://").ok_or(Refused::Scheme)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" if self.insecure => false,
            "http" => return Err(Refused::Insecure),
            _ => return Err(Refused::Scheme),
        };
        if rest.contains(['@', '#']) {
            return Err(Refused::Credentials);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, _path) = rest.split_at_checked(end).ok_or(Refused::Ambiguous)?;
        let default = if is_tls { 443 } else { 80 };
        let (host, port) = split(authority, default).ok_or(Refused::Ambiguous)?;
        let host = read_host(host).ok_or(Refused::Ambiguous)?;
        match &host {
            Host::Address(address) => self.address(*address)?,
            Host::Name(name) if !self.private && is_near(name) => return Err(Refused::Private),
            Host::Name(_) => {}
        }
        Ok(Target { is_tls, host, port })
    }
}

/// Host and port of an authority.
fn split(authority: &str, default: u16) -> Option<(&str, u16)> {
    let after_brackets = authority.find(']').unwrap_or(0);
    let tail = authority.get(after_brackets..)?;
    let Some(colon) = tail.find(':') else {
        return Some((authority, default));
    };
    let (host, port) = authority.split_at_checked(after_brackets.checked_add(colon)?)?;
    let digits = port.strip_prefix(':')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| *port > 0 && is_number)?;
    Some((host, port))
}

fn read_host(host: &str) -> Option<Host> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(Host::Address(address.into()));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(Host::Address(address.into()));
    }
    let name = host.to_ascii_lowercase();
    let is_label = |label: &str| {
        let is_legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(is_legal)
    };
    // Whatever ends in a number is taken for an address by some: 0x7f.1, 2130706433, 127.1.
    let last = name.rsplit('.').next()?;
    let digits = last.strip_prefix("0x").unwrap_or(last);
    let is_number = last.bytes().all(|b| b.is_ascii_digit())
        || (digits.len() < last.len() && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let is_legal = name.len() <= 253 && name.split('.').all(is_label) && !is_number;
    is_legal.then_some(Host::Name(name))
}

fn is_near(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    NEAR.contains(&last) || name == "metadata" || name.starts_with("metadata.")
}

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [127 | 10, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [198, 18..=19, ..]
        // Where Azure answers its machines.
        | [168, 63, 129, 16] => Class::Private,
        // Where Oracle's cloud answers its machines is among these.
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Class::Never,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        class_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // The third is translated to IPv4 by this network.
        [0, 0, 0, 0, 0, 0, 0, 1]
        | [0xfc00..=0xfdff | 0xfe80..=0xfeff, ..]
        | [0x64, 0xff9b, 1, ..] => Class::Private,
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // Protocols of the IETF, Teredo among them, and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Never,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Never,
    }
}

#[cfg(test)]
mod tests;
