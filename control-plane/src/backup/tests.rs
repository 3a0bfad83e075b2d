//! The promises of a backup and a restore, over stores in memory.

use std::time::Duration;

use agix_core::webhook::execution::ExecutionId;
use futures_util::{TryStreamExt as _, pin_mut};

use super::*;
use crate::ledger::SHARD;
use crate::repository::{ApplyError, Intent, Proposal, Repository};
use crate::store::{Acquired, AnyStore, Fence, KeyRange, RangeRequest, Store as _, Txn, term_base};

const KEY: &str = "11111111111111111111111111111111111111111111111111111111111111aa";
const OTHER: &str = "22222222222222222222222222222222222222222222222222222222222222bb";

/// A store with a policy of two revisions, a log and a webhook, owned by somebody.
async fn busy() -> AnyStore {
    let store = AnyStore::in_memory(Some(KEY));
    let repository = Repository::open(store.clone()).await.unwrap();
    for requests in [1, 2] {
        repository.apply(proposal(requests)).await.unwrap();
    }
    assert!(matches!(own(&store).await, Acquired::Held(_)));
    let mut txn = Txn::new();
    for batch in 0..100 {
        let key = Key::ShardLog(SHARD, batch).encode();
        txn = txn.put(&key, vec![7; 1_000]);
    }
    store.txn(txn).await.unwrap();
    let id = ExecutionId::from_bits(5);
    for key in [Key::WebhookExecution(id), Key::WebhookPayload(id)] {
        store
            .txn(Txn::new().put(&key.encode(), "hunter2"))
            .await
            .unwrap();
    }
    store
}

fn proposal(requests: u32) -> Proposal {
    let text = format!("rate_limits: {{ batch: {{ requests_per_minute: {requests} }} }}");
    let file = agix_core::policy::document::SourceFile {
        name: "policy.yaml".to_owned(),
        text,
    };
    let checked = agix_core::policy::document::read(&[file], &|_: &str| true).unwrap();
    Proposal {
        policy: checked.policy.into(),
        sources: checked.redacted,
        intent: Intent {
            author: "ann".to_owned(),
            message: String::new(),
            time: agix_core::time::Wall::from_millis(1),
            expected: None,
            dry_run: false,
        },
    }
}

async fn own(store: &AnyStore) -> Acquired<AnyStore> {
    let key = Key::ShardOwner(SHARD).encode();
    let ttl = Duration::from_secs(10);
    let acquired = Fence::acquire(store.clone(), key, "somebody".into(), ttl);
    acquired.await.unwrap()
}

async fn taken(store: &AnyStore) -> Vec<u8> {
    let parts = backup(store.clone()).await.unwrap();
    pin_mut!(parts);
    let mut bytes = Vec::new();
    while let Some(part) = parts.try_next().await.unwrap() {
        bytes.extend_from_slice(&part);
    }
    bytes
}

async fn begun(store: &AnyStore) -> Restore {
    match Restore::begin(store.clone()).await.unwrap() {
        Begun::Restore(restore) => *restore,
        Begun::NotEmpty(holds) => panic!("{holds}"),
    }
}

async fn restored(store: &AnyStore, bytes: &[u8]) -> Result<Restored, RestoreError> {
    let mut restore = begun(store).await;
    for part in bytes.chunks(1_000) {
        if let Err(error) = restore.take(part).await {
            restore.abandon().await;
            return Err(error);
        }
    }
    match restore.finish(None).await {
        Ok(restored) => Ok(restored),
        Err((restore, error)) => {
            restore.abandon().await;
            Err(error)
        }
    }
}

