//! Reading pages of ranges.
//!
//! etcd bounds a page by its entries alone, so it is read in small steps that grow with what came,
//! all at the revision of the first: neither side holds much more than a page.

use agix_core::limits::{ETCD_ANSWER_TIME, ETCD_FIRST_STEP, STORE_PAGE_BYTES};
use etcd_client::{GetOptions, GetResponse, SortOrder, SortTarget};

use super::Etcd;
use super::answer::{EtcdFailure, Trouble, entry, number_of, revision_of};
use crate::store::{Entry, Page, RangeError, RangeRequest, StoreRevision};

/// A page that is being read.
struct Reading {
    entries: Vec<Entry>,
    bytes: usize,
    limit: usize,
}

impl Etcd {
    /// Reads a page.
    pub(super) async fn read_page(&self, request: &RangeRequest) -> Result<Page, RangeError> {
        let mut at = request.at;
        let mut request = request.clone();
        let mut reading = Reading {
            entries: Vec::new(),
            bytes: 0,
            limit: request.limit,
        };
        let mut step = ETCD_FIRST_STEP;
        loop {
            if request.range.is_empty() {
                // Nothing is asked of etcd that it would take for one key.
                let revision = self.existing(at).await?;
                return Ok(reading.page(revision, None));
            }
            let mut answer = match self.read_step(&request, at, step).await {
                Ok(answer) => answer,
                Err(Trouble::TooLarge(_)) if step > 1 => {
                    step /= 2;
                    continue;
                }
                Err(trouble) => return Err(self.unread(trouble).await),
            };
            let revision = match at {
                Some(at) => at,
                None => revision_of(answer.header()).map_err(unavailable)?,
            };
            at = Some(revision);
            let more = answer.more();
            let before = reading.bytes;
            for pair in answer.take_kvs() {
                let entry = entry(&self.inner.prefix, pair);
                let entry = entry
                    .ok_or_else(|| unavailable(Trouble::Unanswered(EtcdFailure::Malformed)))?;
                if let Some(full) = reading.take(entry) {
                    return Ok(reading.page(revision, Some(full)));
                }
            }
            let last = reading.entries.last().map(|entry| entry.key.clone());
            let (true, Some(last)) = (more, last) else {
                return Ok(reading.page(revision, None));
            };
            request.range = if request.descending {
                request.range.ending_before(&last)
            } else {
                request.range.starting_after(&last)
            };
            if reading.bytes.saturating_sub(before) < STORE_PAGE_BYTES / 8 {
                step = step.saturating_mul(2);
            }
        }
    }

    async fn read_step(
        &self,
        request: &RangeRequest,
        at: Option<StoreRevision>,
        step: usize,
    ) -> Result<GetResponse, Trouble> {
        let (key, end) = self.bounds(&request.range);
        // One more than the page has, to know where the next one begins.
        let limit = step.min(request.limit.saturating_add(1));
        let mut options = GetOptions::new()
            .with_range(end)
            .with_limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .with_revision(at.map_or(0, number_of));
        if request.keys_only {
            options = options.with_keys_only();
        }
        if request.descending {
            options = options.with_sort(SortTarget::Key, SortOrder::Descend);
        }
        let asked = self.inner.endpoints.read(ETCD_ANSWER_TIME, |client| {
            let (key, options) = (key.clone(), options.clone());
            async move { client.kv_client().get(key, Some(options)).await }
        });
        asked.await
    }

    /// The revision `at`, if there is one; the newest if none is asked for.
    async fn existing(&self, at: Option<StoreRevision>) -> Result<StoreRevision, RangeError> {
        let head = self.head().await.map_err(unavailable)?;
        match at {
            Some(at) if at > head => Err(RangeError::Future { head }),
            Some(at) => Ok(at),
            None => Ok(head),
        }
    }

    /// What to tell when a range could not be read.
    async fn unread(&self, trouble: Trouble) -> RangeError {
        let told = match trouble {
            Trouble::Compacted(_) => self
                .compacted()
                .await
                .map(|begins| RangeError::Compacted { begins }),
            Trouble::Future(_) => self.head().await.map(|head| RangeError::Future { head }),
            other => Err(other),
        };
        told.unwrap_or_else(unavailable)
    }
}

fn unavailable(trouble: Trouble) -> RangeError {
    RangeError::Unavailable(trouble.into())
}

impl Reading {
    /// Takes an entry; gives it back if the page was full before.
    fn take(&mut self, entry: Entry) -> Option<Entry> {
        if self.entries.len() >= self.limit || self.bytes >= STORE_PAGE_BYTES {
            return Some(entry);
        }
        self.bytes = self.bytes.saturating_add(entry.value.len());
        self.entries.push(entry);
        None
    }

    fn page(self, revision: StoreRevision, next: Option<Entry>) -> Page {
        Page {
            revision,
            entries: self.entries,
            next: next.map(|entry| entry.key),
        }
    }
}
