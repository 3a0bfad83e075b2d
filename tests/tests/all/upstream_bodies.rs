//! A provider whose answers are hostile in size, speed or form: what the proxy holds stays
//! bounded, and the caller gets the fallback's answer or a clear error.

use agix_tests::ask::{chat, stream};
use agix_tests::mock_provider::{Behaviour, Fault, MockProvider, Outcome, Reply, Script};
use agix_tests::test_bed::TestBed;

const POLICY: &str = "
failover:
  timeouts: { connect: 1s, first_token: 5s, idle: 1s, total: 5s }
  chains:
    gpt-4o: [gpt-4o-mini]
";
const GIBIBYTE: u64 = 1 << 30;
/// What one proxy may hold at most in these tests, in KiB. An idle debug build holds some 40 MiB.
const MEMORY_KIB: u64 = 160 * 1024;

async fn bed(behaviour: Behaviour) -> TestBed {
    let bed = TestBed::start(POLICY).await;
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
    let bed = bed(Behaviour::Drip { pause_ms: 3 }).await;
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
    assert!(said.error().is_some() && !said.is_whole(), "{said:?}");
    assert!(said.text().starts_with("word "), "{said:?}");
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
