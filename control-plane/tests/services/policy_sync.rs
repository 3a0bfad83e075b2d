//! The policy stream.

use agix_proto::v1;
use agix_proto::v1::proxy_message::Body as Say;
use tonic::Code;

use crate::plane::{Plane, limit};
use crate::proxy::{Proxy, strange_hash};

#[tokio::test]
async fn a_new_proxy_gets_a_snapshot_and_then_deltas() {
    let plane = Plane::in_memory().await;
    plane.apply(&limit(1)).await;
    let mut proxy = Proxy::fresh(&plane, "one").await;
    let first = proxy.follow().await;
    assert_eq!((first.revision, first.base), (1, None));
    let known = plane.proxy(|known| known.applied_revision == 1).await;
    assert!(known.connected && known.applied_at_unix_ms > 0);
    assert_eq!(
        (known.id.as_str(), known.version.as_str()),
        ("one", "0.1.0")
    );

    let more = format!("{}  other: {{ requests_per_minute: 2 }}\n", limit(1));
    plane.apply(&more).await;
    let second = proxy.follow().await;
    assert_eq!((second.revision, second.base), (2, Some(1)));
    assert_eq!(proxy.policy.rate_limits.len(), 2);
    plane.proxy(|known| known.applied_revision == 2).await;
    let status = plane.status().await;
    assert_eq!((status.proxies_connected, status.proxies_current), (1, 1));
}

#[tokio::test]
async fn a_proxy_that_came_first_gets_the_first_policy() {
    let plane = Plane::in_memory().await;
    let mut proxy = Proxy::fresh(&plane, "one").await;
    assert_eq!(proxy.heartbeat().await, 0);
    plane.apply(&limit(1)).await;
    assert_eq!(proxy.follow().await.revision, 1);
}

#[tokio::test]
async fn a_proxy_that_is_current_gets_nothing_when_it_returns() {
    let plane = Plane::in_memory().await;
    plane.apply(&limit(1)).await;
    let mut proxy = Proxy::fresh(&plane, "one").await;
    proxy.follow().await;
    plane.proxy(|known| known.applied_revision == 1).await;
    let mut proxy = proxy.again(&plane, "one").await;
    for _ in 0..2 {
        assert_eq!(proxy.heartbeat().await, 1, "signs of life and nothing else");
        proxy.alive(v1::Load::default()).await;
    }
    plane.apply(&limit(2)).await;
    assert_eq!(proxy.follow().await.base, Some(1));
}

#[tokio::test]
async fn a_proxy_that_missed_revisions_gets_one_delta_when_it_returns() {
    let plane = Plane::in_memory().await;
    let agents = |count: u32, first: u32| -> String {
        let lines = (0..count).map(|n| {
            let limit = if n == 0 { first } else { 10 };
            format!("  agent-{n}: {{ requests_per_minute: {limit} }}\n")
        });
        std::iter::once("rate_limits:\n".to_owned())
            .chain(lines)
            .collect()
    };
    plane.apply(&agents(50, 1)).await;
    let mut proxy = Proxy::fresh(&plane, "one").await;
    proxy.follow().await;
    plane.proxy(|known| known.applied_revision == 1).await;
    let Proxy { policy, .. } = proxy;
    for first in 2..=5 {
        plane.apply(&agents(50, first)).await;
    }
    let mut back = Proxy::silent(&plane).await;
    (back.policy, back.revision) = (policy.clone(), 1);
    let mut back = back.hello("one", 1).await;
    let update = back.follow().await;
    assert_eq!((update.base, update.revision), (Some(1), 5));
    assert!(
        back.bytes < 100,
        "{} bytes for one changed line",
        back.bytes
    );

    // The same revision number with another content is another history.
    let mut stranger = Proxy::silent(&plane).await;
    stranger.revision = 1;
    let mut stranger = stranger.hello("two", 1).await;
    assert_eq!(stranger.follow().await.base, None);
}

