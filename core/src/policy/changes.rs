//! Differences of two policies, field by field, for people.

mod fields;

use std::collections::BTreeMap;

use self::fields::Line;
use crate::policy::check::place;
use crate::policy::{Change, Policy, Resource, ResourceKey};

/// Every field of `resource` by its name within it, as it would be written in a document. Absent
/// fields are left out, secrets are fingerprints, and the name of a value that is the whole
/// resource, such as a chain, is empty.
pub fn fields(resource: &Resource) -> Vec<(String, String)> {
    let lines = fields::of(resource).into_iter();
    lines.map(|line| (line.field, line.value)).collect()
}

/// Every changed value, sorted by its place. Secrets as fingerprints.
pub fn changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let delta = old.delta_to(new);
    let keys = delta.upserts.iter().map(Resource::key);
    let mut changes: Vec<Change> = keys
        .chain(delta.removals.iter().cloned())
        .flat_map(|key| {
            let (before, after) = (old.get(&key), new.get(&key));
            resource_changes(&key, before.as_ref(), after.as_ref())
        })
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn resource_changes(
    key: &ResourceKey,
    old: Option<&Resource>,
    new: Option<&Resource>,
) -> Vec<Change> {
    // What an entry leaves to its default is worth a line only if it was or becomes another.
    let is_whole = old.is_none() || new.is_none();
    let lines = |resource: Option<&Resource>| -> Vec<Line> {
        let Some(resource) = resource else {
            return Vec::new();
        };
        let mut lines = fields::of(resource);
        lines.retain(|line| !(is_whole && line.is_default));
        if lines.is_empty() && is_whole {
            lines.push(Line::new("", "{}"));
        }
        lines
    };
    let mut values: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for line in lines(old) {
        values.entry(line.field).or_default().0 = Some(line.value);
    }
    for line in lines(new) {
        values.entry(line.field).or_default().1 = Some(line.value);
    }
    values
        .into_iter()
        .filter(|(_, (old, new))| old != new)
        .map(|(field, (old, new))| Change {
            path: place(key, &field),
            old,
            new,
        })
        .collect()
}

#[cfg(test)]
mod tests;
