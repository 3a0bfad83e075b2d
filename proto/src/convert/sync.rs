//! Messages of the policy stream, and the bytes of updates that many streams share.

use agix_core::id::Revision;
use agix_core::limits::{NACK_ERRORS, PROXY_TEXT_BYTES, SNAPSHOT_PART_BYTES};
use agix_core::sync::{
    Hello, Load, NackReason, Nonce, Offer, PolicyHash, ProxyMessage, ServerMessage, Version,
};
use bytes::Bytes;

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{bounded, digest, entries, name, required};
use crate::v1;
use crate::v1::proxy_message::Body as FromProxy;
use crate::v1::server_message::Body as FromServer;

/// The messages that carry a snapshot: `policy` is its canonical form, encoded once and shared by
/// all streams. At least one message, the last of them marked.
pub fn snapshot_messages(offer: Offer, policy: &Bytes) -> impl Iterator<Item = v1::ServerMessage> {
    let mut rest = policy.clone();
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let part = rest.split_to(rest.len().min(SNAPSHOT_PART_BYTES));
        done = rest.is_empty();
        let body = FromServer::Snapshot(v1::SnapshotPart {
            revision: offer.version.revision.number(),
            nonce: offer.nonce.number(),
            hash: hash_bytes(offer.version.hash),
            policy: part,
            last: done,
        });
        Some(v1::ServerMessage { body: Some(body) })
    })
}

/// The message that carries a delta: `delta` is its encoding, made once and shared by all streams.
/// One that is longer than a message may be goes as a snapshot instead.
pub fn delta_message(offer: Offer, base: Revision, delta: Bytes) -> v1::ServerMessage {
    let body = FromServer::Delta(v1::PolicyDelta {
        base_revision: base.number(),
        revision: offer.version.revision.number(),
        nonce: offer.nonce.number(),
        hash: hash_bytes(offer.version.hash),
        delta,
    });
    v1::ServerMessage { body: Some(body) }
}

/// The control plane's sign of life.
pub fn heartbeat_message(current: Revision) -> v1::ServerMessage {
    let body = FromServer::Heartbeat(v1::ServerHeartbeat {
        current_revision: current.number(),
    });
    v1::ServerMessage { body: Some(body) }
}

impl TryFrom<v1::ServerMessage> for ServerMessage {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ServerMessage) -> Result<Self, InvalidMessage> {
        let v1::ServerMessage { body } = wire;
        match required(body).at("body")? {
            FromServer::Snapshot(wire) => {
                let v1::SnapshotPart {
                    revision,
                    nonce,
                    hash,
                    policy,
                    last,
                } = wire;
                let offer = offer(nonce, revision, &hash).at("snapshot")?;
                Ok(Self::Snapshot {
                    offer,
                    content: policy.into(),
                    last,
                })
            }
            FromServer::Delta(wire) => {
                let v1::PolicyDelta {
                    base_revision,
                    revision,
                    nonce,
                    hash,
                    delta,
                } = wire;
                let offer = offer(nonce, revision, &hash).at("delta")?;
                let base = Revision::new(base_revision);
                Ok(Self::Delta {
                    offer,
                    base,
                    content: delta.into(),
                })
            }
            FromServer::Heartbeat(v1::ServerHeartbeat { current_revision }) => {
                Ok(Self::Heartbeat {
                    current: Revision::new(current_revision),
                })
            }
        }
    }
}

