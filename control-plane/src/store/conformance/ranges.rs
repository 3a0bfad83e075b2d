//! Ranges, the past, compaction.

use agix_core::limits::{STORE_PAGE_BYTES, STORE_VALUE_BYTES};

use super::{Restart, Subject, as_pairs, delete, entries, key, pairs, prefix, put};
use crate::store::{CompactError, Entry, RangeError, RangeRequest, Store as _, StoreRevision, Txn};

pub(super) async fn keys_come_in_order_and_only_those_of_the_range<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    for name in ["b/2", "a", "b/1", "b", "c", "b0"] {
        put(store, name, name).await;
    }
    let found = pairs(store, "b/", None).await;
    assert_eq!(found, as_pairs(&[("b/1", "b/1"), ("b/2", "b/2")]));
    let one = RangeRequest::new(crate::store::KeyRange::one(&key("b")));
    let page = store.range(one.keys_only()).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert!(page.entries[0].value.is_empty());
}

pub(super) async fn the_past_can_be_read_as_it_was<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let first = put(store, "a", "1").await;
    let second = put(store, "b", "1").await;
    let third = put(store, "a", "2").await;
    let fourth = delete(store, "b").await;
    for (at, expected) in [
        (first, as_pairs(&[("a", "1")])),
        (second, as_pairs(&[("a", "1"), ("b", "1")])),
        (third, as_pairs(&[("a", "2"), ("b", "1")])),
        (fourth, as_pairs(&[("a", "2")])),
    ] {
        assert_eq!(pairs(store, "", Some(at)).await, expected);
    }
}

pub(super) async fn pages_together_are_the_range_at_one_revision<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    for n in 0..5 {
        put(store, &format!("k{n}"), "old").await;
    }
    let mut request = RangeRequest::new(prefix("k")).limit(2);
    let first = store.range(request.clone()).await.unwrap();
    put(store, "k2", "new").await;
    delete(store, "k3").await;
    put(store, "k9", "new").await;
    let mut names: Vec<_> = first.entries.iter().map(|e| e.key.to_string()).collect();
    let mut page = first;
    while let Some(next) = request.after(&page) {
        page = store.range(next.clone()).await.unwrap();
        assert!(page.entries.iter().all(|entry| entry.value == "old"));
        names.extend(page.entries.iter().map(|e| e.key.to_string()));
        request = next;
    }
    assert_eq!(names, ["k0", "k1", "k2", "k3", "k4"]);
}

pub(super) async fn a_range_can_be_read_from_its_end<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    for n in 0..5 {
        put(store, &format!("k{n}"), "old").await;
    }
    delete(store, "k3").await;
    let at = put(store, "k1", "new").await;
    put(store, "k1", "later").await;
    put(store, "l", "other").await;
    let mut request = Some(RangeRequest::new(prefix("k")).at(at).limit(2).descending());
    let mut found = Vec::new();
    while let Some(next) = request {
        let page = store.range(next.clone()).await.unwrap();
        assert!(page.entries.len() <= 2);
        let told = |e: &Entry| format!("{}={}", e.key, e.value.escape_ascii());
        found.extend(page.entries.iter().map(told));
        request = next.after(&page);
    }
    assert_eq!(found, ["k4=old", "k2=old", "k1=new", "k0=old"]);
}

pub(super) async fn a_page_ends_before_it_grows_too_large<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let count = STORE_PAGE_BYTES / STORE_VALUE_BYTES + 4;
    for n in 0..count {
        let txn = Txn::new().put(&key(&format!("k{n:02}")), vec![0_u8; STORE_VALUE_BYTES]);
        super::committed(store, txn).await;
    }
    let page = store.range(RangeRequest::new(prefix("k"))).await.unwrap();
    let bytes: usize = page.entries.iter().map(|entry| entry.value.len()).sum();
    assert!(bytes <= STORE_PAGE_BYTES + STORE_VALUE_BYTES, "{bytes}");
    assert!(page.next.is_some());
    assert_eq!(entries(store, "k", None).await.len(), count);
}

pub(super) async fn the_compacted_past_is_refused_and_the_rest_unchanged<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    put(store, "a", "1").await;
    put(store, "gone", "1").await;
    let before = delete(store, "gone").await;
    let at = put(store, "a", "2").await;
    let after = put(store, "b", "1").await;
    store.compact(at).await.unwrap();
    let refused = store
        .range(RangeRequest::new(prefix("")).at(before))
        .await
        .unwrap_err();
    assert!(matches!(refused, RangeError::Compacted { begins } if begins == at));
    assert_eq!(pairs(store, "", Some(at)).await, as_pairs(&[("a", "2")]));
    let now = as_pairs(&[("a", "2"), ("b", "1")]);
    assert_eq!(pairs(store, "", Some(after)).await, now);
    store.compact(before).await.unwrap();
    assert_eq!(pairs(store, "", None).await, now);
    let future = store.compact(after.next()).await.unwrap_err();
    assert!(matches!(future, CompactError::Future { head } if head == after));
}

pub(super) async fn the_future_is_refused<T: Subject>() {
    let subject = T::fresh().await;
    let store = subject.store();
    let head = put(store, "a", "1").await;
    let request = RangeRequest::new(prefix("")).at(head.next());
    let refused = store.range(request).await.unwrap_err();
    assert!(matches!(refused, RangeError::Future { head: found } if found == head));
}

pub(super) async fn everything_is_there_after_a_restart<T: Subject>() {
    for how in [Restart::Orderly, Restart::Killed] {
        let subject = T::fresh().await;
        let first = put(subject.store(), "a", "1").await;
        let second = put(subject.store(), "a", "2").await;
        let third = delete(subject.store(), "a").await;
        let subject = subject.restarted(how).await;
        let store = subject.store();
        assert_eq!(pairs(store, "", Some(first)).await, as_pairs(&[("a", "1")]));
        assert_eq!(
            pairs(store, "", Some(second)).await,
            as_pairs(&[("a", "2")])
        );
        assert!(pairs(store, "", Some(third)).await.is_empty());
        assert_eq!(put(store, "a", "3").await, third.next());
        store.compact(third).await.unwrap();
        let subject = subject.restarted(how).await;
        let request = RangeRequest::new(prefix("")).at(StoreRevision::new(1));
        let refused = subject.store().range(request).await.unwrap_err();
        assert!(matches!(refused, RangeError::Compacted { begins } if begins == third));
    }
}
