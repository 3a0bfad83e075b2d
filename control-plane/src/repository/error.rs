//! Why an operation of the repository failed.

use agix_core::id::Revision;
use agix_core::limits::{APPLY_ATTEMPTS, POLICY_ENCODED_BYTES};
use agix_core::policy::Problem;
use agix_proto::convert::InvalidPolicy;

use tokio::task::JoinError;

use super::blob::InvalidChunk;
use super::record::InvalidRecord;
use crate::acts::ActsError;
use crate::store::keyspace::ChunkId;
use crate::store::{BackendFailure, CommitError, RangeError};

/// Why a revision could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is none of this number, or it has left the history.
    #[error("there is no revision {0}")]
    NoSuchRevision(Revision),
    /// The store could not be read.
    #[error("the policy cannot be read from the store")]
    Store(#[from] RangeError),
    /// What is stored is not what was written.
    #[error("revision {revision} is damaged in the store")]
    Damaged {
        /// The revision.
        revision: Revision,
        /// How.
        #[source]
        damage: Damage,
    },
    /// The record of the current revision is not what was written.
    #[error("the record of the current revision is damaged in the store")]
    DamagedHead(#[source] InvalidRecord),
    /// The process is ending.
    #[error("reading was interrupted")]
    Interrupted(#[source] JoinError),
}

/// How what is stored differs from what was written.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The record is malformed.
    #[error(transparent)]
    Record(#[from] InvalidRecord),
    /// A chunk is gone.
    #[error("chunk {0} is missing")]
    MissingChunk(ChunkId),
    /// A chunk is malformed.
    #[error("chunk {chunk} is unusable")]
    Chunk {
        /// Which.
        chunk: ChunkId,
        /// Why.
        source: InvalidChunk,
    },
    /// The chunks together are not as long as they should be.
    #[error("the chunks have {found} bytes together, not {expected}")]
    Length {
        /// What they have.
        found: u64,
        /// What the record says.
        expected: u64,
    },
    /// The chunks together do not have the hash of the record.
    #[error("the content has another hash than its record says")]
    Hash,
    /// The policy cannot be decoded.
    #[error("the policy cannot be decoded")]
    Policy(#[source] InvalidPolicy),
    /// The sources cannot be decoded.
    #[error("the source files cannot be decoded")]
    Sources(#[source] prost::DecodeError),
}

/// Why a revision could not be made. Unless the text says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It cannot be written down who made it.
    #[error(transparent)]
    Acts(#[from] ActsError),
    /// The policy is too large.
    #[error(
        "the policy has {bytes} bytes in its stored form, at most {POLICY_ENCODED_BYTES} are taken"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// What is there could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It could not be written.
    #[error("the policy cannot be written to the store; nothing was changed")]
    Store(#[source] CommitError),
    /// It may have been written.
    #[error(
        "it is not known whether the policy was stored: look at the history before you apply it \
         again"
    )]
    OutcomeUnknown(#[source] BackendFailure),
    /// A backup is being restored.
    #[error(
        "a restore into this store is under way or was cut off; `agixctl restore FILE` finishes it"
    )]
    Restoring,
    /// Others were faster every time.
    #[error(
        "the policy was changed by others {APPLY_ATTEMPTS} times in a row meanwhile; try again"
    )]
    Contended,
}

/// Why a revision could not be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// Its content could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Its content is refused by the rules of this version.
    #[error(
        "revision {revision} cannot be used any more: {}",
        problems.first().map_or("it has problems", |problem| &problem.message)
    )]
    Refused {
        /// The revision.
        revision: Revision,
        /// All reasons.
        problems: Vec<Problem>,
    },
}

impl From<LoadError> for RollbackError {
    fn from(error: LoadError) -> Self {
        Self::Apply(ApplyError::Load(error))
    }
}

impl From<RangeError> for ApplyError {
    fn from(error: RangeError) -> Self {
        Self::Load(LoadError::Store(error))
    }
}
