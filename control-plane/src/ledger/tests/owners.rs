//! Several control planes over one store.

use agix_core::ledger::{Batch, ClockMark, Entry, LedgerTime};
use agix_tests::etcd::Member;
use tempfile::TempDir;

use super::*;
use crate::ledger::commit::LogWriter;
use crate::owned::{Lost, Owned};
use crate::store::{Acquired, Embedded, Etcd, Fence};

fn batch(number: u64, entries: Vec<Entry>) -> Batch {
    Batch {
        number,
        at: LedgerTime::from_nanos(number),
        clock: ClockMark::default(),
        entries,
    }
}

async fn owner<S: Store>(store: &S, name: &str) -> (Fence<S>, LogWriter<S>) {
    let key = Key::ShardOwner(SHARD).encode();
    let name = name.to_owned().into();
    let acquired = Fence::acquire(store.clone(), key, name, LONG).await;
    let Acquired::Held(fence) = acquired.unwrap() else {
        panic!("owned by another");
    };
    let log = LogWriter {
        owned: Owned {
            store: store.clone(),
            what: "a log",
            fence: fence.guard(),
            stop: CancellationToken::new(),
        },
        shard: SHARD,
    };
    (fence, log)
}

#[tokio::test]
async fn a_stale_owner_changes_nothing() {
    stale_owner_changes_nothing(Memory::default()).await;
}

#[tokio::test]
async fn a_stale_owner_changes_nothing_in_etcd() {
    let member = Member::alone(&[]).await;
    let address = member.url().parse().unwrap();
    stale_owner_changes_nothing(Etcd::open(&address).await.unwrap()).await;
}

async fn stale_owner_changes_nothing<S: Store>(store: S) {
    let (_stale_fence, stale) = owner(&store, "stale").await;
    stale.append(&batch(1, Vec::new())).await.unwrap();
    expire(&store).await;
    let (_fence, current) = owner(&store, "current").await;
    assert_eq!(stale.append(&batch(2, Vec::new())).await, Err(Lost));
    current.append(&batch(2, Vec::new())).await.unwrap();
    let late = [batch(2, Vec::new()), batch(3, Vec::new())];
    for batch in &late {
        assert_eq!(stale.append(batch).await, Err(Lost));
    }
    let books = stored(&store).await.books;
    let head = Key::ShardSnapshotHead(SHARD).encode();
    assert!(snapshot::write(&stale, books.clone()).await.is_err());
    assert_eq!(store.get(&head).await.unwrap(), None);
    assert_eq!(books.number, 2);
    current.append(&batch(3, Vec::new())).await.unwrap();
}

#[tokio::test]
async fn a_place_in_the_log_is_taken_once() {
    let store = Memory::default();
    let (_fence, log) = owner(&store, "one").await;
    log.append(&batch(1, Vec::new())).await.unwrap();
    let other = batch(1, vec![Entry::UsageDropped { before: Day::FIRST }]);
    assert_eq!(log.append(&other).await, Err(Lost));
    assert_eq!(log.append(&batch(1, Vec::new())).await, Err(Lost));
}

#[tokio::test]
async fn a_second_control_plane_names_the_owner_and_takes_over_from_it() {
    let store = Memory::default();
    let first = Plane::start(store.clone(), "10.0.0.1:7070", 2_000).await;
    let mut proxy = Proxy::new(&first, "one").await.unwrap();
    assert!(proxy.step().await && proxy.step().await);
    let second = Plane::start(store.clone(), "10.0.0.2:7070", 2_000).await;
    let elsewhere = second.desk.desk().open().await.unwrap_err();
    assert_eq!(
        elsewhere,
        NotServed::Elsewhere {
            what: "the ledger",
            owner: "10.0.0.1:7070".into()
        }
    );
    assert!(elsewhere.to_string().contains("10.0.0.1:7070"));
    first.stopped().await;
    let next = loop {
        match second.desk.desk().open().await {
            Ok((speaker, listener)) => break (speaker, listener),
            Err(NotServed::Elsewhere { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    };
    drop(next);
    proxy.check(&second.books().await);
    check(&store, &second).await;
    second.stopped().await;
}

#[tokio::test]
async fn whoever_loses_the_ledger_ends_its_streams_and_starts_over() {
    let store = Memory::default();
    let plane = Plane::start(store.clone(), "one", 2_000).await;
    let mut proxy = Proxy::new(&plane, "one").await.unwrap();
    assert!(proxy.step().await);
    expire(&store).await;
    // The next commit finds out.
    assert!(!proxy.step().await);
    let mut again = Proxy::new(&plane, "two").await.unwrap();
    assert!(again.step().await);
    let books = plane.books().await;
    proxy.check(&books);
    again.check(&books);
    check(&store, &plane).await;
    plane.stopped().await;
}

#[tokio::test]
async fn a_restart_of_the_machine_s_store_goes_on_where_it_was() {
    let directory = TempDir::new().unwrap();
    let mut before = LedgerTime::default();
    let mut spent = NanoUsd::ZERO;
    for round in 0..3 {
        let store = Embedded::open(directory.path()).await.unwrap();
        let plane = Plane::start(store.clone(), "one", 4_000).await;
        let now = plane.desk.look(|view| view.now).await.unwrap();
        assert!(now >= before, "time goes on");
        let mut proxy = Proxy::new(&plane, &format!("proxy-{round}")).await.unwrap();
        for _ in 0..10 {
            assert!(proxy.step().await);
        }
        let verified = check(&store, &plane).await;
        assert!(verified.sums.money.spent > spent, "nothing spent is lost");
        spent = verified.sums.money.spent;
        before = plane.desk.look(|view| view.now).await.unwrap();
        plane.stopped().await;
        store.close().await;
    }
}
