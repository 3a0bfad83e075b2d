//! Calls whose end nobody waited for, or that failed half-way: paid for, and nothing stays set aside.

use std::time::Duration;

use agix_tests::ask::{chat, stream};
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Fault, Reply, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use serde_json::{Value, json};

/// Ten micro-dollars for a token of output, nothing for input.
const POLICY: &str = "
models:
  gpt-4o: { provider: openai, price: { input: 0, output: 10 } }
failover: { same_model_retries: 0 }
budgets: { spender: { daily_limit_usd: 1 } }
";

async fn bed(behaviour: Behaviour) -> (TestBed, Caller) {
    let bed = TestBed::with_proxies(POLICY, 1).await;
    bed.mock.script("gpt-4o", Script::always(behaviour));
    bed.mock.reply(
        "gpt-4o",
        Reply {
            text: Some("word ".repeat(400)),
            piece_ms: 2,
            ..Reply::default()
        },
    );
    let caller = Caller::new(bed.proxies[0].address).with("x-agent-name", "spender");
    (bed, caller)
}

fn short(mut request: Value) -> Value {
    request["max_tokens"] = json!(1_000);
    request
}

/// What the provider billed, in nano-dollars.
fn book(bed: &TestBed) -> u64 {
    let calls = bed.mock.log();
    calls.iter().map(|call| call.billed.output * 10_000).sum()
}

/// What the ledger has once nothing is under way, in nano-dollars: spent, and cost by model.
async fn settled(bed: &TestBed) -> (u64, u64) {
    until(
        "nothing is set aside",
        Duration::from_secs(10),
        async || {
            let books = bed.agixctl.json(&["ledger", "verify"]).await;
            assert_eq!(books["findings"], json!([]), "{books}");
            let sum = |name: &str| books["total"][name].as_u64().unwrap();
            let spent = sum("spent_nano_usd");
            let held = sum("escrow_nano_usd") + sum("unsettled_nano_usd");
            let usage = books["usage_cost_nano_usd"].as_u64().unwrap();
            (spent > 0 && held == 0).then_some((spent, usage))
        },
    )
    .await
}

#[tokio::test]
async fn a_caller_that_leaves_a_stream_pays_for_what_was_sent() {
    let (bed, caller) = bed(Behaviour::Ok).await;
    let mut stream = caller.chat_stream(&short(stream("gpt-4o"))).await.unwrap();
    for _ in 0..50 {
        stream.event().await.unwrap().unwrap();
    }
    drop(stream);
    let (spent, usage) = settled(&bed).await;
    assert_eq!(spent, usage);
    // Bytes tell no less than the words they are, and the provider stopped soon.
    assert!(spent >= 45 * 10_000, "{spent}");
    assert!(spent < 1_000 * 10_000, "{spent}");
}

#[tokio::test]
async fn a_stream_that_dies_is_paid_for_as_far_as_it_came() {
    let fault = Behaviour::Fault {
        after_events: 60,
        fault: Fault::Reset,
    };
    let (bed, caller) = bed(fault).await;
    let mut stream = caller.chat_stream(&short(stream("gpt-4o"))).await.unwrap();
    let said = stream.events().await.unwrap();
    assert!(!said.is_whole());
    let (spent, _) = settled(&bed).await;
    assert!(spent >= book(&bed), "{spent} and {}", book(&bed));
    assert!(spent < 400 * 10_000, "{spent}");
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_leaves_nothing_set_aside() {
    let (bed, caller) = bed(Behaviour::SilenceBeforeHeaders).await;
    let request = short(chat("gpt-4o"));
    let asked = tokio::time::timeout(Duration::from_millis(500), caller.chat(&request)).await;
    assert!(asked.is_err(), "{asked:?}");
    drop(asked);
    // Nobody knows what the provider bills for it: everything that was set aside.
    let (spent, _) = settled(&bed).await;
    assert_eq!(spent, 1_000 * 10_000);
}

#[tokio::test]
async fn a_refusal_of_the_provider_costs_nothing() {
    let (bed, caller) = bed(Behaviour::Status(500)).await;
    for _ in 0..3 {
        let answer = caller.chat(&short(chat("gpt-4o"))).await.unwrap();
        assert_eq!(answer.status, 502, "{answer:?}");
    }
    bed.mock.script("gpt-4o", Script::default());
    let answer = caller.chat(&short(chat("gpt-4o"))).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let (spent, _) = settled(&bed).await;
    assert_eq!(spent, 400 * 10_000);
}
