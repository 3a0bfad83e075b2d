//! What of a new revision can be worked out without the store. All of it takes time in proportion
//! to the policy.

use std::collections::BTreeSet;
use std::sync::Arc;

use agix_core::id::Revision;
use agix_core::limits::POLICY_ENCODED_BYTES;
use agix_core::policy::document::SourceFile;
use agix_core::policy::{Change, Policy, changes};
use agix_core::sync::PolicyHash;
use agix_proto::convert::encode_policy;
use agix_proto::v1;
use bytes::Bytes;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::Intent;
use crate::repository::blob::{Blob, Chunk};
use crate::repository::delta::encoded_if_smaller;
use crate::repository::record::{Attempt, Record};
use crate::repository::{ApplyError, Published, RevisionInfo};
use crate::store::keyspace::ChunkId;

/// A policy in its stored form.
pub(super) struct Prepared {
    pub(super) policy: Arc<Policy>,
    pub(super) canonical: Bytes,
    pub(super) hash: PolicyHash,
    pub(super) policy_blob: Blob,
    pub(super) sources_blob: Blob,
    chunks: Vec<Chunk>,
}

/// What a policy changes.
pub(super) struct Difference {
    pub(super) changes: Vec<Change>,
    pub(super) changed: u32,
    pub(super) removed: u32,
    pub(super) total: u32,
    /// The delta for proxies that have the policy before.
    pub(super) delta: Option<Bytes>,
}

impl Prepared {
    pub(super) fn new(policy: Arc<Policy>, sources: Vec<SourceFile>) -> Result<Self, ApplyError> {
        let canonical = Bytes::from(encode_policy(&policy));
        if canonical.len() > POLICY_ENCODED_BYTES {
            return Err(ApplyError::TooLarge {
                bytes: canonical.len(),
            });
        }
        let document = v1::Document {
            files: sources.into_iter().map(v1::SourceFile::from).collect(),
        };
        let (policy_blob, mut chunks) = Blob::cut(&canonical);
        let (sources_blob, of_sources) = Blob::cut(&document.encode_to_vec().into());
        chunks.extend(of_sources);
        Ok(Self {
            hash: PolicyHash::from_bytes(Sha256::digest(&canonical).into()),
            policy,
            canonical,
            policy_blob,
            sources_blob,
            chunks,
        })
    }

    /// The record of the revision it becomes.
    pub(super) fn record(
        &self,
        revision: Revision,
        difference: &Difference,
        intent: &Intent,
        rolled_back_to: Option<Revision>,
    ) -> Record {
        let Difference {
            changed,
            removed,
            total,
            ..
        } = *difference;
        Record {
            info: RevisionInfo {
                revision,
                author: intent.author.clone(),
                message: intent.message.clone(),
                time: intent.time,
                hash: self.hash,
                rolled_back_to,
                changed,
                removed,
                total,
            },
            policy: self.policy_blob.clone(),
            sources: self.sources_blob.clone(),
            attempt: Attempt(fastrand::u128(..)),
        }
    }

    /// What the policy changes in `current`.
    pub(super) fn difference(&self, current: Option<&Published>) -> Difference {
        let none = Policy::default();
        let old = current.map_or(&none, |current| current.policy());
        let delta = old.delta_to(&self.policy);
        Difference {
            changes: changes(old, &self.policy),
            changed: count(delta.upserts.len()),
            removed: count(delta.removals.len()),
            total: count(self.policy.resources().len()),
            delta: encoded_if_smaller(&delta, self.canonical.len()),
        }
    }

    /// The stored form of the chunks that are not among `known`, each once.
    pub(super) fn stored_except(&self, known: BTreeSet<ChunkId>) -> Vec<(ChunkId, Vec<u8>)> {
        let mut known = known;
        let missing = self.chunks.iter().filter(|chunk| known.insert(chunk.id));
        missing.map(|chunk| (chunk.id, chunk.stored())).collect()
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
