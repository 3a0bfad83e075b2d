//! A provider whose answers are hostile in size, speed or form: what the proxy holds stays
//! bounded, and the caller gets the fallback's answer or a clear error.

use std::time::Duration;

use agix_tests::ask::{chat, stream};
use agix_tests::mock_provider::{Behaviour, Fault, MockProvider, Outcome, Reply, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use bytes::Bytes;

const POLICY: &str = "failover: { chains: { gpt-4o: [gpt-4o-mini] } }";
const GIBIBYTE: u64 = 1 << 30;
const PATIENCE: Duration = Duration::from_secs(20);
/// Looks in a row, 10 ms apart, after which a provider that sent nothing more is held back.
const LOOKS: usize = 50;
/// The largest stream the proxy relays.
const STREAM_BYTES: usize = 64 << 20;
/// What one proxy may hold at most in these tests, in KiB. An idle debug build holds some 40 MiB.
const MEMORY_KIB: u64 = 160 * 1024;

async fn bed(behaviour: Behaviour) -> TestBed {
    bed_with(POLICY, behaviour).await
}

async fn bed_with(policy: &str, behaviour: Behaviour) -> TestBed {
    let bed = TestBed::start(policy).await;
    bed.mock.script("gpt-4o", Script::always(behaviour.clone()));
    bed.mock.script("gpt-5", Script::always(behaviour));
    bed
}

/// The fallback answers, plain and streamed; without one there is an error that names a reason.
async fn survived(bed: &TestBed, reasons: &[&str]) {
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.json()["model"], "gpt-4o-mini");
    let mut fallback = bed.caller().chat_stream(&stream("gpt-4o")).await.unwrap();
    assert!(fallback.events().await.unwrap().is_whole());
    for request in [chat("gpt-5"), stream("gpt-5")] {
        let answer = bed.caller().chat(&request).await.unwrap();
        assert!(answer.status.is_server_error(), "{answer:?}");
        let error = &answer.json()["error"];
        let reason = error["agix"]["attempts"][0]["reason"].as_str().unwrap();
        assert!(reasons.contains(&reason), "{error}");
    }
}

fn memory_is_bounded(bed: &TestBed) {
    let peak = bed.proxies[0].program.peak_memory_kib();
    assert!(peak < MEMORY_KIB, "the proxy held {peak} KiB");
}

#[tokio::test]
async fn a_line_of_a_gibibyte() {
    let line = Fault::EndlessLine { bytes: GIBIBYTE };
    let bed = bed(Behaviour::Fault {
        after_events: 0,
        fault: line,
    })
    .await;
    survived(&bed, &["too_large"]).await;
    // The proxy left long before the end.
    for call in bed.mock.calls("gpt-4o") {
        assert!(
            matches!(call.outcome, Outcome::CallerLeft { .. }),
            "{call:?}"
        );
        assert!(call.sent_bytes < GIBIBYTE / 8, "{call:?}");
    }
    bed.mock.script(
        "gpt-5",
        Script::always(Behaviour::Fault {
            after_events: 5,
            fault: line,
        }),
    );
    let mut begun = bed.caller().chat_stream(&stream("gpt-5")).await.unwrap();
    let said = begun.events().await.unwrap();
    assert!(said.error().is_some() && !said.is_whole(), "{said:?}");
    memory_is_bounded(&bed);
}

#[tokio::test]
async fn a_gzip_bomb_nobody_asked_for() {
    let bed = bed(Behaviour::GzipBomb { bytes: GIBIBYTE }).await;
    survived(&bed, &["malformed", "too_large"]).await;
    memory_is_bounded(&bed);
}

#[tokio::test]
async fn a_head_larger_than_any() {
    let bed = bed(Behaviour::HugeHeaders { bytes: 300_000 }).await;
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.json()["model"], "gpt-4o-mini");
    let answer = bed.caller().chat(&chat("gpt-5")).await.unwrap();
    assert!(answer.status.is_server_error(), "{answer:?}");
    memory_is_bounded(&bed);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let trap = MockProvider::start().unwrap();
    let to = format!("http://{}/v1/chat/completions", trap.address());
    let bed = bed(Behaviour::Redirect { to }).await;
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.json()["model"], "gpt-4o-mini", "{answer:?}");
    let answer = bed.caller().chat(&chat("gpt-5")).await.unwrap();
    assert!(answer.status.is_server_error(), "{answer:?}");
    assert_eq!(answer.header("location"), "");
    assert!(trap.log().is_empty(), "{:?}", trap.log());
}

