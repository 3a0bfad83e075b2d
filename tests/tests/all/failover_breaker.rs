//! A target that keeps failing is left alone, tried by one call, and used again.

use std::time::Duration;

use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;

const POLICY: &str = "
failover:
  same_model_retries: 0
  breaker: { consecutive_failures: 3, open: 1s, max_open: 1s }
  chains: { gpt-4o: [gpt-4o-mini] }
";

async fn answered_by(bed: &TestBed, model: &str) -> String {
    let answer = bed.caller().chat(&chat(model)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["model"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_target_that_keeps_failing_is_left_alone_until_it_answers_again() {
    // Nothing but the caller's patience ends the pause.
    let patient = POLICY.replace("open: 1s, max_open: 1s", "open: 5m, max_open: 5m");
    let bed = TestBed::start(&patient).await;
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    for _ in 0..20 {
        assert_eq!(answered_by(&bed, "gpt-4o").await, "gpt-4o-mini");
    }
    assert_eq!(bed.mock.calls("gpt-4o").len(), 3);
    let admin = Caller::new(bed.proxies[0].admin);
    let metrics = admin.get("/metrics").await.unwrap();
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let open = r#"agix_breaker_open{model="gpt-4o",provider="openai"} 1"#;
    assert!(metrics.contains(open), "{metrics}");

    let bed = TestBed::start(POLICY).await;
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    for _ in 0..3 {
        assert_eq!(answered_by(&bed, "gpt-4o").await, "gpt-4o-mini");
    }
    bed.mock.script("gpt-4o", Script::default());
    until(
        "the target is used again",
        Duration::from_secs(20),
        async || (answered_by(&bed, "gpt-4o").await == "gpt-4o").then_some(()),
    )
    .await;
    assert_eq!(answered_by(&bed, "gpt-4o").await, "gpt-4o");
}

#[tokio::test]
async fn the_last_target_is_always_tried() {
    let bed = TestBed::start(POLICY).await;
    bed.mock
        .script("gpt-5", Script::always(Behaviour::Status(503)));
    for _ in 0..6 {
        let answer = bed.caller().chat(&chat("gpt-5")).await.unwrap();
        assert_eq!(answer.status, 503);
    }
    assert_eq!(bed.mock.calls("gpt-5").len(), 6);
}
