//! What bounds a failover: the caller's patience, and what a target may cost.

use agix_tests::ask::{chat, stream};
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::TestBed;

#[tokio::test]
async fn a_request_ends_when_its_caller_waits_no_longer() {
    // Our own bounds are beyond what a test waits for.
    let bed = TestBed::start(
        "
failover:
  timeouts: { first_token: 5m, idle: 5m, total: 10m }
  chains: { gpt-4o: [gpt-4o-mini] }
",
    )
    .await;
    let silent = Script::always(Behaviour::SilenceBeforeHeaders);
    bed.mock.script("gpt-4o", silent);
    for header in ["x-stainless-timeout", "x-stainless-read-timeout"] {
        let hurried = bed.caller().with(header, "1");
        for request in [chat("gpt-4o"), stream("gpt-4o")] {
            let answer = hurried.chat(&request).await.unwrap();
            assert_eq!(answer.status, 504, "{header}: {answer:?}");
        }
    }
    // The time was all that failed: nothing was begun with none left.
    assert_eq!(bed.mock.calls("gpt-4o-mini").len(), 0);
}

#[tokio::test]
async fn our_own_time_goes_before_a_caller_that_would_wait_longer() {
    let bed = TestBed::start("failover: { timeouts: { total: 1s } }").await;
    let silent = Script::always(Behaviour::SilenceBeforeHeaders);
    bed.mock.script("gpt-4o", silent);
    let patient = bed.caller().with("x-stainless-timeout", "600");
    let answer = patient.chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 504, "{answer:?}");
}

#[tokio::test]
async fn a_target_that_is_too_dear_is_passed_over_and_said_to_be() {
    let bed = TestBed::start(
        "
failover:
  max_cost_ratio: 2
  chains: { gpt-4o-mini: [gpt-4o, deepseek-chat] }
models:
  gpt-4o-mini: { provider: openai, price: { input: 1, output: 4 } }
  gpt-4o: { provider: openai, price: { input: 2, output: 9 } }
  deepseek-chat: { provider: deepseek, price: { input: 2, output: 8 } }
",
    )
    .await;
    let down = Script::always(Behaviour::Status(503));
    bed.mock.script("gpt-4o-mini", down.clone());
    let answer = bed.caller().chat(&chat("gpt-4o-mini")).await.unwrap();
    assert_eq!(answer.header("x-agix-model"), "deepseek-chat", "{answer:?}");
    // It is billed by the prices of the model that answered.
    let tokens = |name| answer.header(name).parse::<f64>().unwrap();
    let cost = tokens("x-input-tokens") * 2e-6 + tokens("x-output-tokens") * 8e-6;
    assert!((tokens("x-cost-usd") - cost).abs() < 1e-9, "{answer:?}");
    bed.mock.script("deepseek-chat", down);
    let answer = bed.caller().chat(&chat("gpt-4o-mini")).await.unwrap();
    let attempts = answer.json()["error"]["agix"]["attempts"].clone();
    assert_eq!(attempts[1]["model"], "gpt-4o", "{attempts}");
    assert_eq!(attempts[1]["reason"], "dearer than max_cost_ratio allows");
    assert_eq!(bed.mock.calls("gpt-4o").len(), 0);
}
