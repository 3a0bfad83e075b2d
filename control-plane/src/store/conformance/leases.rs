//! Leases and fencing.

use std::time::Duration;

use super::{Restart, Subject, committed, delete, guard_failed, key, put, value};
use crate::store::keyspace::{Key, Shard};
use crate::store::{Acquired, CommitError, Fence, LeaseError, LeaseId, Store, StoreRevision, Txn};

const TTL: Duration = Duration::from_secs(10);

pub(super) async fn a_revoked_lease_takes_its_keys_along<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let lease = store.grant(TTL).await.unwrap();
    let other = store.grant(TTL).await.unwrap();
    assert_ne!(lease, other);
    let bound = Txn::new()
        .put_leased(&key("a"), "1", lease)
        .put_leased(&key("b"), "1", lease)
        .put_leased(&key("c"), "1", other)
        .put(&key("d"), "1");
    let revision = committed(store, bound).await;
    assert_eq!(
        store.get(&key("a")).await.unwrap().unwrap().lease,
        Some(lease)
    );
    let mut watch = store
        .watch(super::prefix(""), revision.next())
        .await
        .unwrap();
    store.keep_alive(lease).await.unwrap();
    store.revoke(lease).await.unwrap();
    let commit = watch.next().await.unwrap();
    assert_eq!((commit.revision, commit.events.len()), (revision.next(), 2));
    for (name, there) in [("a", false), ("b", false), ("c", true), ("d", true)] {
        assert_eq!(value(store, name).await.is_some(), there, "{name}");
    }
    let ended = store.keep_alive(lease).await.unwrap_err();
    assert!(matches!(ended, LeaseError::Ended));
    let ended = store.revoke(lease).await.unwrap_err();
    assert!(matches!(ended, LeaseError::Ended));
}

pub(super) async fn a_key_leaves_its_lease_when_it_is_put_without<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let lease = store.grant(TTL).await.unwrap();
    let other = store.grant(TTL).await.unwrap();
    let bound = Txn::new()
        .put_leased(&key("a"), "1", lease)
        .put_leased(&key("b"), "1", lease)
        .put_leased(&key("c"), "1", lease);
    committed(store, bound).await;
    put(store, "a", "2").await;
    committed(store, Txn::new().put_leased(&key("b"), "2", other)).await;
    delete(store, "c").await;
    put(store, "c", "2").await;
    store.revoke(lease).await.unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(value(store, name).await.unwrap(), "2", "{name}");
    }
    store.revoke(other).await.unwrap();
    assert_eq!(value(store, "b").await, None);
}

pub(super) async fn nothing_can_be_bound_to_a_lease_that_ended<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let lease = store.grant(TTL).await.unwrap();
    store.revoke(lease).await.unwrap();
    for lease in [lease, LeaseId::new(u64::MAX)] {
        let bound = Txn::new()
            .put(&key("a"), "1")
            .put_leased(&key("b"), "1", lease);
        let refused = store.txn(bound).await.unwrap_err();
        assert!(matches!(refused, CommitError::LeaseEnded));
    }
    assert_eq!(value(store, "a").await, None);
}

async fn acquire<S: Store>(store: &S, name: &'static str) -> Acquired<S> {
    let owner = Key::ShardOwner(Shard::new(0)).encode();
    Fence::acquire(store.clone(), owner, name.into(), TTL)
        .await
        .unwrap()
}

fn held<S>(acquired: Acquired<S>) -> Fence<S> {
    match acquired {
        Acquired::Held(fence) => fence,
        Acquired::Taken { by } => panic!("taken by {by:?}"),
    }
}

pub(super) async fn of_two_owners_one_holds_and_the_next_has_a_larger_term<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let first = held(acquire(store, "one").await);
    let Acquired::Taken { by } = acquire(store, "two").await else {
        panic!("two owners at once");
    };
    assert_eq!(by, "one");
    first.keep_alive().await.unwrap();
    let term = first.term();
    first.release().await.unwrap();
    let second = held(acquire(store, "two").await);
    assert!(second.term() > term);
}

pub(super) async fn what_an_owner_could_not_give_up_does_not_stand_in_its_own_way<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let lost = held(acquire(store, "one").await);
    for other in ["two", "one"] {
        let Acquired::Taken { by } = acquire(store, other).await else {
            panic!("two owners at once");
        };
        assert_eq!(by, "one");
    }
    let next = held(acquire(store, "one").await);
    assert!(next.term() > lost.term());
    let late = Txn::new().only_if(lost.guard()).put(&key("book"), "1");
    assert!(guard_failed(store, late).await);
}

pub(super) async fn an_owner_that_lost_its_key_can_write_nothing<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let old = held(acquire(store, "old").await);
    committed(
        store,
        Txn::new().only_if(old.guard()).put(&key("book"), "1"),
    )
    .await;
    // What the end of the lease does, without the old owner knowing.
    delete(store, &Key::ShardOwner(Shard::new(0)).encode().to_string()).await;
    let new = held(acquire(store, "new").await);
    let late = Txn::new().only_if(old.guard()).put(&key("book"), "2");
    assert!(guard_failed(store, late).await);
    committed(
        store,
        Txn::new().only_if(new.guard()).put(&key("book"), "3"),
    )
    .await;
    assert_eq!(value(store, "book").await.unwrap(), "3");
}

pub(super) async fn a_lease_ends_with_its_process<T: Subject>() {
    for how in [Restart::Orderly, Restart::Killed] {
        let subject = T::fresh().await;
        let before = held(acquire(subject.store(), "before").await).term();
        put(subject.store(), "kept", "1").await;
        let subject = subject.restarted(how).await;
        let store = subject.store();
        match (acquire(store, "after").await, T::LEASES_SURVIVE) {
            (Acquired::Taken { by }, true) => assert_eq!(by, "before"),
            (Acquired::Held(fence), false) => {
                assert!(fence.term() > before);
                assert!(fence.term() > StoreRevision::new(2));
            }
            _ => panic!("the lease should have ended with its process, and only with it"),
        }
        assert_eq!(value(store, "kept").await.unwrap(), "1");
    }
}
