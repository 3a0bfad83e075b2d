//! Transactions.

use agix_core::limits::{
    STORE_KEY_BYTES, STORE_TXN_BYTES, STORE_TXN_OPERATIONS, STORE_VALUE_BYTES,
};
use tokio::task::JoinSet;

use super::{Subject, committed, delete, guard_failed, key, pairs, put, value};
use crate::store::{CommitError, Guard, Refused, Store as _, StoreRevision, Txn, TxnOutcome};

pub(super) async fn a_transaction_is_all_or_nothing<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let both = Txn::new().put(&key("a"), "1").put(&key("b"), "1");
    let revision = committed(store, both).await;
    for name in ["a", "b"] {
        let entry = store.get(&key(name)).await.unwrap().unwrap();
        assert_eq!((entry.created, entry.modified), (revision, revision));
    }
    let refused = Txn::new()
        .absent(&key("c"))
        .absent(&key("b"))
        .put(&key("a"), "2")
        .put(&key("c"), "2")
        .delete(&key("b"));
    assert!(guard_failed(store, refused).await);
    assert_eq!(
        pairs(store, "", None).await,
        super::as_pairs(&[("a", "1"), ("b", "1")])
    );
}

pub(super) async fn each_guard_holds_when_it_should<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let created = put(store, "a", "1").await;
    let modified = put(store, "a", "2").await;
    let a = key("a");
    let none = key("none");
    for guard in [
        Guard::Absent(none.clone()),
        Guard::Created(a.clone(), created),
        Guard::Modified(a.clone(), modified),
        Guard::Value(a.clone(), "2".into()),
    ] {
        committed(store, Txn::new().only_if(guard)).await;
    }
    for guard in [
        Guard::Absent(a.clone()),
        Guard::Created(a.clone(), modified),
        Guard::Created(none.clone(), StoreRevision::NONE),
        Guard::Modified(a.clone(), created),
        Guard::Modified(none.clone(), StoreRevision::NONE),
        Guard::Value(a.clone(), "1".into()),
        Guard::Value(none.clone(), "".into()),
    ] {
        assert!(guard_failed(store, Txn::new().only_if(guard)).await);
    }
}

pub(super) async fn only_a_change_makes_a_revision<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let first = put(store, "a", "1").await;
    assert_eq!(committed(store, Txn::new()).await, first);
    assert_eq!(delete(store, "none").await, first);
    let failed = Txn::new().absent(&key("a")).put(&key("b"), "1");
    assert_eq!(
        store.txn(failed).await.unwrap(),
        TxnOutcome::GuardFailed { revision: first }
    );
    let again = put(store, "a", "1").await;
    assert_eq!(again, first.next(), "a put of the same value is a change");
}

pub(super) async fn a_key_created_again_has_a_new_creation<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let first = put(store, "a", "1").await;
    put(store, "a", "2").await;
    let entry = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!(entry.created, first);
    delete(store, "a").await;
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
    let again = put(store, "a", "3").await;
    let entry = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!((entry.created, entry.modified), (again, again));
}

pub(super) async fn limits_are_refused_and_change_nothing<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let head = put(store, "a", "1").await;
    let half = || vec![0_u8; STORE_TXN_BYTES / 2];
    let many =
        (0..=STORE_TXN_OPERATIONS).fold(Txn::new(), |txn, n| txn.put(&key(&format!("k{n}")), "1"));
    let refused = [
        many,
        Txn::new().put(&key("b"), vec![0_u8; STORE_VALUE_BYTES + 1]),
        Txn::new().put(&key("b"), half()).put(&key("c"), half()),
        Txn::new().put(&key(&"k".repeat(STORE_KEY_BYTES + 1)), "1"),
        Txn::new().put(&key(""), "1"),
        Txn::new().put(&key("b"), "1").delete(&key("b")),
    ];
    for (place, txn) in refused.into_iter().enumerate() {
        let refused: Result<_, CommitError> = store.txn(txn).await;
        let Err(CommitError::Refused(reason)) = refused else {
            panic!("transaction {place} was taken");
        };
        let expected = match place {
            0 => matches!(reason, Refused::TooManyOperations(_)),
            1 => matches!(reason, Refused::ValueTooLarge { .. }),
            2 => matches!(reason, Refused::TooLarge(_)),
            3 | 4 => matches!(reason, Refused::KeyLength(_)),
            _ => matches!(reason, Refused::WrittenTwice(_)),
        };
        assert!(expected, "transaction {place}: {reason}");
    }
    let largest = Txn::new().put(&key("b"), vec![1_u8; STORE_VALUE_BYTES]);
    assert_eq!(committed(store, largest).await, head.next());
    assert_eq!(value(store, "b").await.unwrap().len(), STORE_VALUE_BYTES);
}

pub(super) async fn of_many_racing_swaps_one_wins_each_round<T: Subject>() {
    const RACERS: u64 = 8;
    const ROUNDS: u64 = 5;
    let subject = T::fresh().await;
    let store = subject.store();
    put(store, "counter", "0").await;
    let mut racers = JoinSet::new();
    for _ in 0..RACERS {
        let store = store.clone();
        racers.spawn(async move {
            let mut done = 0;
            while done < ROUNDS {
                let entry = store.get(&key("counter")).await.unwrap().unwrap();
                let count: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                let swap = Txn::new()
                    .unchanged(&key("counter"), Some(&entry))
                    .put(&key("counter"), (count + 1).to_string());
                if let TxnOutcome::Committed { .. } = store.txn(swap).await.unwrap() {
                    done += 1;
                }
            }
        });
    }
    while let Some(racer) = racers.join_next().await {
        racer.unwrap();
    }
    let total = (RACERS * ROUNDS).to_string();
    assert_eq!(value(store, "counter").await.unwrap(), total);
}
