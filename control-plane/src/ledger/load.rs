//! Reading a shard's snapshot and log, all as of one revision of the store.

use agix_core::ledger::{Batch, Books, Corrupt};
use bytes::Bytes;
use tokio::task::{JoinError, spawn_blocking};

use super::codec::{self, InvalidStored};
use super::record::{InvalidRecord, SnapshotHead, StoredBatch};
use crate::store::keyspace::{Key, Shard};
use crate::store::{KeyRange, Page, RangeError, RangeRequest, Store, StoreRevision};

/// What a shard's snapshot and log add up to.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) books: Books,
    /// As of when.
    pub(super) revision: StoreRevision,
    /// Length of the snapshot, in bytes.
    pub(super) snapshot_bytes: u64,
    /// Length of the log since, in bytes.
    pub(super) log_bytes: u64,
    /// Batches of it.
    pub(super) batches: u64,
}

/// Why a shard's books cannot be had from the store.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store could not be read.
    #[error("the ledger cannot be read from the store")]
    Store(#[from] RangeError),
    /// The snapshot is not what was written.
    #[error("the snapshot of the ledger is damaged in the store")]
    Snapshot(#[source] Damage),
    /// A batch is not what was written.
    #[error("batch {batch} of the ledger's log is damaged in the store")]
    Batch {
        /// Which.
        batch: u64,
        /// How.
        #[source]
        damage: Damage,
    },
    /// The process is ending.
    #[error("reading was interrupted")]
    Interrupted(#[source] JoinError),
}

/// How what is stored differs from what was written.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It is malformed.
    #[error(transparent)]
    Record(#[from] InvalidRecord),
    /// Its content is malformed.
    #[error(transparent)]
    Content(#[from] InvalidStored),
    /// It cannot be true after what went before.
    #[error(transparent)]
    Untrue(#[from] Corrupt),
    /// It is another one than its key says.
    #[error("it is batch {0}")]
    Misplaced(u64),
}

/// A batch as it was read.
#[derive(Debug)]
pub(super) struct Found {
    /// The number its key has.
    pub(super) number: u64,
    encoded: Bytes,
}

/// Reads a shard from front to back.
#[derive(Debug)]
pub(super) struct Reader<S> {
    store: S,
    shard: Shard,
    revision: StoreRevision,
    /// The pages of the log that are still to be read.
    log: Option<RangeRequest>,
    pub(super) snapshot: Option<SnapshotHead>,
}

impl Loaded {
    /// The books of a shard as they are in the store now.
    pub(super) async fn read<S: Store>(store: S, shard: Shard) -> Result<Self, LoadError> {
        let (mut reader, books) = Reader::open(store, shard, None).await?;
        let mut loaded = Self {
            books,
            revision: reader.revision,
            snapshot_bytes: reader.snapshot.as_ref().map_or(0, |head| head.bytes),
            log_bytes: 0,
            batches: 0,
        };
        while let Some(page) = reader.next().await? {
            let mut books = loaded.books;
            for found in &page {
                loaded.log_bytes = loaded.log_bytes.saturating_add(length(&found.encoded));
                loaded.batches = loaded.batches.saturating_add(1);
            }
            let replayed = spawn_blocking(move || {
                for found in page {
                    found.replay(&mut books)?;
                }
                Ok::<_, LoadError>(books)
            });
            loaded.books = replayed.await.map_err(LoadError::Interrupted)??;
        }
        Ok(loaded)
    }
}

impl<S: Store> Reader<S> {
    /// The snapshot's books, and what reads the log that goes on from there.
    pub(super) async fn open(
        store: S,
        shard: Shard,
        at: Option<StoreRevision>,
    ) -> Result<(Self, Books), LoadError> {
        let mut request = RangeRequest::new(KeyRange::one(&Key::ShardSnapshotHead(shard).encode()));
        request.at = at;
        let page = store.range(request).await?;
        let mut reader = Self {
            store,
            shard,
            revision: page.revision,
            log: None,
            snapshot: None,
        };
        let mut books = Books::default();
        if let Some(entry) = page.entries.first() {
            let damaged = |damage: InvalidRecord| LoadError::Snapshot(damage.into());
            let head = SnapshotHead::decode(&entry.value).map_err(damaged)?;
            books = reader.books(&head).await?;
            reader.snapshot = Some(head);
        }
        let log = Key::shard_log_from(shard, books.number.saturating_add(1));
        reader.log = Some(RangeRequest::new(log).at(reader.revision));
        Ok((reader, books))
    }

    /// The next batches of the log; nothing after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Found>>, LoadError> {
        let Some(request) = self.log.take() else {
            return Ok(None);
        };
        let page = self.store.range(request.clone()).await?;
        self.log = request.after(&page);
        let mut batches = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            // The range holds no other keys.
            if let Ok(Key::ShardLog(_, number)) = Key::decode(&entry.key) {
                batches.push(self.batch(number, &entry.value).await?);
            }
        }
        Ok(Some(batches))
    }

    async fn batch(&self, number: u64, value: &Bytes) -> Result<Found, LoadError> {
        let damaged = |damage: InvalidRecord| LoadError::Batch {
            batch: number,
            damage: damage.into(),
        };
        let (count, first) = StoredBatch::read(value).map_err(damaged)?;
        if count == 0 {
            return Ok(Found {
                number,
                encoded: first,
            });
        }
        let key = |part| Key::ShardLogPart(self.shard, number, part);
        let range = Key::shard_log_parts(self.shard, number);
        let rest = self.parts(range, count, key).await?.map_err(damaged)?;
        Ok(Found {
            number,
            encoded: [first, Bytes::from(rest)].concat().into(),
        })
    }

    async fn books(&self, head: &SnapshotHead) -> Result<Books, LoadError> {
        let damaged = |damage: InvalidRecord| LoadError::Snapshot(damage.into());
        let key = |part| Key::ShardSnapshot(self.shard, head.batch, part);
        let range = Key::shard_snapshot(self.shard, head.batch);
        let content = self.parts(range, head.parts, key).await?;
        let content = content.map_err(damaged)?;
        let (found, expected) = (length(&content), head.bytes);
        if found != expected {
            return Err(damaged(InvalidRecord::Length { found, expected }));
        }
        let decoded = spawn_blocking(move || codec::decode_books(&content)).await;
        let books = decoded
            .map_err(LoadError::Interrupted)?
            .map_err(|invalid| LoadError::Snapshot(invalid.into()))?;
        if books.number != head.batch {
            return Err(LoadError::Snapshot(Damage::Misplaced(books.number)));
        }
        Ok(books)
    }

    /// The content of the first `count` parts of a range. What an owner left behind that came to no
    /// end may follow them.
    async fn parts(
        &self,
        range: KeyRange,
        count: u16,
        key: impl Fn(u16) -> Key + Send + Sync,
    ) -> Result<Result<Vec<u8>, InvalidRecord>, LoadError> {
        let mut content = Vec::new();
        let mut wanted = 0..count;
        let mut request = Some(RangeRequest::new(range).at(self.revision));
        while let Some(next) = request {
            let page: Page = self.store.range(next.clone()).await?;
            for entry in &page.entries {
                let Some(number) = wanted.next() else {
                    return Ok(Ok(content));
                };
                if entry.key != key(number).encode() {
                    return Ok(Err(InvalidRecord::MissingPart(number)));
                }
                content.extend_from_slice(&entry.value);
            }
            request = next.after(&page);
        }
        Ok(match wanted.next() {
            Some(number) => Err(InvalidRecord::MissingPart(number)),
            None => Ok(content),
        })
    }
}

impl Found {
    /// Takes the batch into books.
    fn replay(self, books: &mut Books) -> Result<(), LoadError> {
        let number = self.number;
        let batch = self.decode()?;
        books.replay(&batch).map_err(|corrupt| LoadError::Batch {
            batch: number,
            damage: corrupt.into(),
        })
    }

    /// What was in it.
    pub(super) fn decode(&self) -> Result<Batch, LoadError> {
        let damaged = |damage: Damage| LoadError::Batch {
            batch: self.number,
            damage,
        };
        let batch = codec::decode_batch(&self.encoded).map_err(|it| damaged(it.into()))?;
        if batch.number == self.number {
            Ok(batch)
        } else {
            Err(damaged(Damage::Misplaced(batch.number)))
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