/// Everything that belongs to the state, as it is stored.
async fn content(store: &AnyStore) -> Vec<(String, Vec<u8>)> {
    let page = store.raw().range(RangeRequest::new(Key::all())).await;
    let entries = page.unwrap().entries.into_iter();
    let state =
        entries.filter(|entry| entry.lease.is_none() && entry.key != Key::TermBase.encode());
    state
        .map(|entry| (entry.key.to_string(), entry.value.to_vec()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_state_is_the_same_in_another_store_and_its_terms_go_on() {
    let old = busy().await;
    let bytes = taken(&old).await;
    let new = AnyStore::in_memory(Some(KEY));
    let repository = Repository::open(new.clone()).await.unwrap();
    let done = restored(&new, &bytes).await.unwrap();
    assert_eq!(done.revision, Some(agix_core::id::Revision::new(2)));
    assert_eq!(content(&new).await, content(&old).await);
    assert_eq!(content(&new).await.len() as u64, done.entries);
    let Acquired::Held(owner) = own(&new).await else {
        panic!("nobody owns what was restored");
    };
    let term = term_base(&new).await.unwrap() + owner.term().number();
    let last = old.get(&Key::PolicyHead.encode()).await.unwrap().unwrap();
    assert!(term > last.modified.number() + 1_000);
    // Restored once more, terms have still gone on.
    let third = AnyStore::in_memory(Some(KEY));
    restored(&third, &taken(&new).await).await.unwrap();
    assert!(term_base(&third).await.unwrap() > term);
    // A control plane that was running takes it up.
    repository.apply(proposal(3)).await.unwrap();
    let current = repository.current().unwrap();
    assert_eq!(current.info().revision.number(), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_else_happens_in_a_store_while_it_is_restored() {
    let bytes = taken(&busy().await).await;
    let store = AnyStore::in_memory(Some(KEY));
    let Acquired::Held(old) = own(&store).await else {
        panic!("nobody else is there");
    };
    let repository = Repository::open(store.clone()).await.unwrap();
    let mut restore = begun(&store).await;
    restore.take(&bytes[..bytes.len() / 2]).await.unwrap();
    let late = Txn::new()
        .only_if(old.guard())
        .put(&Key::ShardLog(SHARD, 9).encode(), "late");
    let late = store.txn(late).await.unwrap();
    assert!(matches!(late, crate::store::TxnOutcome::GuardFailed { .. }));
    assert!(matches!(own(&store).await, Acquired::Taken { .. }));
    let refused = repository.apply(proposal(1)).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Restoring));
    assert!(repository.is_restoring().await.unwrap());
    let unfinished = backup(store.clone()).await.err().unwrap();
    assert!(matches!(unfinished, BackupError::Restoring));
    drop(repository.collect().await);
    restore.take(&bytes[bytes.len() / 2..]).await.unwrap();
    restore.finish(None).await.unwrap();
    assert!(!repository.is_restoring().await.unwrap());
    let whole = Repository::open(store).await.unwrap();
    let first = agix_core::id::Revision::new(1);
    assert!(whole.load(first).await.is_ok(), "no chunk was collected");
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_was_cut_off_is_begun_again_and_the_first_changes_nothing_more() {
    let old = busy().await;
    let bytes = taken(&old).await;
    let store = AnyStore::in_memory(Some(KEY));
    let mut cut_off = begun(&store).await;
    cut_off.take(&bytes[..bytes.len() / 2]).await.unwrap();
    restored(&store, &bytes).await.unwrap();
    assert_eq!(content(&store).await, content(&old).await);
    let rest = cut_off.take(&bytes[bytes.len() / 2..]).await;
    let late = match rest {
        Err(error) => error,
        Ok(()) => cut_off.finish(None).await.unwrap_err().1,
    };
    assert!(matches!(late, RestoreError::Overtaken), "{late}");
    assert_eq!(content(&store).await, content(&old).await);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_holds_something_is_left_as_it_is() {
    let old = busy().await;
    let before = content(&old).await;
    let Begun::NotEmpty(holds) = Restore::begin(old.clone()).await.unwrap() else {
        panic!("it holds something");
    };
    assert!(holds.contains("revision 2"), "{holds}");
    assert_eq!(content(&old).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_backup_or_another_key_leaves_the_store_empty() {
    let bytes = taken(&busy().await).await;
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let cut = &bytes[..bytes.len() - 3];
    for (bytes, key) in [
        (&damaged[..], Some(KEY)),
        (cut, Some(KEY)),
        (&bytes[..], Some(OTHER)),
        (&bytes[..], None),
    ] {
        let store = AnyStore::in_memory(key);
        let refused = restored(&store, bytes).await.unwrap_err();
        if key != Some(KEY) {
            assert!(matches!(refused, RestoreError::Sealed(_)), "{refused}");
        }
        assert_eq!(content(&store).await, []);
        assert!(matches!(own(&store).await, Acquired::Held(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_holds_no_secret_that_is_sealed_in_the_store() {
    let bytes = taken(&busy().await).await;
    let payload = Key::WebhookPayload(ExecutionId::from_bits(5)).encode();
    let found = bytes.windows(7).filter(|some| some == b"hunter2").count();
    assert_eq!(
        found, 1,
        "the state of the execution is not sealed, {payload} is"
    );
    let restored_to = AnyStore::in_memory(Some(KEY));
    restored(&restored_to, &bytes).await.unwrap();
    let range = RangeRequest::new(KeyRange::one(&payload));
    let opened = restored_to.range(range).await.unwrap();
    assert_eq!(opened.entries[0].value, "hunter2");
}
