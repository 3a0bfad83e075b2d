//! A revision as it is used: its policy, and what streams send of it, encoded once for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use agix_core::id::Revision;
use agix_core::limits::SYNC_DELTAS;
use agix_core::policy::Policy;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::record::Record;
use super::revision::RevisionInfo;
use crate::store::keyspace::ChunkId;

/// A revision that is or was current.
pub struct Published {
    info: RevisionInfo,
    policy: Arc<Policy>,
    canonical: Bytes,
    chunks: BTreeSet<ChunkId>,
    deltas: Mutex<BTreeMap<Revision, Arc<DeltaCell>>>,
}

/// A delta that is made when it is first asked for; `None`: a snapshot does better.
pub(super) type DeltaCell = OnceCell<Option<Bytes>>;

impl fmt::Debug for Published {
    /// Without the encodings, which hold the policy's secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Published {
    pub(super) fn new(record: Record, policy: Arc<Policy>, canonical: Bytes) -> Self {
        let chunks = record
            .policy
            .chunks
            .into_iter()
            .chain(record.sources.chunks);
        Self {
            info: record.info,
            policy,
            canonical,
            chunks: chunks.collect(),
            deltas: Mutex::default(),
        }
    }

    /// What is known of it.
    pub const fn info(&self) -> &RevisionInfo {
        &self.info
    }

    /// Its policy.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The policy's canonical form, as snapshots carry it.
    pub const fn canonical(&self) -> &Bytes {
        &self.canonical
    }

    /// The chunks its record refers to.
    pub(super) const fn chunks(&self) -> &BTreeSet<ChunkId> {
        &self.chunks
    }

    /// The place of the delta from `base`; `None` if there are too many already.
    pub(super) fn delta_from(&self, base: Revision) -> Option<Arc<DeltaCell>> {
        let mut deltas = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = deltas.get(&base) {
            return Some(Arc::clone(cell));
        }
        if deltas.len() >= SYNC_DELTAS {
            return None;
        }
        Some(Arc::clone(deltas.entry(base).or_default()))
    }
}
