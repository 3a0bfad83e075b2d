//! Start, restart, stop, and what tells others about it.

use agix_control_plane::{Config, SealSource, StartError, StoreSpec, start};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::plane::{Plane, limit};
use crate::proxy::Proxy;

#[tokio::test]
async fn history_and_policy_outlive_the_process() {
    let directory = TempDir::new().unwrap();
    let plane = Plane::on_disk(directory.path()).await;
    for n in 1..=3 {
        plane.apply(&limit(n)).await;
    }
    let mut proxy = Proxy::fresh(&plane, "one").await;
    proxy.follow().await;
    plane.proxy(|known| known.applied_revision == 3).await;
    plane.stopped().await;

    let plane = Plane::on_disk(directory.path()).await;
    assert_eq!(plane.history(0, None).await, (vec![3, 2, 1], false));
    assert_eq!(plane.get(Some(2)).await.unwrap().text, limit(2));
    let status = plane.status().await;
    assert_eq!(
        (status.store.as_str(), status.current.unwrap().revision),
        ("embedded", 3)
    );
    let mut proxy = proxy.again(&plane, "one").await;
    assert_eq!(proxy.heartbeat().await, 3);
    assert_eq!(proxy.heartbeat().await, 3, "it has the policy already");
    plane.apply(&limit(4)).await;
    assert_eq!(proxy.follow().await.revision, 4);
}

#[tokio::test]
async fn a_second_control_plane_on_the_same_store_is_refused() {
    let directory = TempDir::new().unwrap();
    let _first = Plane::on_disk(directory.path()).await;
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        http: None,
        admin: None,
        store: StoreSpec::Embedded(directory.path().to_owned()),
        seal: SealSource::Own,
        tokens: None,
        advertise: None,
        tls: None,
    };
    let refused = start(config, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(refused, StartError::Store(_)));
    assert!(
        refused.to_string().contains("in use by another process"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let plane = Plane::in_memory().await;
    let taken = plane.status().await;
    assert_eq!(taken.store, "memory");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config {
        listen: listener.local_addr().unwrap(),
        http: None,
        admin: None,
        store: StoreSpec::Memory,
        seal: SealSource::Own,
        tokens: None,
        advertise: None,
        tls: None,
    };
    let address = config.listen.to_string();
    let refused = start(config, CancellationToken::new()).await.unwrap_err();
    assert!(refused.to_string().contains(&address), "{refused}");
}

#[tokio::test]
async fn stopping_ends_open_streams_with_a_reason() {
    let plane = Plane::in_memory().await;
    let mut proxy = Proxy::fresh(&plane, "one").await;
    assert_eq!(proxy.heartbeat().await, 0);
    plane.tell_to_stop();
    let end = loop {
        match proxy.told().await {
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(
        (end.code(), end.message()),
        (Code::Unavailable, "the control plane is stopping")
    );
    drop(proxy);
    plane.stopped().await;
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    let plane = Plane::in_memory().await;
    let mut health = HealthClient::new(plane.channel.clone());
    for service in [
        "",
        "agix.v1.PolicyAdmin",
        "agix.v1.PolicySync",
        "agix.v1.Fleet",
    ] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(plane.channel.clone());
    let answer = reflection.server_reflection_info(tokio_stream::iter([request]));
    let answer = answer
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.iter().map(|it| it.name.as_str()).collect();
    for name in ["agix.v1.PolicyAdmin", "agix.v1.PolicySync", "agix.v1.Fleet"] {
        assert!(names.contains(&name), "{names:?}");
    }
}
