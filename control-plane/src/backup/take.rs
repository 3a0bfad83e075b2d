//! Reading everything a store holds at one revision.

use agix_core::limits::{BACKUP_PART_BYTES, TERM_LEAP};
use bytes::Bytes;
use futures_util::{Stream, stream};

use super::format::{Head, Stored, Writer};
use super::restoring;
use crate::store::keyspace::Key;
use crate::store::{
    AnyStore, KeyRange, Page, RangeError, RangeRequest, RawStore, Store as _, StoreKey, term_base,
};

/// Why there is no backup, or no whole one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// The store could not be read.
    #[error("the store cannot be read")]
    Store(#[from] RangeError),
    /// It holds half of another state.
    #[error(
        "a restore into this store is under way or was cut off: there is nothing whole to back up"
    )]
    Restoring,
}

/// What is still to be read.
#[derive(Debug)]
struct Taking {
    store: RawStore,
    next: Option<RangeRequest>,
    writer: Writer,
    rest: Bytes,
}

/// The state of `store` as it is now: the bytes of one file, in parts that fit a message.
pub(crate) async fn backup(
    store: AnyStore,
) -> Result<impl Stream<Item = Result<Bytes, BackupError>> + Send, BackupError> {
    let base = term_base(&store).await?;
    let store = store.raw();
    let request = RangeRequest::new(Key::all());
    let first = store.range(request.clone()).await?;
    let marked = RangeRequest::new(KeyRange::one(&restoring())).at(first.revision);
    if !store.range(marked).await?.entries.is_empty() {
        return Err(BackupError::Restoring);
    }
    let mut writer = Writer::default();
    writer.head(&Head {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // No term of this store is later than its revision, and owners that come until the restore
        // are no more than the leap.
        terms: base
            .saturating_add(first.revision.number())
            .saturating_add(TERM_LEAP),
    });
    let mut taking = Taking {
        next: request.after(&first),
        store,
        writer,
        rest: Bytes::new(),
    };
    taking.add(first);
    Ok(stream::try_unfold(taking, |mut taking| async move {
        Ok(taking.part().await?.map(|part| (part, taking)))
    }))
}

impl Taking {
    /// The next part; none after the last.
    async fn part(&mut self) -> Result<Option<Bytes>, RangeError> {
        if self.rest.is_empty() {
            self.rest = self.writer.take();
        }
        if self.rest.is_empty()
            && let Some(request) = self.next.take()
        {
            let page = self.store.range(request.clone()).await?;
            self.next = request.after(&page);
            self.add(page);
            self.rest = self.writer.take();
        }
        let length = self.rest.len().min(BACKUP_PART_BYTES);
        Ok(Some(self.rest.split_to(length)).filter(|part| !part.is_empty()))
    }

    fn add(&mut self, page: Page) {
        // What has a lease belongs to a process, not to the state. The base of terms is in the head.
        let own = |key: &StoreKey| matches!(Key::decode(key), Ok(Key::TermBase | Key::Restoring));
        for entry in page.entries {
            if entry.lease.is_none() && !own(&entry.key) {
                self.writer.entry(&Stored {
                    key: Bytes::copy_from_slice(entry.key.as_bytes()),
                    value: entry.value,
                });
            }
        }
        if self.next.is_none() {
            self.writer.end();
        }
    }
}
