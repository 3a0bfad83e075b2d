//! Revisions on the wire.

use agix_core::id::Revision;
use agix_proto::v1;

use crate::repository::RevisionInfo;

impl From<&RevisionInfo> for v1::RevisionInfo {
    fn from(info: &RevisionInfo) -> Self {
        let RevisionInfo {
            revision,
            author,
            message,
            time,
            hash,
            rolled_back_to,
            changed,
            removed,
            total,
        } = info;
        Self {
            revision: revision.number(),
            author: author.clone(),
            message: message.clone(),
            time_unix_ms: time.as_millis(),
            hash: hash.as_bytes().to_vec(),
            rolled_back_to: rolled_back_to.map(Revision::number),
            resources_changed: *changed,
            resources_removed: *removed,
            resources_total: *total,
        }
    }
}
