//! Callers that are slow, large or ambiguous: refused, and the proxy serves on.

use std::net::SocketAddr;
use std::time::Duration;

use agix_tests::ask::{chat, stream};
use agix_tests::caller::{Caller, exchange};
use agix_tests::mock_provider::{Outcome, Reply};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use http::Method;
use serde_json::json;

const MEBIBYTE: usize = 1024 * 1024;

/// Status of the answer to raw bytes; 0 if the connection was closed without one.
async fn status(address: SocketAddr, request: &[u8]) -> u16 {
    let answer = exchange(address, request).await;
    let text = String::from_utf8_lossy(&answer);
    let code = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    code.map_or(0, |code| code.parse().unwrap())
}

fn request(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/chat/completions HTTP/1.1\r\n{headers}\r\n{body}").into_bytes()
}

async fn serves_on(bed: &TestBed) {
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_closed() {
    let bed = TestBed::start("").await;
    let address = bed.proxies[0].address;
    // `exchange` fails if the proxy does not close by itself.
    let half = status(
        address,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-",
    )
    .await;
    assert!(matches!(half, 0 | 408), "{half}");
    let silent = status(address, b"").await;
    assert!(matches!(silent, 0 | 408), "{silent}");
    serves_on(&bed).await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let bed = TestBed::start("").await;
    let request = request("Host: a\r\nContent-Length: 1000\r\n", "{\"model\":");
    let stopped = status(bed.proxies[0].address, &request).await;
    assert!(matches!(stopped, 0 | 408), "{stopped}");
    assert!(bed.mock.log().is_empty());
    serves_on(&bed).await;
}

#[tokio::test]
async fn a_body_too_large_is_413_however_it_is_announced() {
    let bed = TestBed::start("").await;
    let address = bed.proxies[0].address;
    let announced = request("Host: a\r\nContent-Length: 20000000\r\n", "");
    assert_eq!(status(address, &announced).await, 413);

    let part = "x".repeat(MEBIBYTE);
    let mut chunked = request("Host: a\r\nTransfer-Encoding: chunked\r\n", "");
    for _ in 0..11 {
        chunked.extend_from_slice(format!("{MEBIBYTE:x}\r\n{part}\r\n").as_bytes());
    }
    assert_eq!(status(address, &chunked).await, 413);
    assert!(bed.mock.log().is_empty());
    serves_on(&bed).await;
}

#[tokio::test]
async fn a_large_body_within_the_bound_passes() {
    let bed = TestBed::start("").await;
    let mut large = chat("gpt-4o");
    large["messages"][1]["content"] = json!("x".repeat(9 * MEBIBYTE));
    let answer = bed.caller().chat(&large).await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.headers);
    assert!(bed.mock.log()[0].body_bytes > 9 * MEBIBYTE);
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let bed = TestBed::start("").await;
    let address = bed.proxies[0].address;
    let padding = "x".repeat(70 * 1024);
    let huge = request(
        &format!("Host: a\r\nX-Padding: {padding}\r\nContent-Length: 2\r\n"),
        "{}",
    );
    let refused = status(address, &huge).await;
    assert!(matches!(refused, 0 | 431), "{refused}");
    let many = "X-One: a\r\n".repeat(200);
    let many = request(&format!("Host: a\r\n{many}Content-Length: 2\r\n"), "{}");
    let refused = status(address, &many).await;
    assert!(matches!(refused, 0 | 431), "{refused}");
    serves_on(&bed).await;
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_their_connection_closed() {
    let bed = TestBed::start("").await;
    let address = bed.proxies[0].address;
    for (what, headers) in [
        ("no Host", "Content-Length: 2\r\n"),
        ("two Hosts", "Host: a\r\nHost: b\r\nContent-Length: 2\r\n"),
        (
            "two lengths",
            "Host: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n",
        ),
        (
            "an encoding unknown",
            "Host: a\r\nTransfer-Encoding: xchunked\r\n",
        ),
        (
            "two agents",
            "Host: a\r\nX-Agent-Name: a\r\nX-Agent-Name: b\r\nContent-Length: 2\r\nConnection: close\r\n",
        ),
    ] {
        assert_eq!(
            status(address, &request(headers, "{}")).await,
            400,
            "{what}"
        );
    }
    assert!(bed.mock.log().is_empty());
    serves_on(&bed).await;
}

/// Whoever stands before the proxy and believes the length sees one request here. The proxy
/// believes the chunks, which end it sooner: what is left must not become a second request.
#[tokio::test]
async fn length_and_chunks_together_hide_no_second_request() {
    let bed = TestBed::start("").await;
    let (shown, hidden) = (chat("gpt-4o").to_string(), chat("gpt-5").to_string());
    let hidden = request(
        &format!("Host: a\r\nContent-Length: {}\r\n", hidden.len()),
        &hidden,
    );
    let hidden = String::from_utf8(hidden).unwrap();
    let body = format!("{:x}\r\n{shown}\r\n0\r\n\r\n{hidden}", shown.len());
    let length = format!("Content-Length: {}\r\n", body.len());
    let chunks = "Transfer-Encoding: chunked\r\n".to_owned();
    for lines in [[&length, &chunks], [&chunks, &length]] {
        let headers = format!("Host: a\r\n{}{}", lines[0], lines[1]);
        let answer = exchange(bed.proxies[0].address, &request(&headers, &body)).await;
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
    }
    assert!(bed.mock.calls("gpt-5").is_empty());
    serves_on(&bed).await;
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_providers_work_within_a_second() {
    let bed = TestBed::start("").await;
    let slowly = Reply {
        piece_ms: 100,
        text: Some("word ".repeat(200)),
        ..Reply::default()
    };
    bed.mock.reply("gpt-4o", slowly);
    let mut stream = bed.caller().chat_stream(&stream("gpt-4o")).await.unwrap();
    stream.event().await.unwrap();
    drop(stream);
    until(
        "the provider's work ends",
        Duration::from_secs(1),
        async || {
            let outcome = bed.mock.calls("gpt-4o")[0].outcome;
            matches!(outcome, Outcome::CallerLeft { .. }).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn other_paths_and_methods_get_an_error_in_openais_shape() {
    let bed = TestBed::start("").await;
    let caller = Caller::new(bed.proxies[0].address);
    let missing = caller.get("/v1/nothing").await.unwrap();
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"]["type"], "invalid_request_error");
    assert_eq!(
        caller.get("/v1/chat/completions").await.unwrap().status,
        405
    );
    assert_eq!(caller.get("/health").await.unwrap().status, 200);
    let no_json = caller
        .call(Method::POST, "/v1/chat/completions", "hello")
        .await
        .unwrap();
    assert_eq!(no_json.status, 400);
    assert!(!no_json.header("x-request-id").is_empty());
}

#[tokio::test]
async fn unknown_fields_and_bytes_pass_unchanged_between_equal_protocols() {
    let bed = TestBed::start("").await;
    let mut request = chat("gpt-4o");
    request["house_field"] = json!({ "deep": [1, 2.50, "x"] });
    request["seed"] = json!(7);
    let caller = bed.caller().with("x-agent-name", "reader");
    caller.with("cookie", "a=b").chat(&request).await.unwrap();
    let [call] = bed.mock.calls("gpt-4o").try_into().unwrap();
    assert_eq!(call.body, request);
    // The mock takes no other key than ours, so the caller's was not passed on. Nor was the rest.
    for name in ["x-agent-name", "cookie", "x-forwarded-for"] {
        assert_eq!(call.header(name), None, "{name}");
    }
    let answer = bed.caller().chat(&request).await.unwrap().json();
    assert_eq!(answer["system_fingerprint"], "fp_mock");
    assert_eq!(answer["service_tier"], "default");
}

#[tokio::test]
async fn a_caller_may_ask_before_it_sends_and_send_before_it_is_answered() {
    let bed = TestBed::start("").await;
    let address = bed.proxies[0].address;
    let body = chat("gpt-4o").to_string();
    let head = |more: &str| format!("Host: a\r\n{more}Content-Length: {}\r\n", body.len());
    let asked = request(
        &head("Expect: 100-continue\r\nConnection: close\r\n"),
        &body,
    );
    let answer = exchange(address, &asked).await;
    assert!(
        answer.ends_with(b"}"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(bed.mock.log().len(), 1);

    let mut both = request(&head(""), &body);
    both.extend_from_slice(&request(&head("Connection: close\r\n"), &body));
    let answers = exchange(address, &both).await;
    let text = String::from_utf8_lossy(&answers);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    assert_eq!(bed.mock.log().len(), 3);
}
