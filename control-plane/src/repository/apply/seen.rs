//! What is in the store when a try to make a revision begins.

use std::sync::Arc;

use agix_core::id::Revision;

use super::Conflict;
use crate::repository::{ApplyError, Published, Repository};
use crate::store::keyspace::Key;
use crate::store::{Entry, Store};

/// What is in the store when a try begins.
pub(super) struct Seen {
    pub(super) head: Option<Entry>,
    pub(super) collection: Option<Entry>,
    pub(super) current: Option<Arc<Published>>,
}

impl<S: Store> Repository<S> {
    /// Looks at the store, and takes over what others have made current.
    pub(super) async fn look(&self) -> Result<Seen, ApplyError> {
        // The collection first: one that happens after this is noticed by the guard on it.
        let collection = self
            .inner
            .store
            .get(&Key::PolicyCollection.encode())
            .await?;
        let (head, _) = self.head().await?;
        let current = self.take_over(head.as_ref()).await?;
        Ok(Seen {
            head,
            collection,
            current,
        })
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
