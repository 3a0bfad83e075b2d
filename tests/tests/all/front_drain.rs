//! SIGTERM: what is open ends as it would have, what is new goes elsewhere.

use std::time::Duration;

use agix_tests::ask::{chat, stream};
use agix_tests::caller::CallError;
use agix_tests::mock_provider::Reply;
use agix_tests::test_bed::{ProxySettings, TestBed};
use agix_tests::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_open_stream_ends_whole_and_new_callers_are_refused() {
    let mut bed = TestBed::start("").await;
    let slowly = Reply {
        piece_ms: 150,
        ..Reply::default()
    };
    bed.mock.reply("gpt-4o", slowly);
    let mut open = bed.caller().chat_stream(&stream("gpt-4o")).await.unwrap();
    let first = open.event().await.unwrap().unwrap();
    bed.proxies[0].program.terminate();
    let caller = bed.caller();
    until("new callers are refused", PATIENCE, async || {
        match caller.chat(&chat("gpt-4o-mini")).await {
            Ok(answer) => (answer.status == 503).then_some(()),
            Err(CallError::Connect { .. } | CallError::Broken(_)) => Some(()),
            Err(CallError::Hang(_)) => None,
        }
    })
    .await;
    let mut rest = open.events().await.unwrap();
    rest.events.push_front(first);
    assert!(rest.is_whole(), "{rest:?}");
    assert_eq!(rest.text(), "This is gpt-4o speaking, in a few words.");
    let status = bed.proxies[0].program.ended().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn an_idle_proxy_and_the_control_plane_stop_at_once() {
    let mut bed = TestBed::start("").await;
    bed.proxies[0].program.terminate();
    assert!(bed.proxies[0].program.ended().await.success());
    bed.control_plane.program.terminate();
    assert!(bed.control_plane.program.ended().await.success());
}

#[tokio::test]
async fn a_stream_longer_than_the_drain_is_cut_and_does_not_look_whole() {
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(&bed.document(""), &[]).await;
    let settings = ProxySettings {
        arguments: ["--drain-seconds", "1"].map(str::to_owned).into(),
        ..ProxySettings::default()
    };
    bed.add_proxy(settings).await;
    let endless = Reply {
        piece_ms: 200,
        text: Some("word ".repeat(1_000)),
        ..Reply::default()
    };
    bed.mock.reply("gpt-4o", endless);
    let mut open = bed.caller().chat_stream(&stream("gpt-4o")).await.unwrap();
    open.event().await.unwrap();
    bed.proxies[0].program.terminate();
    match open.events().await {
        Ok(said) => assert!(said.error().is_some() && !said.is_whole(), "{said:?}"),
        Err(error) => assert!(matches!(error, CallError::Broken(_)), "{error}"),
    }
    assert!(bed.proxies[0].program.ended().await.success());
}
