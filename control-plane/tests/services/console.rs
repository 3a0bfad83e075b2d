//! The web console, asked as a browser asks.

use std::net::SocketAddr;

use agix_control_plane::{Config, SealSource, StoreSpec, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::plane::Operator;

const POLICY: &str = "rate_limits: { batch: { requests_per_minute: 5 } }\n";

/// A control plane with a console, and the operator beside it.
async fn console() -> (SocketAddr, Operator, CancellationToken) {
    let shutdown = CancellationToken::new();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        http: Some("127.0.0.1:0".parse().unwrap()),
        admin: None,
        advertise: None,
        tls: None,
        store: StoreSpec::Memory,
        seal: SealSource::Own,
        tokens: None,
    };
    let running = start(config, shutdown.clone()).await.unwrap();
    let operator = Operator::at(running.address).await;
    (running.console.unwrap(), operator, shutdown)
}

/// Sends a request and reads all of the answer.
async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(address: SocketAddr, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    send(address, &head).await
}

async fn post(address: SocketAddr, path: &str, (headers, form): (&str, &str)) -> String {
    let length = form.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
    );
    send(address, &request).await
}

#[tokio::test]
async fn every_page_is_there_and_says_that_nothing_comes_from_elsewhere() {
    let (console, operator, _stop) = console().await;
    operator.apply(POLICY).await;
    let paths = [
        "/",
        "/agents",
        "/chains",
        "/requests",
        "/policy",
        "/policy/1",
        "/webhooks",
        "/fleet",
        "/sign-in",
        "/style.css",
        "/live.js",
        "/icon.svg",
    ];
    for path in paths {
        let answer = get(console, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
        assert!(
            answer.contains("content-security-policy: default-src 'none'"),
            "{path}"
        );
    }
    let missing = get(console, "/nowhere").await;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    let policy = get(console, "/policy/1").await;
    assert!(
        policy.contains("rate_limits.batch.requests_per_minute"),
        "{policy}"
    );
}

#[tokio::test]
async fn a_rollback_needs_a_page_of_the_console_itself_and_the_revision_that_was_seen() {
    let (console, operator, _stop) = console().await;
    operator.apply(POLICY).await;
    operator.apply(&POLICY.replace('5', "6")).await;
    let path = "/policy/1/rollback";
    let own = format!("origin: http://{console}\r\n");
    for (headers, what) in [
        ("", "no word of where it comes from"),
        ("origin: http://evil.example\r\n", "a foreign page"),
        ("origin: null\r\n", "a page without an address"),
        (
            &format!("{own}sec-fetch-site: cross-site\r\n"),
            "a foreign page, says the browser",
        ),
    ] {
        let answer = post(console, path, (headers, "current=2")).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{what}: {answer}");
    }
    let stale = post(console, path, (&own, "current=1")).await;
    assert!(stale.contains("Meanwhile"), "{stale}");
    assert_eq!(operator.history(0, None).await.0, [2, 1]);
    let done = post(console, path, (&own, "current=2&message=oops")).await;
    assert!(done.starts_with("HTTP/1.1 303"), "{done}");
    assert_eq!(operator.history(0, None).await.0, [3, 2, 1]);
}

#[tokio::test]
async fn a_name_of_another_host_is_not_answered_on_loopback() {
    let (console, operator, _stop) = console().await;
    operator.apply(POLICY).await;
    let request = "GET /policy HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let answer = send(console, request).await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    assert!(!answer.contains("batch"));
}
