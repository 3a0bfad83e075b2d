//! Watches.

use agix_core::limits::{STORE_TXN_OPERATIONS, STORE_WATCH_BACKLOG};
use tokio::task::JoinSet;

use super::{Subject, committed, delete, key, prefix, put};
use crate::store::{Commit, Event, Store, StoreRevision, Txn, Watch, WatchEnd};

/// What changed, as text: `+a=1`, `-a`.
fn told(commit: &Commit) -> String {
    let event = |event: &Event| match event {
        Event::Put(entry) => format!("+{}={}", entry.key, entry.value.escape_ascii()),
        Event::Deleted(key) => format!("-{key}"),
    };
    let events: Vec<_> = commit.events.iter().map(event).collect();
    format!("{} {}", commit.revision, events.join(" "))
}

async fn next(watch: &mut Watch) -> String {
    told(&watch.next().await.unwrap())
}

pub(super) async fn a_watch_delivers_each_commit_once_and_in_order<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let head = put(store, "a", "0").await;
    let mut watch = store.watch(prefix(""), head.next()).await.unwrap();
    let first = put(store, "b", "1").await;
    let both = Txn::new().put(&key("b"), "2").delete(&key("a"));
    let second = committed(store, both).await;
    committed(store, Txn::new()).await;
    let third = put(store, "a", "3").await;
    assert_eq!(next(&mut watch).await, format!("{first} +b=1"));
    assert_eq!(next(&mut watch).await, format!("{second} -a +b=2"));
    let commit = watch.next().await.unwrap();
    assert_eq!(told(&commit), format!("{third} +a=3"));
    let Event::Put(entry) = &commit.events[0] else {
        panic!("a put is a put");
    };
    assert_eq!((entry.created, entry.modified), (third, third));
}

pub(super) async fn a_watch_begins_in_the_past_without_a_gap<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    put(store, "a", "1").await;
    let second = put(store, "a", "2").await;
    let third = delete(store, "a").await;
    let mut watch = store.watch(prefix("a"), second).await.unwrap();
    let fourth = put(store, "a", "4").await;
    assert_eq!(next(&mut watch).await, format!("{second} +a=2"));
    assert_eq!(next(&mut watch).await, format!("{third} -a"));
    assert_eq!(next(&mut watch).await, format!("{fourth} +a=4"));
}

pub(super) async fn a_watch_beginning_later_waits_for_it<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let head = put(store, "a", "1").await;
    let from = head.next().next();
    let mut watch = store.watch(prefix(""), from).await.unwrap();
    put(store, "a", "2").await;
    put(store, "a", "3").await;
    assert_eq!(next(&mut watch).await, format!("{from} +a=3"));
}

pub(super) async fn a_watch_of_the_compacted_past_is_refused<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let first = put(store, "a", "1").await;
    let second = put(store, "a", "2").await;
    let third = put(store, "a", "3").await;
    store.compact(second).await.unwrap();
    for from in [StoreRevision::NONE, first, second] {
        let refused = store.watch(prefix(""), from).await.unwrap_err();
        assert!(matches!(refused, WatchEnd::Compacted { at } if at == second));
    }
    let mut watch = store.watch(prefix(""), third).await.unwrap();
    assert_eq!(next(&mut watch).await, format!("{third} +a=3"));
}

/// Makes more events than a watcher may fall behind.
async fn flood(store: &impl Store) {
    let commits = STORE_WATCH_BACKLOG / STORE_TXN_OPERATIONS + 1;
    for _ in 0..commits {
        let txn = (0..STORE_TXN_OPERATIONS).fold(Txn::new(), |txn, n| {
            txn.put(&key(&format!("flood/{n}")), "x")
        });
        committed(store, txn).await;
    }
}

pub(super) async fn a_watcher_that_does_not_keep_up_is_cut_off_after_its_backlog<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let first = put(store, "a", "1").await;
    let mut slow = store.watch(prefix(""), first).await.unwrap();
    let mut other = store.watch(prefix("a"), first).await.unwrap();
    flood(store).await;
    let mut last = None;
    let end = loop {
        match slow.next().await {
            Ok(commit) => {
                assert!(last.is_none_or(|last: StoreRevision| last.next() == commit.revision));
                last = Some(commit.revision);
            }
            Err(end) => break end,
        }
    };
    assert!(matches!(end, WatchEnd::Lagged), "{end}");
    assert!(
        last.is_some_and(|last| last > first),
        "the backlog came before the end"
    );
    let after = put(store, "a", "2").await;
    assert_eq!(next(&mut other).await, format!("{first} +a=1"));
    assert_eq!(next(&mut other).await, format!("{after} +a=2"));
}

pub(super) async fn a_watch_too_far_back_is_refused<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let first = put(store, "a", "1").await;
    flood(store).await;
    let end = match store.watch(prefix(""), first).await {
        Err(refused) => refused,
        Ok(mut watch) => loop {
            if let Err(end) = watch.next().await {
                break end;
            }
        },
    };
    assert!(matches!(end, WatchEnd::Lagged), "{end}");
    let mut watch = store.watch(prefix("a"), first).await.unwrap();
    assert_eq!(next(&mut watch).await, format!("{first} +a=1"));
}

pub(super) async fn a_watch_sees_only_its_range<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let mut watch = store
        .watch(prefix("b/"), StoreRevision::new(1))
        .await
        .unwrap();
    put(store, "a", "1").await;
    let both = Txn::new().put(&key("b/1"), "1").put(&key("c"), "1");
    let second = committed(store, both).await;
    delete(store, "c").await;
    let fourth = delete(store, "b/1").await;
    assert_eq!(next(&mut watch).await, format!("{second} +b/1=1"));
    assert_eq!(next(&mut watch).await, format!("{fourth} -b/1"));
}

pub(super) async fn commits_racing_with_the_start_of_a_watch_are_not_lost<T: Subject>() {
    const COMMITS: u64 = 60;
    let subject = T::fresh().await;
    let store = subject.store();
    let first = put(store, "a", "0").await;
    let mut tasks = JoinSet::new();
    for watcher in 0..4 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..watcher {
                tokio::task::yield_now().await;
            }
            let mut watch = store.watch(prefix(""), first).await.unwrap();
            for n in 0..=COMMITS {
                let expected = StoreRevision::new(first.number() + n);
                assert_eq!(watch.next().await.unwrap().revision, expected);
            }
        });
    }
    for n in 1..=COMMITS {
        put(store, "a", &n.to_string()).await;
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}