#[tokio::test]
async fn a_drip_is_cut_at_the_deadline() {
    let policy = "failover: { timeouts: { total: 6s } }";
    let bed = bed_with(policy, Behaviour::Drip { pause_ms: 1 }).await;
    let long = Reply {
        text: Some("word ".repeat(1_000)),
        ..Reply::default()
    };
    bed.mock.reply("gpt-5", long);
    let caller = bed.caller();
    let (plain, begun) = (chat("gpt-5"), stream("gpt-5"));
    let (answer, begun) = tokio::join!(caller.chat(&plain), caller.chat_stream(&begun));
    let answer = answer.unwrap();
    assert_eq!(answer.status, 504, "{answer:?}");
    let mut begun = begun.unwrap();
    assert_eq!(begun.status, 200);
    let said = begun.events().await.unwrap();
    assert!(!said.is_whole(), "{said:?}");
    assert_eq!(said.error().unwrap()["code"], "deadline", "{said:?}");
}

#[tokio::test]
async fn a_drip_that_ends_in_time_is_an_answer() {
    let bed = bed(Behaviour::Drip { pause_ms: 0 }).await;
    let answer = bed.caller().chat(&chat("gpt-5")).await.unwrap();
    assert_eq!(answer.json()["model"], "gpt-5");
    let mut stream = bed.caller().chat_stream(&stream("gpt-5")).await.unwrap();
    let said = stream.events().await.unwrap();
    assert!(said.is_whole(), "{said:?}");
    assert_eq!(said.text(), "This is gpt-5 speaking, in a few words.");
}

#[tokio::test]
async fn a_stream_without_end_is_ended_at_the_bound() {
    let bed = bed(endless_events()).await;
    let large = Reply {
        text: Some("x".repeat(64 * 1024)),
        ..Reply::default()
    };
    bed.mock.reply("gpt-5", large);
    let mut stream = bed.caller().chat_stream(&stream("gpt-5")).await.unwrap();
    let mut read = 0;
    let mut last = Bytes::new();
    while let Some(piece) = stream.piece().await.unwrap() {
        read += piece.len();
        last = piece;
    }
    assert!(read < 2 * STREAM_BYTES, "{read}");
    let end = String::from_utf8_lossy(&last).into_owned();
    assert!(end.contains("\"code\":\"too_large\""), "{end}");
    assert!(!end.contains("[DONE]"), "{end}");
    memory_is_bounded(&bed);
}

#[tokio::test]
async fn a_caller_that_does_not_read_holds_the_provider_back() {
    let bed = bed(endless_events()).await;
    let mut unread = bed.caller().chat_stream(&stream("gpt-5")).await.unwrap();
    unread.event().await.unwrap();
    // What is on its way fills the buffers between provider, proxy and caller, and no more.
    let mut sent = Vec::new();
    let stopped = until("the provider is held back", PATIENCE, async || {
        sent.push(bed.mock.calls("gpt-5")[0].sent_bytes);
        let earlier = sent.len().checked_sub(LOOKS)?;
        (sent[earlier] == sent[sent.len() - 1]).then_some(sent[earlier])
    })
    .await;
    assert!(stopped < 24 << 20, "{stopped} bytes were sent");
    memory_is_bounded(&bed);
    drop(unread);
    until("the provider's work ends", PATIENCE, async || {
        let outcome = bed.mock.calls("gpt-5")[0].outcome;
        matches!(outcome, Outcome::CallerLeft { .. }).then_some(())
    })
    .await;
}

fn endless_events() -> Behaviour {
    Behaviour::Fault {
        after_events: 2,
        fault: Fault::EndlessEvents { bytes: GIBIBYTE },
    }
}
