//! Signatures of webhooks: what senders present, and what agix sends.
//!
//! Rules this module keeps:
//! - The bytes as they were received are what is signed.
//! - A code is compared in constant time, and with every secret.
//! - Time is an argument; a signature that carries one is good only near it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::execution::DeliveryKey;
use crate::id::WebhookName;
use crate::limits::WEBHOOK_SIGNATURES;
use crate::policy::SignatureScheme;
use crate::time::Wall;

/// The header of agix's own scheme, and of every callback.
pub const AGIX: &str = "x-webhook-signature";
/// The header of GitHub.
pub const GITHUB: &str = "x-hub-signature-256";
/// The header of Stripe.
pub const STRIPE: &str = "stripe-signature";
/// The header of Standard Webhooks with the signatures.
pub const STANDARD: &str = "webhook-signature";
/// The header of Standard Webhooks that names the message.
pub const STANDARD_ID: &str = "webhook-id";
/// The header of Standard Webhooks with the time of the attempt, in seconds.
pub const STANDARD_TIME: &str = "webhook-timestamp";
/// The header in which GitHub names a delivery. It is not signed.
const GITHUB_DELIVERY: &str = "x-github-delivery";

/// Why a delivery is not taken for the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// A header is missing.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// A header cannot be read.
    #[error("the header `{0}` is not what the scheme prescribes")]
    Malformed(&'static str),
    /// The time of the signature is too far off.
    #[error("the signature is too old, or its clock is ahead")]
    Expired,
    /// No code fits.
    #[error("no signature fits any secret")]
    Wrong,
}

/// What was received, as far as its signature goes.
pub struct Delivery<'a> {
    /// The value of a header, by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The body, as it was received.
    pub body: &'a [u8],
    /// Now.
    pub now: Wall,
}

impl std::fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Delivery<'_> {
    /// Whether somebody who knows one of `secrets` signed it by `scheme`, at a time that is no
    /// further off than `tolerance`.
    pub fn verify(
        &self,
        scheme: SignatureScheme,
        secrets: &[&str],
        tolerance: Duration,
    ) -> Result<(), NotVerified> {
        let (time, codes) = match scheme {
            SignatureScheme::Agix => (None, self.prefixed(AGIX)?),
            SignatureScheme::GitHub => (None, self.prefixed(GITHUB)?),
            SignatureScheme::Stripe => {
                let (time, codes) = self.stripe()?;
                (Some(time), codes)
            }
            SignatureScheme::Standard => {
                let (time, codes) = self.standard()?;
                (Some(time), codes)
            }
        };
        if let Some(seconds) = time {
            self.is_timely(seconds, tolerance)?;
        }
        let id = (self.header)(STANDARD_ID).unwrap_or_default();
        let mut fits = false;
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            let mac = signed(scheme, secret, id, time.unwrap_or_default(), self.body);
            for code in &codes {
                let mac = mac.clone();
                fits |= mac.is_some_and(|mac| mac.verify_slice(code).is_ok());
            }
        }
        if fits {
            Ok(())
        } else {
            Err(NotVerified::Wrong)
        }
    }

    /// The same for every repetition of this delivery to `webhook`, and for nothing else: from the id
    /// that the scheme gives it, or else from the body.
    pub fn key(&self, scheme: SignatureScheme, webhook: &WebhookName) -> DeliveryKey {
        let id = match scheme {
            SignatureScheme::GitHub => (self.header)(GITHUB_DELIVERY),
            SignatureScheme::Standard => (self.header)(STANDARD_ID),
            SignatureScheme::Agix | SignatureScheme::Stripe => None,
        };
        let (kind, content) = match id.filter(|id| !id.is_empty()) {
            Some(id) => (b"i", id.as_bytes()),
            None => (b"b", self.body),
        };
        let mut hash = Sha256::new();
        hash.update(webhook.as_str());
        // No name holds this byte.
        hash.update(b"\n");
        hash.update(kind);
        hash.update(content);
        DeliveryKey::new(hash.finalize().into())
    }

    fn is_timely(&self, seconds: i64, tolerance: Duration) -> Result<(), NotVerified> {
        let signed = seconds.checked_mul(1_000).ok_or(NotVerified::Expired)?;
        let off = self.now.as_millis().abs_diff(signed);
        if u128::from(off) > tolerance.as_millis() {
            return Err(NotVerified::Expired);
        }
        Ok(())
    }

    fn required(&self, name: &'static str) -> Result<&str, NotVerified> {
        (self.header)(name).ok_or(NotVerified::Missing(name))
    }

    /// `sha256=<hex>`.
    fn prefixed(&self, name: &'static str) -> Result<Vec<Vec<u8>>, NotVerified> {
        let value = self.required(name)?;
        let code = value.strip_prefix("sha256=").and_then(from_hex);
        Ok(vec![code.ok_or(NotVerified::Malformed(name))?])
    }

    /// `t=<seconds>,v1=<hex>,v1=<hex>`, with other versions in between.
    fn stripe(&self) -> Result<(i64, Vec<Vec<u8>>), NotVerified> {
        let malformed = NotVerified::Malformed(STRIPE);
        let parts = self.required(STRIPE)?.split(',');
        let mut time = None;
        let mut codes = Vec::new();
        for (key, value) in parts.filter_map(|part| part.trim().split_once('=')) {
            match key {
                // A second time could not be the one that is signed.
                "t" if time.is_some() => return Err(malformed),
                "t" => time = Some(value.parse().ok().ok_or(malformed)?),
                "v1" if codes.len() < WEBHOOK_SIGNATURES => codes.extend(from_hex(value)),
                _ => {}
            }
        }
        let time = time.ok_or(malformed)?;
        if codes.is_empty() {
            return Err(malformed);
        }
        Ok((time, codes))
    }

    /// `v1,<base64> v1,<base64>`, with other versions in between.
    fn standard(&self) -> Result<(i64, Vec<Vec<u8>>), NotVerified> {
        let id = self.required(STANDARD_ID)?;
        if id.is_empty() || id.contains('.') {
            return Err(NotVerified::Malformed(STANDARD_ID));
        }
        let time = self.required(STANDARD_TIME)?.parse();
        let time = time.ok().ok_or(NotVerified::Malformed(STANDARD_TIME))?;
        let codes: Vec<_> = self
            .required(STANDARD)?
            .split(' ')
            .filter_map(|part| part.strip_prefix("v1,"))
            .take(WEBHOOK_SIGNATURES)
            .filter_map(|code| BASE64.decode(code).ok())
            .collect();
        if codes.is_empty() {
            return Err(NotVerified::Malformed(STANDARD));
        }
        Ok((time, codes))
    }
}

