//! Reading revisions from the store.

use std::sync::Arc;

use agix_core::id::Revision;
use agix_core::limits::{CHUNK_READS, HISTORY_REVISIONS};
use agix_core::policy::document::SourceFile;
use agix_proto::convert::decode_policy;
use agix_proto::v1;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::blob::{self, Blob};
use super::record::{Record, decode_head};
use super::{Damage, LoadError, Published, Repository, RevisionInfo};
use crate::store::keyspace::{ChunkId, Key};
use crate::store::{Entry, KeyRange, RangeRequest, Store, StoreRevision};

/// A part of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Revisions, newest first.
    pub revisions: Vec<RevisionInfo>,
    /// Whether there are older ones.
    pub more: bool,
}

impl<S: Store> Repository<S> {
    /// What is known of `revision`.
    pub async fn info(&self, revision: Revision) -> Result<RevisionInfo, LoadError> {
        Ok(self.record(revision).await?.info)
    }

    /// Revisions before `before`, or the newest ones; at most `limit`, and never more than
    /// [`HISTORY_REVISIONS`].
    pub async fn history(
        &self,
        limit: usize,
        before: Option<Revision>,
    ) -> Result<History, LoadError> {
        let limit = limit.clamp(1, HISTORY_REVISIONS);
        let range = match before {
            Some(before) => Key::policy_revisions_before(before),
            None => Key::policy_revisions(),
        };
        let mut revisions = Vec::new();
        // One more, to know whether there are older ones.
        let wanted = limit.saturating_add(1);
        let mut request = Some(RangeRequest::new(range).limit(wanted).descending());
        while let Some(next) = request.filter(|_| revisions.len() < wanted) {
            let page = self.inner.store.range(next.clone()).await?;
            for entry in &page.entries {
                revisions.push(record(entry)?.info);
            }
            request = next.after(&page);
        }
        let more = revisions.len() > limit;
        revisions.truncate(limit);
        Ok(History { revisions, more })
    }

    /// `revision` with its policy.
    pub async fn load(&self, revision: Revision) -> Result<Arc<Published>, LoadError> {
        if let Some(current) = self.current().filter(|it| it.info().revision == revision) {
            return Ok(current);
        }
        let record = self.record(revision).await?;
        let damaged = |damage| LoadError::Damaged { revision, damage };
        let canonical: Bytes = self.content(revision, &record.policy).await?.into();
        let decoded = spawn_blocking(move || {
            if Sha256::digest(&canonical).as_slice() != record.info.hash.as_bytes() {
                return Err(Damage::Hash);
            }
            let policy = decode_policy(&canonical).map_err(Damage::Policy)?;
            Ok(Published::new(record, Arc::new(policy), canonical))
        });
        let published = decoded.await.map_err(LoadError::Interrupted)?;
        Ok(Arc::new(published.map_err(damaged)?))
    }

    /// The files `revision` was made of, secrets redacted.
    pub async fn sources(&self, revision: Revision) -> Result<Vec<SourceFile>, LoadError> {
        let record = self.record(revision).await?;
        let bytes = self.content(revision, &record.sources).await?;
        let v1::Document { files } =
            v1::Document::decode(bytes.as_slice()).map_err(|error| LoadError::Damaged {
                revision,
                damage: Damage::Sources(error),
            })?;
        Ok(files.into_iter().map(SourceFile::from).collect())
    }

    /// The head as it is now, and the revision of the store it was read at.
    pub(super) async fn head(&self) -> Result<(Option<Entry>, StoreRevision), LoadError> {
        let request = RangeRequest::new(KeyRange::one(&Key::PolicyHead.encode()));
        let page = self.inner.store.range(request).await?;
        Ok((page.entries.into_iter().next(), page.revision))
    }

    /// Makes the revision `head` names current, if it is newer than the one that is. To be called
    /// with the right to write.
    pub(super) async fn take_over(
        &self,
        head: Option<&Entry>,
    ) -> Result<Option<Arc<Published>>, LoadError> {
        let Some(head) = head else {
            return Ok(None);
        };
        let revision = decode_head(&head.value).map_err(LoadError::DamagedHead)?;
        let published = self.load(revision).await?;
        self.publish(&published);
        Ok(Some(published))
    }

    /// Makes `published` current, if it is newer than what is.
    pub(super) fn publish(&self, published: &Arc<Published>) {
        let number = |it: &Arc<Published>| it.info().revision;
        self.inner.current.send_if_modified(|current| {
            let is_newer = current.as_ref().map(number) < Some(number(published));
            if is_newer {
                *current = Some(Arc::clone(published));
            }
            is_newer
        });
    }

    /// Hands every entry of a range to `take`.
    pub(super) async fn each(
        &self,
        request: RangeRequest,
        mut take: impl FnMut(&Entry) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let mut request = Some(request);
        while let Some(next) = request {
            let page = self.inner.store.range(next.clone()).await?;
            page.entries.iter().try_for_each(&mut take)?;
            request = next.after(&page);
        }
        Ok(())
    }

    pub(super) async fn record(&self, revision: Revision) -> Result<Record, LoadError> {
        let key = Key::PolicyRevision(revision).encode();
        let entry = self.inner.store.get(&key).await?;
        record(&entry.ok_or(LoadError::NoSuchRevision(revision))?)
    }

    /// The content of a blob of `revision`.
    async fn content(&self, revision: Revision, blob: &Blob) -> Result<Vec<u8>, LoadError> {
        match self.joined(revision, blob).await {
            // The revision may have left the history since its record was read, and its chunks with
            // it.
            Err(LoadError::Damaged {
                damage: damage @ Damage::MissingChunk(_),
                ..
            }) => {
                self.record(revision).await?;
                Err(LoadError::Damaged { revision, damage })
            }
            other => other,
        }
    }

    async fn joined(&self, revision: Revision, blob: &Blob) -> Result<Vec<u8>, LoadError> {
        let store = &self.inner.store;
        let reads = blob.chunks.clone().into_iter();
        let reads = reads.map(|id| chunk(store.clone(), revision, id));
        let mut reads = stream::iter(reads).buffered(CHUNK_READS);
        let mut content = Vec::new();
        while let Some(plain) = reads.try_next().await? {
            content.extend_from_slice(&plain);
        }
        let found = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if found != blob.bytes {
            let damage = Damage::Length {
                found,
                expected: blob.bytes,
            };
            return Err(LoadError::Damaged { revision, damage });
        }
        Ok(content)
    }
}

async fn chunk<S: Store>(store: S, revision: Revision, id: ChunkId) -> Result<Vec<u8>, LoadError> {
    let damaged = |damage| LoadError::Damaged { revision, damage };
    let entry = store.get(&Key::PolicyChunk(id).encode()).await?;
    let stored = entry.ok_or(damaged(Damage::MissingChunk(id)))?.value;
    blob::plain(&id, &stored).map_err(|source| damaged(Damage::Chunk { chunk: id, source }))
}

/// The record stored in `entry`.
pub(super) fn record(entry: &Entry) -> Result<Record, LoadError> {
    Record::decode(&entry.value).map_err(|invalid| {
        // The key names the revision even where the record cannot.
        let revision = match Key::decode(&entry.key) {
            Ok(Key::PolicyRevision(revision)) => revision,
            Ok(_) | Err(_) => Revision::NONE,
        };
        LoadError::Damaged {
            revision,
            damage: Damage::Record(invalid),
        }
    })
}
