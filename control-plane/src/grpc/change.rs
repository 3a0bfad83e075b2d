//! What a policy changes, on the wire: as much as fits, the rest counted.

use agix_core::limits::{CHANGES_SHOWN, GRPC_LIST_BYTES};
use agix_core::policy::Change;
use agix_proto::v1;
use agix_proto::v1::apply_response;

use crate::repository::{Applied, Conflict};

/// The first changes, and the number of those left out.
pub(super) fn listed(changes: &[Change]) -> (Vec<v1::Change>, u32) {
    let listed = within(changes.iter().map(v1::Change::from).take(CHANGES_SHOWN));
    let left_out = changes.len().saturating_sub(listed.len());
    (listed, u32::try_from(left_out).unwrap_or(u32::MAX))
}

/// The first messages that fit an answer together.
pub(super) fn within<M: prost::Message>(messages: impl Iterator<Item = M>) -> Vec<M> {
    let fitting = messages.scan(0_usize, |bytes, message| {
        *bytes = bytes.saturating_add(message.encoded_len());
        (*bytes <= GRPC_LIST_BYTES).then_some(message)
    });
    fitting.collect()
}

impl From<Applied> for apply_response::Applied {
    /// Without the warnings of the document.
    fn from(applied: Applied) -> Self {
        let Applied {
            current,
            previous,
            unchanged,
            changes,
        } = applied;
        let (changes, changes_left_out) = listed(&changes);
        Self {
            current: Some((&current).into()),
            previous_revision: previous.number(),
            unchanged,
            changes,
            changes_left_out,
            warnings: Vec::new(),
        }
    }
}

impl From<Conflict> for apply_response::Conflict {
    fn from(conflict: Conflict) -> Self {
        let Conflict {
            expected,
            current,
            current_author,
        } = conflict;
        Self {
            expected_revision: expected.number(),
            current_revision: current.number(),
            current_author,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(bytes: usize) -> Change {
        Change {
            path: "rate_limits.a".to_owned(),
            old: None,
            new: Some("x".repeat(bytes)),
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (few, left_out) = listed(&[change(1), change(2)]);
        assert_eq!((few.len(), left_out), (2, 0));
        let (many, left_out) = listed(&vec![change(1); CHANGES_SHOWN + 7]);
        assert_eq!((many.len(), left_out), (CHANGES_SHOWN, 7));
        let large = vec![change(GRPC_LIST_BYTES / 4); 10];
        let (large, left_out) = listed(&large);
        assert_eq!((large.len(), left_out), (3, 7));
    }
}