/// The headers with which a message is signed by `scheme`; `id` and `seconds` say which message of
/// when it is, where the scheme has them.
pub fn sign(
    scheme: SignatureScheme,
    secret: &str,
    id: &str,
    seconds: i64,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let Some(mac) = signed(scheme, secret, id, seconds, body) else {
        return Vec::new();
    };
    let code = mac.finalize().into_bytes();
    match scheme {
        SignatureScheme::Agix => vec![(AGIX, format!("sha256={}", to_hex(&code)))],
        SignatureScheme::GitHub => vec![
            (GITHUB, format!("sha256={}", to_hex(&code))),
            (GITHUB_DELIVERY, id.to_owned()),
        ],
        SignatureScheme::Stripe => vec![(STRIPE, format!("t={seconds},v1={}", to_hex(&code)))],
        SignatureScheme::Standard => vec![
            (STANDARD_ID, id.to_owned()),
            (STANDARD_TIME, seconds.to_string()),
            (STANDARD, format!("v1,{}", BASE64.encode(code))),
        ],
    }
}

/// The code over what `scheme` signs.
fn signed(
    scheme: SignatureScheme,
    secret: &str,
    id: &str,
    seconds: i64,
    body: &[u8],
) -> Option<Hmac<Sha256>> {
    let mut mac = keyed(scheme, secret)?;
    match scheme {
        SignatureScheme::Agix | SignatureScheme::GitHub => {}
        SignatureScheme::Stripe => mac.update(format!("{seconds}.").as_bytes()),
        SignatureScheme::Standard => mac.update(format!("{id}.{seconds}.").as_bytes()),
    }
    mac.update(body);
    Some(mac)
}

/// With the key of a secret: its bytes, but for Standard Webhooks what `whsec_` and base64 stand for.
///
/// HMAC takes a key of any length, so there always is one.
fn keyed(scheme: SignatureScheme, secret: &str) -> Option<Hmac<Sha256>> {
    let coded = secret.strip_prefix("whsec_");
    let decoded = coded
        .filter(|_| scheme == SignatureScheme::Standard)
        .and_then(|coded| BASE64.decode(coded).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    Hmac::new_from_slice(key).ok()
}

fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        let is_pair = text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_pair.then(|| u8::from_str_radix(text, 16).ok())?
    });
    digits.collect()
}

#[cfg(test)]
mod tests;
