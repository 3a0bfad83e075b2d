//! SPEC's outage: OpenAI is down, Anthropic answers, and nobody has to change a line.

use agix_tests::ask::{chat, stream, stream_with_usage};
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::TestBed;
use serde_json::{Value, json};

const CHAIN: &str = "
failover:
  chains:
    gpt-4o: [gpt-4o-mini, claude-opus-4-6, deepseek-chat]
";
const OPENAI: [&str; 2] = ["gpt-4o", "gpt-4o-mini"];
const ALL: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "claude-opus-4-6", "deepseek-chat"];

fn down(bed: &TestBed, models: &[&str]) {
    for model in models {
        bed.mock
            .script(model, Script::always(Behaviour::Status(503)));
    }
}

/// How often each model was called, in the order of [`ALL`].
fn calls(bed: &TestBed) -> [usize; 4] {
    ALL.map(|model| bed.mock.calls(model).len())
}

#[tokio::test]
async fn another_provider_answers_and_each_failing_model_is_called_once() {
    let bed = TestBed::start(CHAIN).await;
    down(&bed, &OPENAI);
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "claude-opus-4-6");
    let text = &body["choices"][0]["message"]["content"];
    assert_eq!(text, "This is claude-opus-4-6 speaking, in a few words.");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer.header("x-agix-model"), "claude-opus-4-6");
    assert_eq!(answer.header("x-agix-provider"), "anthropic");
    assert_eq!(answer.header("x-agix-attempts"), "3");
    assert_eq!(calls(&bed), [1, 1, 1, 0]);

    let [call] = bed.mock.calls("claude-opus-4-6").try_into().unwrap();
    assert!(call.answered());
    assert_eq!(call.path, "/v1/messages");
    assert_eq!(call.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(call.header("x-agent-name"), None);
    assert_eq!(call.body["system"][0]["text"], "Answer in one sentence.");
    let first = &call.body["messages"][0];
    assert_eq!(first["role"], "user");
}

#[tokio::test]
async fn a_streamed_request_fails_over_too_and_ends_whole() {
    let bed = TestBed::start(CHAIN).await;
    down(&bed, &OPENAI);
    for request in [stream("gpt-4o"), stream_with_usage("gpt-4o")] {
        let wants_usage = request.get("stream_options").is_some();
        let mut stream = bed.caller().chat_stream(&request).await.unwrap();
        assert_eq!(stream.status, 200);
        assert_eq!(stream.header("x-agix-model"), "claude-opus-4-6");
        assert_eq!(stream.header("x-agix-attempts"), "3");
        let said = stream.events().await.unwrap();
        assert!(said.is_whole(), "{said:?}");
        assert_eq!(
            said.text(),
            "This is claude-opus-4-6 speaking, in a few words."
        );
        assert_eq!(said.models(), ["claude-opus-4-6"]);
        assert_eq!(said.finish_reason().as_deref(), Some("stop"));
        assert_eq!(said.usage().is_some(), wants_usage, "{said:?}");
    }
    assert_eq!(calls(&bed), [2, 2, 2, 0]);
}

#[tokio::test]
async fn when_all_are_down_the_error_lists_every_attempt() {
    let bed = TestBed::start(CHAIN).await;
    down(&bed, &ALL);
    for request in [chat("gpt-4o"), stream("gpt-4o")] {
        let answer = bed.caller().chat(&request).await.unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("x-should-retry"), "false");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(!answer.header("x-request-id").is_empty());
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "upstream_error");
        let attempts = error["agix"]["attempts"].as_array().unwrap();
        let models: Vec<&Value> = attempts.iter().map(|attempt| &attempt["model"]).collect();
        assert_eq!(
            models,
            ALL.map(|model| json!(model)).iter().collect::<Vec<_>>()
        );
        for attempt in attempts {
            assert_eq!(attempt["status"], 503);
            assert_eq!(attempt["reason"], "unavailable");
        }
    }
    assert_eq!(calls(&bed), [2; 4]);
}

#[tokio::test]
async fn one_retry_means_exactly_two_attempts() {
    let policy = CHAIN.replace("failover:", "failover:\n  max_retries: 1");
    let bed = TestBed::start(&policy).await;
    down(&bed, &ALL);
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 503);
    let attempts = answer.json()["error"]["agix"]["attempts"].clone();
    assert_eq!(attempts.as_array().unwrap().len(), 2, "{attempts}");
    assert_eq!(calls(&bed), [1, 1, 0, 0]);
}

#[tokio::test]
async fn no_retry_means_the_asked_model_alone() {
    let policy = CHAIN.replace("failover:", "failover:\n  max_retries: 0");
    let bed = TestBed::start(&policy).await;
    down(&bed, &ALL);
    assert_eq!(
        bed.caller().chat(&chat("gpt-4o")).await.unwrap().status,
        503
    );
    assert_eq!(calls(&bed), [1, 0, 0, 0]);
}
