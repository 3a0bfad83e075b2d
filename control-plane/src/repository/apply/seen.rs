//! What is in the store when a try to make a revision begins.

use std::sync::Arc;

use agix_core::id::Revision;

use super::Conflict;
use crate::repository::{ApplyError, Published, Repository};
use crate::store::keyspace::Key;
use crate::store::{Entry, RangeRequest, Store, StoreKey};

/// Most records that leave the history at once.
const LEAVING: usize = 64;

/// What is in the store when a try begins.
pub(super) struct Seen {
    pub(super) head: Option<Entry>,
    pub(super) collection: Option<Entry>,
    pub(super) current: Option<Arc<Published>>,
    /// Records that leave the history when one more comes.
    pub(super) leaving: Vec<StoreKey>,
}

impl<S: Store> Repository<S> {
    /// Looks at the store, and takes over what others have made current.
    pub(super) async fn look(&self) -> Result<Seen, ApplyError> {
        if self.is_restoring().await? {
            return Err(ApplyError::Restoring);
        }
        // The collection first: one that happens after this is noticed by the guard on it.
        let collection = self
            .inner
            .store
            .get(&Key::PolicyCollection.encode())
            .await?;
        let (head, _) = self.head().await?;
        let current = self.take_over(head.as_ref()).await?;
        let leaving = self.leaving().await?;
        Ok(Seen {
            head,
            collection,
            current,
            leaving,
        })
    }

    /// The oldest records, if there are as many as are kept. Numbers may be left out, so these are
    /// counted.
    async fn leaving(&self) -> Result<Vec<StoreKey>, ApplyError> {
        let mut keys = Vec::new();
        let records = RangeRequest::new(Key::policy_revisions()).keys_only();
        self.each(records.descending(), |entry| {
            keys.push(entry.key.clone());
            Ok(())
        })
        .await?;
        let mut leaving = keys.split_off(keys.len().min(self.inner.kept.saturating_sub(1)));
        // The oldest first, if for once there are more than one transaction takes.
        leaving.reverse();
        leaving.truncate(LEAVING);
        Ok(leaving)
    }
}

impl Seen {
    pub(super) fn revision(&self) -> Revision {
        let current = self.current.as_ref();
        current.map_or(Revision::NONE, |current| current.info().revision)
    }

    pub(super) fn conflict(&self, expected: Option<Revision>) -> Option<Conflict> {
        let current = self.revision();
        let expected = expected.filter(|expected| *expected != current)?;
        let author = self.current.as_ref().map(|it| it.info().author.clone());
        Some(Conflict {
            expected,
            current,
            current_author: author.unwrap_or_default(),
        })
    }
}
