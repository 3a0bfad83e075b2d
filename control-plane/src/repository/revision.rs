//! What is known of a revision.

use agix_core::id::Revision;
use agix_core::sync::{PolicyHash, Version};
use agix_core::time::Wall;

/// What is known of a revision besides its policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionInfo {
    /// Its number.
    pub revision: Revision,
    /// Who made it.
    pub author: String,
    /// Why.
    pub message: String,
    /// When.
    pub time: Wall,
    /// The hash of its policy.
    pub hash: PolicyHash,
    /// The revision whose content it took over.
    pub rolled_back_to: Option<Revision>,
    /// Resources that are new or different.
    pub changed: u32,
    /// Resources that are gone.
    pub removed: u32,
    /// Resources altogether.
    pub total: u32,
}

impl RevisionInfo {
    /// What the policy stream knows it by.
    pub const fn version(&self) -> Version {
        Version {
            revision: self.revision,
            hash: self.hash,
        }
    }
}