#[tokio::test]
async fn a_refusal_is_shown_and_not_offered_again() {
    let plane = Plane::in_memory().await;
    plane.apply(&limit(1)).await;
    let mut proxy = Proxy::fresh(&plane, "one").await;
    proxy.follow().await;
    plane.apply(&limit(2)).await;
    let update = proxy.update().await;
    proxy.nack(&update, "not with me").await;
    let known = plane.proxy(|known| known.rejection.is_some()).await;
    let rejection = known.rejection.unwrap();
    assert_eq!((rejection.revision, known.applied_revision), (2, 1));
    assert_eq!(rejection.errors[0].message, "not with me");
    assert_eq!(plane.status().await.proxies_current, 0);

    plane.apply(&limit(3)).await;
    let next = proxy.follow().await;
    assert_eq!((next.revision, next.base), (3, Some(1)));
    let known = plane.proxy(|known| known.applied_revision == 3).await;
    assert_eq!(known.rejection, None);
}

#[tokio::test]
async fn revisions_a_slow_proxy_missed_are_left_out() {
    let plane = Plane::in_memory().await;
    plane.apply(&limit(1)).await;
    let mut proxy = Proxy::fresh(&plane, "one").await;
    let first = proxy.update().await;
    for n in 2..=9 {
        plane.apply(&limit(n)).await;
    }
    proxy.ack(first).await;
    let next = proxy.follow().await;
    assert_eq!(next.revision, 9);
}

#[tokio::test]
async fn what_a_proxy_says_of_its_load_is_listed() {
    let plane = Plane::in_memory().await;
    let proxy = Proxy::fresh(&plane, "one").await;
    let load = v1::Load {
        in_flight: 3,
        requests_total: 17,
    };
    proxy.alive(load).await;
    plane.proxy(|known| known.load == Some(load)).await;
    drop(proxy);
    let gone = plane.proxy(|known| !known.connected).await;
    assert_eq!(gone.load, Some(load));
    assert_eq!(plane.status().await.proxies_connected, 0);
}

#[tokio::test]
async fn of_two_proxies_with_one_id_the_newer_wins() {
    let plane = Plane::in_memory().await;
    let mut old = Proxy::fresh(&plane, "one").await;
    assert_eq!(old.heartbeat().await, 0);
    let mut new = Proxy::silent(&plane).await.hello("one", 2).await;
    assert_eq!(new.heartbeat().await, 0);
    let end = old.told().await.unwrap_err();
    assert_eq!(end.code(), Code::Aborted);
    assert!(end.message().contains("same id"), "{end}");
    plane.apply(&limit(1)).await;
    new.follow().await;
    let known = plane.proxy(|known| known.applied_revision == 1).await;
    assert!(known.connected && known.incarnation == 2);
}

#[tokio::test]
async fn a_proxy_ahead_of_the_history_waits_for_a_revision_that_passes_its_own() {
    let plane = Plane::in_memory().await;
    plane.apply(&limit(1)).await;
    let mut proxy = Proxy::silent(&plane).await;
    let hello = v1::Hello {
        proxy_id: "one".to_owned(),
        applied_revision: 40,
        applied_hash: strange_hash(),
        ..v1::Hello::default()
    };
    proxy.say(Say::Hello(hello)).await;
    let known = plane.proxy(|known| known.rejection.is_some()).await;
    assert_eq!(known.applied_revision, 40);
    let message = &known.rejection.unwrap().errors[0].message;
    assert!(message.contains("older than revision 40"), "{message}");
    plane.apply(&limit(1)).await;
    proxy.follow().await;
    let known = plane.proxy(|known| known.rejection.is_none()).await;
    assert_eq!(known.applied_revision, 41);
}

#[tokio::test]
async fn a_stream_out_of_order_is_ended_with_a_reason() {
    let plane = Plane::in_memory().await;
    let mut rude = Proxy::silent(&plane).await;
    rude.alive(v1::Load::default()).await;
    let end = rude.told().await.unwrap_err();
    assert_eq!(end.code(), Code::InvalidArgument);
    assert!(end.message().contains("hello"), "{end}");

    let mut nameless = Proxy::silent(&plane).await;
    nameless.say(Say::Hello(v1::Hello::default())).await;
    let end = nameless.told().await.unwrap_err();
    assert_eq!(end.code(), Code::InvalidArgument);
    assert!(end.message().contains("hello.proxy_id"), "{end}");
    assert!(plane.proxies().await.is_empty());
}
