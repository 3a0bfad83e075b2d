//! Putting an update in force. Blocks: decoding, checking, compiling and writing take time in
//! proportion to the policy.

use std::sync::Arc;

use agix_core::policy::Policy;
use agix_core::sync::{Received, Rejected, Version};
use agix_proto::convert::WireCodec;

use super::Install;
use super::snapshot_file::{Generation, SnapshotFile, Stored, UnusableSnapshot, UnwrittenSnapshot};

/// How an update went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The version tried.
    pub(super) version: Version,
    /// The policy now in force, or why it is not.
    pub(super) result: Result<Arc<Policy>, Rejected>,
    /// Whether it was written to the disk; absent if there is no snapshot file.
    pub(super) saved: Option<Result<(), UnwrittenSnapshot>>,
    /// Given back.
    pub(super) snapshot: Option<SnapshotFile>,
}

/// What came of the snapshot file at the start.
#[derive(Debug)]
pub(super) struct ColdStart {
    /// What is in force now.
    pub(super) in_force: Option<(Version, Arc<Policy>)>,
    /// Why generations could not be used, the newest first.
    pub(super) unusable: Vec<UnusableGeneration>,
    /// Given back.
    pub(super) snapshot: SnapshotFile,
}

/// Why a generation was not put in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnusableGeneration {
    /// It could not be read.
    #[error(transparent)]
    Unusable(#[from] UnusableSnapshot),
    /// It was read, but refused.
    #[error("revision {} in the policy snapshot cannot be put in force: {reasons}", .version.revision)]
    Refused {
        /// What was tried.
        version: Version,
        /// Why.
        reasons: String,
    },
}

/// Puts an update in force, and on disk.
pub(super) fn update(
    received: Received,
    base: &Policy,
    install: &Install,
    mut snapshot: Option<SnapshotFile>,
) -> Outcome {
    let version = received.version;
    let result = received.into_policy(base, &WireCodec).and_then(|policy| {
        install(version.revision, &policy).map_err(Rejected::from)?;
        Ok(Arc::new(policy))
    });
    let saved = match (&result, &mut snapshot) {
        (Ok(policy), Some(file)) => Some(file.save(version, policy)),
        (Err(_), _) | (_, None) => None,
    };
    Outcome {
        version,
        result,
        saved,
        snapshot,
    }
}

/// Puts the newest usable generation in force.
pub(super) fn cold_start(mut snapshot: SnapshotFile, install: &Install) -> ColdStart {
    let mut unusable = Vec::new();
    for generation in [Generation::Newest, Generation::Previous] {
        match put_in_force(&snapshot, generation, install) {
            Ok(None) => {}
            Ok(Some(in_force)) => {
                if generation == Generation::Newest {
                    snapshot.newest_is_good();
                }
                return ColdStart {
                    in_force: Some(in_force),
                    unusable,
                    snapshot,
                };
            }
            Err(error) => unusable.push(error),
        }
    }
    ColdStart {
        in_force: None,
        unusable,
        snapshot,
    }
}

fn put_in_force(
    snapshot: &SnapshotFile,
    generation: Generation,
    install: &Install,
) -> Result<Option<(Version, Arc<Policy>)>, UnusableGeneration> {
    let Some(Stored { version, policy }) = snapshot.load(generation)? else {
        return Ok(None);
    };
    let mut problems = policy.check();
    if problems.is_empty()
        && let Err(found) = install(version.revision, &policy)
    {
        problems = found;
    }
    if problems.is_empty() {
        return Ok(Some((version, Arc::new(policy))));
    }
    let reasons: Vec<String> = problems
        .iter()
        .map(|it| format!("{}: {}", it.resource, it.message))
        .collect();
    Err(UnusableGeneration::Refused {
        version,
        reasons: reasons.join("; "),
    })
}
