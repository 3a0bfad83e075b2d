//! What is done now and then to keep the store small: unused chunks are collected and the store's
//! own past is compacted. A failure is logged and tried again the next time.

use std::error::Error;

use agix_core::id::Revision;
use agix_core::limits::STORE_COMPACT_INTERVAL;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::repository::{Collected, Repository};
use crate::store::keyspace::Key;
use crate::store::{KeyRange, RangeRequest, Store, StoreRevision};

/// What was done the last time.
#[derive(Debug, Default)]
struct Done {
    /// The revision of the policy up to which unused chunks are collected.
    collected: Option<Revision>,
    /// The revision the store had.
    seen: StoreRevision,
}

/// Keeps house until `stop` is cancelled.
pub(crate) async fn run<S: Store>(store: S, repository: Repository<S>, stop: CancellationToken) {
    let mut done = Done::default();
    loop {
        round(&store, &repository, &mut done).await;
        let pause = tokio::time::sleep(STORE_COMPACT_INTERVAL);
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

async fn round<S: Store>(store: &S, repository: &Repository<S>, done: &mut Done) {
    let current = repository.current().map(|it| it.info().revision);
    if done.collected != current || current.is_none() {
        match repository.collect().await {
            Ok(Collected::Deleted(_)) => done.collected = current,
            Ok(Collected::Interrupted) => {}
            Err(error) => complain(&error, "unused parts of old policies could not be deleted"),
        }
    }
    // Compacted is what was the past a whole pause ago: nobody is still reading it.
    let before = done.seen;
    match store
        .range(RangeRequest::new(KeyRange::one(&Key::PolicyHead.encode())))
        .await
    {
        Ok(page) => done.seen = page.revision,
        Err(error) => return complain(&error, "the store cannot be read"),
    }
    if let Err(error) = store.compact(before).await {
        complain(&error, "the store could not be compacted");
    }
}

fn complain(error: &(dyn Error + 'static), what: &str) {
    warn!(error, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, RangeError, Txn};

    #[tokio::test]
    async fn the_past_is_compacted_one_round_later() {
        let store = Memory::default();
        let repository = Repository::open(store.clone()).await.unwrap();
        let mut done = Done::default();
        let key = Key::PolicyCollection.encode();
        let at =
            |revision| RangeRequest::new(Key::policy_chunks()).at(StoreRevision::new(revision));
        for _ in 0..3 {
            store.txn(Txn::new().put(&key, "x")).await.unwrap();
        }
        round(&store, &repository, &mut done).await;
        assert!(store.range(at(1)).await.is_ok(), "still readable");
        store.txn(Txn::new().put(&key, "x")).await.unwrap();
        round(&store, &repository, &mut done).await;
        let gone = store.range(at(2)).await.unwrap_err();
        assert!(matches!(gone, RangeError::Compacted { begins } if begins.number() == 3));
        assert!(store.range(at(3)).await.is_ok());
    }
}