impl From<&ProxyMessage> for v1::ProxyMessage {
    fn from(message: &ProxyMessage) -> Self {
        let body = match message {
            ProxyMessage::Hello(hello) => FromProxy::Hello(hello.into()),
            ProxyMessage::Ack { nonce, revision } => FromProxy::Ack(v1::Ack {
                nonce: nonce.number(),
                revision: revision.number(),
            }),
            ProxyMessage::Nack {
                nonce,
                revision,
                reasons,
            } => FromProxy::Nack(v1::Nack {
                nonce: nonce.number(),
                revision: revision.number(),
                errors: reasons.iter().map(v1::ResourceError::from).collect(),
            }),
            ProxyMessage::Heartbeat { applied, load } => FromProxy::Heartbeat(v1::Heartbeat {
                applied_revision: applied.number(),
                load: Some((*load).into()),
            }),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<v1::ProxyMessage> for ProxyMessage {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ProxyMessage) -> Result<Self, InvalidMessage> {
        let v1::ProxyMessage { body } = wire;
        match required(body).at("body")? {
            FromProxy::Hello(wire) => Hello::try_from(wire).map(Self::Hello).at("hello"),
            FromProxy::Ack(v1::Ack { nonce, revision }) => Ok(Self::Ack {
                nonce: Nonce::new(nonce),
                revision: Revision::new(revision),
            }),
            FromProxy::Nack(v1::Nack {
                nonce,
                revision,
                errors,
            }) => {
                entries(&errors, 0, NACK_ERRORS, "errors").at("nack")?;
                Ok(Self::Nack {
                    nonce: Nonce::new(nonce),
                    revision: Revision::new(revision),
                    reasons: errors
                        .into_iter()
                        .enumerate()
                        .map(|(index, wire)| NackReason::try_from(wire).at_entry("errors", index))
                        .collect::<Result<_, _>>()
                        .at("nack")?,
                })
            }
            FromProxy::Heartbeat(v1::Heartbeat {
                applied_revision,
                load,
            }) => Ok(Self::Heartbeat {
                applied: Revision::new(applied_revision),
                load: required(load).map(Load::from).at("heartbeat.load")?,
            }),
        }
    }
}

impl From<&Hello> for v1::Hello {
    fn from(hello: &Hello) -> Self {
        let Hello {
            proxy,
            incarnation,
            version,
            address,
            applied,
        } = hello;
        Self {
            proxy_id: proxy.as_str().to_owned(),
            incarnation: *incarnation,
            version: version.clone(),
            address: address.clone(),
            applied_revision: applied.map_or(Revision::NONE, |it| it.revision).number(),
            applied_hash: applied.map_or_else(Vec::new, |it| hash_bytes(it.hash)),
        }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Hello) -> Result<Self, InvalidMessage> {
        let v1::Hello {
            proxy_id,
            incarnation,
            version,
            address,
            applied_revision,
            applied_hash,
        } = wire;
        let applied = if applied_revision == 0 {
            None
        } else {
            let revision = Revision::new(applied_revision);
            let hash = hash(&applied_hash, "applied_hash")?;
            Some(Version { revision, hash })
        };
        Ok(Self {
            proxy: name(&proxy_id, "proxy_id")?,
            incarnation,
            version: bounded(version, PROXY_TEXT_BYTES, "version")?,
            address: bounded(address, PROXY_TEXT_BYTES, "address")?,
            applied,
        })
    }
}

impl From<Load> for v1::Load {
    fn from(load: Load) -> Self {
        let Load {
            in_flight,
            requests_total,
        } = load;
        Self {
            in_flight,
            requests_total,
        }
    }
}

impl From<v1::Load> for Load {
    fn from(wire: v1::Load) -> Self {
        let v1::Load {
            in_flight,
            requests_total,
        } = wire;
        Self {
            in_flight,
            requests_total,
        }
    }
}

fn offer(nonce: u64, revision: u64, hash_field: &[u8]) -> Result<Offer, InvalidMessage> {
    if revision == 0 {
        return Err(InvalidField::Range("greater than zero")).at("revision");
    }
    let hash = hash(hash_field, "hash")?;
    let version = Version {
        revision: Revision::new(revision),
        hash,
    };
    Ok(Offer {
        nonce: Nonce::new(nonce),
        version,
    })
}

fn hash(bytes: &[u8], field: &str) -> Result<PolicyHash, InvalidMessage> {
    digest(bytes).map(PolicyHash::from_bytes).at(field)
}

fn hash_bytes(hash: PolicyHash) -> Vec<u8> {
    hash.as_bytes().to_vec()
}
