//! Faults at every transaction of the ledger.

use super::*;
use crate::store::flaky::{Fault, Flaky};

/// Transactions of the scenario: acquiring, batches, snapshots and what they delete.
const STEPS: usize = 60;

/// Proxies work until the ledger is silent, or to the end.
async fn work(plane: &Plane) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for id in ["one", "two"] {
        if let Some(proxy) = Proxy::new(plane, id).await {
            proxies.push(proxy);
        }
    }
    for _ in 0..12 {
        for proxy in &mut proxies {
            if !proxy.step().await {
                return proxies;
            }
        }
    }
    proxies
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_loses_nothing_that_was_told() {
    let mut crashed = 0;
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        for step in 0..STEPS {
            let store = Memory::default();
            let flaky = Flaky::new(store.clone(), step, 1, fault);
            let plane = Plane::start(flaky.clone(), "first", 2_000).await;
            let proxies = work(&plane).await;
            crashed += usize::from(flaky.happened());
            plane.stopped().await;
            expire(&store).await;

            let next = Plane::start(store.clone(), "second", 2_000).await;
            let books = next.books().await;
            for proxy in &proxies {
                proxy.check(&books);
            }
            check(&store, &next).await;
            let more = work(&next).await;
            assert_eq!(more.len(), 2, "{fault:?} at {step}");
            check(&store, &next).await;
            next.stopped().await;
        }
    }
    assert!(crashed > STEPS / 2, "{crashed} crashes");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_settled_before_anything_is_told() {
    for fault in [Fault::Lost, Fault::Silent, Fault::Late] {
        for (step, times) in (0..STEPS).map(|step| (step, 1 + step % 3)) {
            let store = Memory::default();
            let flaky = Flaky::new(store.clone(), step, times, fault);
            let plane = Plane::start(flaky.clone(), "one", 2_000).await;
            let proxies = work(&plane).await;
            assert_eq!(proxies.len(), 2, "{fault:?} at {step}");
            let books = plane.books().await;
            for proxy in &proxies {
                assert_eq!(proxy.confirmed, 12, "{fault:?} at {step}");
                proxy.check(&books);
            }
            check(&store, &plane).await;
            plane.stopped().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_while_the_store_cannot_be_written() {
    let store = Memory::default();
    // The first transactions make the owner and the first session.
    let flaky = Flaky::new(store.clone(), 2, usize::MAX, Fault::Lost);
    let plane = Plane::start(flaky, "one", 2_000).await;
    let mut proxy = Proxy::new(&plane, "one").await.unwrap();
    assert!(!proxy.step().await);
    assert!(proxy.accounts.is_empty() || proxy.confirmed == 0);
    let silent = plane.desk.look(|_| ()).await;
    assert!(matches!(
        silent,
        Err(NotServed::Silent(_) | NotServed::Starting(_))
    ));
    assert_eq!(stored(&store).await.books.number, 1);
    plane.stopped().await;
}
