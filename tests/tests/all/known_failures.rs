//! What other gateways are known to get wrong about costs and failover, each a promise here.
//!
//! What is not here has a test elsewhere: costs of every kind of call (`cost_matrix`), streams that
//! break or stall (`failover_rescue`, `upstream_cuts`), storms of further attempts
//! (`failover_amount`, `failover_breaker`, `failover_fleet`).

use agix_tests::ask::{chat, stream_with_usage};
use agix_tests::caller::Answer;
use agix_tests::mock_provider::{Behaviour, Fault, Reply, Script, Usage};
use agix_tests::test_bed::TestBed;
use serde_json::{Value, json};

/// Dollars per million tokens of output: 10, 25 and 1.
const CHAIN: &str = "
models:
  gpt-4o: { provider: openai, price: { input: 0, output: 10 } }
  claude-opus-4-6: { provider: anthropic, price: { input: 0, output: 25 } }
  deepseek-chat: { provider: deepseek, price: { input: 0, output: 1 } }
budgets: { poor: { daily_limit_usd: 0.02 } }
";

async fn chain(failover: &str) -> TestBed {
    let policy = format!(
        "{CHAIN}
failover:
  same_model_retries: 0
  chains: {{ gpt-4o: [claude-opus-4-6, deepseek-chat] }}
{failover}"
    );
    let bed = TestBed::start(&policy).await;
    let down = Script::always(Behaviour::Status(503));
    bed.mock.script("gpt-4o", down);
    bed
}

fn models(bed: &TestBed) -> Vec<String> {
    let calls = bed.mock.log();
    calls.into_iter().map(|call| call.model).collect()
}

fn attempts(answer: &Answer) -> Value {
    answer.json()["error"]["agix"]["attempts"].clone()
}

#[tokio::test]
async fn tokens_that_are_reported_as_zero_are_not_estimated() {
    let bed = TestBed::start(CHAIN).await;
    let usage = Usage {
        input: 100,
        output: 0,
        ..Usage::default()
    };
    let reply = Reply {
        usage: Some(usage),
        ..Reply::default()
    };
    for model in ["gpt-4o", "claude-opus-4-6"] {
        bed.mock.reply(model, reply.clone());
        let answer = bed.caller().chat(&chat(model)).await.unwrap();
        assert_eq!(answer.header("x-cost-usd"), "0", "{answer:?}");
        assert_eq!(answer.header("x-output-tokens"), "0");
        assert_eq!(answer.header("x-agix-usage"), "");
        let request = stream_with_usage(model);
        let mut stream = bed.caller().chat_stream(&request).await.unwrap();
        let said = stream.events().await.unwrap();
        assert_eq!(said.usage().unwrap()["cost_usd"], 0, "{said:?}");
    }
}

#[tokio::test]
async fn a_fallback_too_dear_for_what_is_left_of_the_budget_is_passed_over_for_a_cheaper_one() {
    let bed = chain("").await;
    let caller = bed.caller().with("x-agent-name", "poor");
    let mut request = chat("gpt-4o");
    // At most 0.01 dollars at the first model, 0.025 at the second, 0.001 at the third.
    request["max_tokens"] = json!(1_000);
    let answer = caller.chat(&request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-agix-model"), "deepseek-chat");
    // Eight words at one micro-dollar each.
    assert_eq!(answer.header("x-cost-usd"), "0.000008");
    assert_eq!(models(&bed), ["gpt-4o", "deepseek-chat"]);
}

#[tokio::test]
async fn a_fallback_dearer_than_the_policy_allows_is_passed_over() {
    let bed = chain("  max_cost_ratio: 2\n").await;
    bed.mock
        .script("deepseek-chat", Script::always(Behaviour::Status(503)));
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(models(&bed), ["gpt-4o", "deepseek-chat"]);
    let skipped = &attempts(&answer)[1];
    assert_eq!(skipped["model"], "claude-opus-4-6");
    assert_eq!(skipped["reason"], "dearer than max_cost_ratio allows");
}

#[tokio::test]
async fn a_fallback_that_takes_no_beginning_of_an_answer_hides_no_error() {
    let bed = chain("").await;
    bed.mock
        .script("deepseek-chat", Script::always(Behaviour::Status(503)));
    let mut request = chat("gpt-4o");
    // The caller has begun the answer itself, which claude-opus-4-6 does not take.
    let begun = json!({ "role": "assistant", "content": "I am" });
    request["messages"].as_array_mut().unwrap().push(begun);
    let answer = bed.caller().chat(&request).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(models(&bed), ["gpt-4o", "deepseek-chat"]);
    assert_eq!(attempts(&answer)[1]["outcome"], "skipped");
}

#[tokio::test]
async fn a_fallback_is_asked_what_the_caller_asked_and_nothing_else() {
    let bed = chain("  stream_rescue: buffer\n").await;
    // Half of the answer was there: nobody is asked to go on with it.
    let broken = Behaviour::Fault {
        after_events: 5,
        fault: Fault::Reset,
    };
    bed.mock.script("gpt-4o", Script::always(broken.clone()));
    bed.mock.script("claude-opus-4-6", Script::always(broken));
    let request = stream_with_usage("gpt-4o");
    let mut stream = bed.caller().chat_stream(&request).await.unwrap();
    let said = stream.events().await.unwrap();
    assert!(said.is_whole(), "{said:?}");
    let text = "This is deepseek-chat speaking, in a few words.";
    assert_eq!(said.text(), text);
    let [first, second, third] = bed.mock.log().try_into().unwrap();
    assert_eq!(first.body["messages"], request["messages"]);
    assert_eq!(third.body["messages"], request["messages"]);
    let system = second.body["system"].to_string();
    assert_eq!(system.matches("text\":").count(), 1, "{system}");
    assert!(system.contains("Answer in one sentence."), "{system}");
    let asked = &second.body["messages"];
    assert_eq!(asked.as_array().unwrap().len(), 1, "{asked}");
    assert!(asked.to_string().contains("Who are you?"), "{asked}");
}
