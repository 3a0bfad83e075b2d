//! What is known of the policy stream, for `/metrics`, `/readyz` and the log.

use agix_core::id::Revision;
use agix_core::sync::{NackReason, Version};
use agix_core::time::Wall;

/// The state of the policy stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncStatus {
    /// Whether a control plane is there.
    pub link: Link,
    /// The policy in force; absent if there is none yet.
    pub applied: Option<Applied>,
    /// The newest revision refused since the last one was taken, and why.
    pub refused: Option<(Revision, Vec<NackReason>)>,
    /// Set while the control plane's history does not reach the policy in force: its store was
    /// replaced or restored from a backup.
    pub behind: Option<NackReason>,
    /// Why the snapshot file could not be read or written the last time; absent if it could.
    pub snapshot_error: Option<String>,
}

/// Whether a control plane is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// No stream was open yet.
    Connecting,
    /// A stream is open.
    Connected {
        /// Since when.
        since: Wall,
    },
    /// There is none.
    Lost {
        /// Since when.
        since: Wall,
        /// Why the last stream ended, or could not be opened.
        error: String,
    },
}

/// The policy in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Which one.
    pub version: Version,
    /// Since when.
    pub since: Wall,
    /// Where it came from.
    pub source: Source,
}

/// Where a policy came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The snapshot file.
    Snapshot,
    /// The control plane.
    ControlPlane,
}

impl SyncStatus {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Self {
            link: Link::Connecting,
            applied: None,
            refused: None,
            behind: None,
            snapshot_error: None,
        }
    }

    /// The revision in force, or [`Revision::NONE`].
    pub fn revision(&self) -> Revision {
        self.applied
            .map_or(Revision::NONE, |it| it.version.revision)
    }

    /// Whether a stream is open.
    pub const fn is_connected(&self) -> bool {
        matches!(self.link, Link::Connected { .. })
    }
}

impl Default for SyncStatus {
    fn default() -> Self {
        Self::new()
    }
}
