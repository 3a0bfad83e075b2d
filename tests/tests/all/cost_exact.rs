//! Costs, to the last digit, as computed by hand from the list prices.

use agix_tests::ask::{chat, stream, stream_with_usage};
use agix_tests::mock_provider::{Behaviour, Reply, Script, Usage};
use agix_tests::test_bed::TestBed;
use serde_json::Value;

fn reply(usage: Usage) -> Reply {
    Reply {
        usage: Some(usage),
        ..Reply::default()
    }
}

/// Cost, input and output tokens of a plain and of a streamed answer, which must agree with each
/// other and with what the provider billed.
async fn billed(bed: &TestBed, model: &str, usage: Usage) -> (String, u64, u64) {
    bed.mock.reply(model, reply(usage));
    let answer = bed.caller().chat(&chat(model)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let tokens = |name| answer.header(name).parse().unwrap();
    let plain = (
        answer.header("x-cost-usd").to_owned(),
        tokens("x-input-tokens"),
        tokens("x-output-tokens"),
    );
    let body = answer.json();
    assert_eq!(body["usage"]["prompt_tokens"], plain.1, "{body}");
    assert_eq!(body["usage"]["completion_tokens"], plain.2, "{body}");

    let request = stream_with_usage(model);
    let said = bed
        .caller()
        .chat_stream(&request)
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    assert!(said.is_whole(), "{said:?}");
    let streamed = said.usage().unwrap();
    assert_eq!(streamed["prompt_tokens"], plain.1, "{streamed}");
    assert_eq!(streamed["completion_tokens"], plain.2, "{streamed}");
    assert_eq!(
        streamed["cost_usd"],
        plain.0.parse::<Value>().unwrap(),
        "{streamed}"
    );

    for call in bed.mock.calls(model) {
        assert_eq!(call.billed, usage);
    }
    assert_eq!((plain.1, plain.2), (usage.input, usage.output));
    plain
}

#[tokio::test]
async fn cached_input_of_gpt_4o_costs_half() {
    let bed = TestBed::start("").await;
    let usage = Usage {
        input: 1_000,
        cached_input: 400,
        output: 50,
        ..Usage::default()
    };
    // 600 x $2.50 + 400 x $1.25 + 50 x $10, per million: 1,500 + 500 + 500 micro-dollars.
    let expected = ("0.0025".to_owned(), 1_000, 50);
    assert_eq!(billed(&bed, "gpt-4o", usage).await, expected);
}

#[tokio::test]
async fn cache_reads_and_writes_of_claude_have_their_own_prices() {
    let bed = TestBed::start("").await;
    let usage = Usage {
        input: 2_000,
        cached_input: 1_000,
        cache_write: 500,
        output: 100,
        reasoning: 0,
    };
    // 500 x $5 + 1,000 x $0.50 + 500 x $6.25 + 100 x $25, per million:
    // 2,500 + 500 + 3,125 + 2,500 micro-dollars.
    let expected = ("0.008625".to_owned(), 2_000, 100);
    assert_eq!(billed(&bed, "claude-opus-4-6", usage).await, expected);
}

#[tokio::test]
async fn reasoning_is_part_of_the_output_and_not_billed_twice() {
    let bed = TestBed::start("").await;
    let usage = Usage {
        input: 100,
        output: 300,
        reasoning: 250,
        ..Usage::default()
    };
    // 100 x $1.25 + 300 x $10, per million: 125 + 3,000 micro-dollars.
    let expected = ("0.003125".to_owned(), 100, 300);
    assert_eq!(billed(&bed, "gpt-5", usage).await, expected);
}

#[tokio::test]
async fn the_policys_price_goes_before_the_catalogues_and_is_rounded_up_once() {
    let policy = "
models:
  gpt-4o: { provider: openai, price: { input: 0.0001, output: 0.000001 } }
";
    let bed = TestBed::start(policy).await;
    let usage = Usage {
        input: 7,
        output: 3,
        ..Usage::default()
    };
    // 7 x 100 + 3 x 1 pico-dollars are 703: one nano-dollar.
    let expected = ("0.000000001".to_owned(), 7, 3);
    assert_eq!(billed(&bed, "gpt-4o", usage).await, expected);
}

#[tokio::test]
async fn a_request_that_failed_over_costs_what_the_answering_model_costs() {
    let bed = TestBed::start("failover: { chains: { gpt-4o: [claude-opus-4-6] } }").await;
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    let usage = Usage {
        input: 1_000,
        output: 1_000,
        ..Usage::default()
    };
    bed.mock.reply("claude-opus-4-6", reply(usage));
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.header("x-cost-usd"), "0.03");
    let billed: u64 = bed.mock.log().iter().map(|call| call.billed.output).sum();
    assert_eq!(billed, 1_000);
}

#[tokio::test]
async fn an_unpriced_model_is_never_silently_free() {
    let policy = "
models:
  house-model: { provider: openai, upstream_model: gpt-of-the-house }
budgets:
  careful: { daily_limit_usd: 10 }
";
    let bed = TestBed::start(policy).await;
    let answer = bed.caller().chat(&chat("house-model")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-cost-usd"), "unknown");
    let careful = bed.caller().with("x-agent-name", "careful");
    let refused = careful.chat(&chat("house-model")).await.unwrap();
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(bed.mock.calls("gpt-of-the-house").len(), 1);
}

#[tokio::test]
async fn usage_is_asked_for_upstream_and_hidden_from_those_who_did_not_ask() {
    let bed = TestBed::start("").await;
    let caller = bed.caller();
    let silent = caller
        .chat_stream(&stream("gpt-4o"))
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    assert!(silent.is_whole(), "{silent:?}");
    assert!(
        silent
            .events
            .iter()
            .all(|event| !event.contains("\"usage\"")),
        "{silent:?}"
    );
    let [call] = bed.mock.calls("gpt-4o").try_into().unwrap();
    assert_eq!(call.body["stream_options"]["include_usage"], true);
}
