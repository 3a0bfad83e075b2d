use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::caller::{CallError, Caller, PATIENCE, data};
use crate::wait::until;

fn chat(stream: bool) -> Value {
    json!({
        "model": "gpt-4o",
        "messages": [{ "role": "user", "content": "hello" }],
        "stream": stream,
    })
}

fn messages(stream: bool) -> Value {
    json!({
        "model": "claude-opus-4-6",
        "max_tokens": 64,
        "messages": [{ "role": "user", "content": "hello" }],
        "stream": stream,
    })
}

fn anthropic(mock: &MockProvider) -> Caller {
    Caller::new(mock.address())
        .with("x-api-key", "sk-ant")
        .with("anthropic-version", "2023-06-01")
}

fn scripted(behaviour: Behaviour) -> (MockProvider, Caller) {
    let mock = MockProvider::start().unwrap();
    mock.script("gpt-4o", Script::first([behaviour]));
    let caller = Caller::new(mock.address());
    (mock, caller)
}

fn fault(after_events: u32, fault: Fault) -> Behaviour {
    Behaviour::Fault {
        after_events,
        fault,
    }
}

#[tokio::test]
async fn a_plain_chat_is_answered_and_billed() {
    let mock = MockProvider::start().unwrap();
    let answer = Caller::new(mock.address())
        .chat(&chat(false))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["model"], "gpt-4o");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["completion_tokens"], 8);
    let [entry] = mock.log().try_into().unwrap();
    assert!(entry.answered());
    assert_eq!(
        entry.billed,
        Usage {
            input: 2,
            output: 8,
            ..Usage::default()
        }
    );
    assert_eq!(entry.header("authorization"), Some("(redacted)"));
}

#[tokio::test]
async fn usage_is_streamed_only_to_those_who_ask() {
    let mock = MockProvider::start().unwrap();
    let caller = Caller::new(mock.address());
    let mut request = chat(true);
    let silent = caller
        .chat_stream(&request)
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    assert_eq!(silent.text(), "This is gpt-4o speaking, in a few words.");
    assert_eq!(silent.events.back().unwrap(), "data: [DONE]");
    assert!(
        silent
            .events
            .iter()
            .all(|event| !event.contains("\"usage\""))
    );

    request["stream_options"] = json!({ "include_usage": true });
    let asked = caller
        .chat_stream(&request)
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    let last = data(&asked.events[asked.events.len() - 2]).unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 8);
}

#[tokio::test]
async fn anthropic_streams_named_events() {
    let mock = MockProvider::start().unwrap();
    let caller = anthropic(&mock);
    let mut stream = caller
        .open(Method::POST, "/v1/messages", messages(true).to_string())
        .await
        .unwrap();
    let events = stream.events().await.unwrap().events;
    let names: Vec<&str> = events
        .iter()
        .map(|event| event.lines().next().unwrap())
        .collect();
    assert_eq!(
        names[..3],
        [
            "event: message_start",
            "event: content_block_start",
            "event: ping"
        ]
    );
    assert_eq!(*names.last().unwrap(), "event: message_stop");
    let plain = caller
        .post("/v1/messages", &messages(false))
        .await
        .unwrap()
        .json();
    assert_eq!(plain["stop_reason"], "end_turn");
    assert_eq!(plain["content"][0]["type"], "text");
}

#[tokio::test]
async fn wrong_translations_are_refused() {
    let mock = MockProvider::start().unwrap();
    let with = |change: fn(&mut Value)| {
        let mut body = messages(false);
        change(&mut body);
        body
    };
    let wrong = [
        with(|body| drop(body.as_object_mut().unwrap().remove("max_tokens"))),
        with(|body| body["max_tokens"] = json!(1_000_000)),
        with(|body| body["logit_bias"] = json!({})),
        with(|body| body["temperature"] = json!(1.5)),
        with(|body| body["stop_sequences"] = json!([" "])),
        with(|body| body["messages"][0]["role"] = json!("system")),
        with(|body| body["messages"][0]["name"] = json!("bob")),
        with(|body| body["messages"][0]["content"] = json!([{ "type": "text", "text": "" }])),
        with(|body| {
            body["messages"][0]["content"] = json!([{ "type": "input_text", "text": "a" }]);
        }),
        with(|body| body["messages"] = json!([{ "role": "assistant", "content": "a" }])),
        with(|body| body["system"] = json!("")),
    ];
    for body in wrong {
        let answer = anthropic(&mock).post("/v1/messages", &body).await.unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    let no_version = Caller::new(mock.address()).with("x-api-key", "sk-ant");
    let refused = no_version
        .post("/v1/messages", &messages(false))
        .await
        .unwrap();
    assert_eq!(refused.status, 400);
    let no_key = Caller::new(mock.address()).with("authorization", "");
    assert_eq!(no_key.chat(&chat(false)).await.unwrap().status, 401);
    assert_eq!(
        no_key
            .post("/v1/messages", &messages(false))
            .await
            .unwrap()
            .status,
        401
    );
    let astray = json!({ "model": "claude-opus-4-6", "messages": [] });
    assert_eq!(
        Caller::new(mock.address())
            .chat(&astray)
            .await
            .unwrap()
            .status,
        404
    );
    assert!(
        mock.log()
            .iter()
            .all(|entry| entry.billed == Usage::default())
    );
}

#[tokio::test]
async fn another_key_than_the_expected_one_is_refused() {
    let mock = MockProvider::start().unwrap();
    mock.accept_only("sk-ant");
    let wrong = Caller::new(mock.address());
    assert_eq!(wrong.chat(&chat(false)).await.unwrap().status, 401);
    let right = anthropic(&mock);
    let answer = right.post("/v1/messages", &messages(false)).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn behaviours_come_in_turn() {
    let mock = MockProvider::start().unwrap();
    let caller = Caller::new(mock.address());
    let limited = Behaviour::RateLimited {
        retry_after: Some("7".into()),
    };
    mock.script(
        "gpt-4o",
        Script {
            steps: [Behaviour::Status(500), limited].into(),
            then: Behaviour::QuotaExhausted,
        },
    );
    assert_eq!(caller.chat(&chat(false)).await.unwrap().status, 500);
    let second = caller.chat(&chat(false)).await.unwrap();
    assert_eq!(
        (second.status.as_u16(), second.header("retry-after")),
        (429, "7")
    );
    for _ in 0..2 {
        let later = caller.chat(&chat(false)).await.unwrap();
        assert_eq!(later.json()["error"]["code"], "insufficient_quota");
    }
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    for (behaviour, status) in [
        (Behaviour::ResetBeforeHeaders, 0),
        (fault(0, Fault::Reset), 200),
        (fault(3, Fault::Reset), 200),
    ] {
        let (mock, caller) = scripted(behaviour);
        let mut request = chat(true);
        request["stream_options"] = json!({ "include_usage": true });
        let outcome = match caller.chat_stream(&request).await {
            Ok(mut stream) => stream.events().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(CallError::Broken(_))), "{outcome:?}");
        let [entry] = mock.log().try_into().unwrap();
        assert_eq!(entry.status, status);
        assert_eq!(entry.outcome, Outcome::Broken);
        assert!(entry.billed.output < 8);
    }
}

#[tokio::test]
async fn a_cut_answer_looks_whole_to_http() {
    let (mock, caller) = scripted(Behaviour::CutAtByte(700));
    let events = caller
        .chat_stream(&chat(true))
        .await
        .unwrap()
        .whole()
        .await
        .unwrap();
    assert_eq!(events.body.len(), 700);
    assert!(!events.body.ends_with(b"[DONE]\n\n"));
    mock.script("gpt-4o", Script::first([fault(2, Fault::End)]));
    let ended = caller
        .chat_stream(&chat(true))
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    assert_eq!(ended.events.len(), 2);
}

#[tokio::test]
async fn silence_lasts_until_the_caller_leaves_and_is_noticed() {
    let (mock, caller) = scripted(fault(2, Fault::Silence));
    let mut stream = caller.chat_stream(&chat(true)).await.unwrap();
    stream.event().await.unwrap();
    stream.event().await.unwrap();
    assert_eq!(mock.log()[0].outcome, Outcome::Open);
    drop(stream);
    until("the provider notices", PATIENCE, async || {
        let entry = mock.log().remove(0);
        matches!(entry.outcome, Outcome::CallerLeft { .. }).then_some(entry.billed)
    })
    .await;

    let before = json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": "a" }] });
    mock.script("gpt-5", Script::always(Behaviour::SilenceBeforeHeaders));
    let patience = Duration::from_millis(50);
    assert!(
        tokio::time::timeout(patience, caller.chat(&before))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn errors_come_inside_a_200() {
    let (mock, caller) = scripted(fault(0, Fault::ErrorEvent));
    let events = caller
        .chat_stream(&chat(true))
        .await
        .unwrap()
        .events()
        .await
        .unwrap();
    assert_eq!(events.error().unwrap()["type"], "server_error");

    mock.script(
        "claude-opus-4-6",
        Script::first([fault(4, Fault::ErrorEvent)]),
    );
    let path = "/v1/messages";
    let stream = anthropic(&mock)
        .open(Method::POST, path, messages(true).to_string())
        .await;
    let events = stream.unwrap().events().await.unwrap().events;
    assert_eq!(events.len(), 5);
    assert!(events[4].starts_with("event: error\n"));
}

#[tokio::test]
async fn usage_can_be_missing_or_absurd() {
    let (mock, caller) = scripted(Behaviour::Usage(UsageReport::Missing));
    assert!(
        caller
            .chat(&chat(false))
            .await
            .unwrap()
            .json()
            .get("usage")
            .is_none()
    );
    for (report, tokens) in [
        (UsageReport::Negative, json!(-1_000_000_000)),
        (UsageReport::Huge, json!(1e308)),
        (
            UsageReport::BeyondSigned,
            json!(9_223_372_036_854_775_808_u64),
        ),
    ] {
        mock.script("gpt-4o", Script::first([Behaviour::Usage(report)]));
        let body = caller.chat(&chat(false)).await.unwrap().json();
        assert_eq!(body["usage"]["prompt_tokens"], tokens);
    }
}

#[tokio::test]
async fn bodies_and_heads_can_be_hostile() {
    let (mock, caller) = scripted(Behaviour::ShortOfContentLength);
    let short = caller.chat(&chat(false)).await;
    assert!(matches!(short, Err(CallError::Broken(_))), "{short:?}");

    let bomb = Behaviour::GzipBomb { bytes: 1 << 30 };
    mock.script("gpt-4o", Script::first([bomb]));
    let bomb = caller.chat(&chat(false)).await.unwrap();
    assert_eq!(bomb.header("content-encoding"), "gzip");
    assert!(bomb.body.len() < 8 * 1024 * 1024);

    let line = Fault::EndlessLine { bytes: 1 << 30 };
    mock.script("gpt-4o", Script::first([fault(1, line)]));
    let mut stream = caller.chat_stream(&chat(true)).await.unwrap();
    let mut read = 0;
    while read < 4 * 1024 * 1024 {
        read += stream.piece().await.unwrap().unwrap().len();
    }
    mock.script(
        "gpt-4o",
        Script::first([Behaviour::HugeHeaders { bytes: 200_000 }]),
    );
    assert_eq!(
        caller
            .chat(&chat(false))
            .await
            .unwrap()
            .header("x-padding")
            .len(),
        200_000
    );
}

#[tokio::test]
async fn scripts_and_the_book_work_over_http() {
    let mock = MockProvider::start().unwrap();
    let caller = Caller::new(mock.address());
    let script = json!({
        "model": "gpt-4o",
        "steps": [{ "fault": { "after_events": 0, "fault": "reset" } }, { "status": 503 }],
        "then": "ok",
        "reply": { "text": "scripted", "usage": { "input": 5, "output": 1 } },
    });
    assert_eq!(
        caller.post("/_mock/script", &script).await.unwrap().status,
        200
    );
    assert!(caller.chat(&chat(false)).await.is_err());
    assert_eq!(caller.chat(&chat(false)).await.unwrap().status, 503);
    let third = caller.chat(&chat(false)).await.unwrap().json();
    assert_eq!(third["choices"][0]["message"]["content"], "scripted");
    let book = caller.get("/_mock/log?from=1").await.unwrap().json();
    assert_eq!(book["calls"], 3);
    assert_eq!(book["entries"][0]["status"], 503);
    assert_eq!(book["entries"][1]["outcome"], "finished");
    assert_eq!(book["entries"][1]["billed"]["input"], 5);
    let wrong = caller
        .post("/_mock/script", &json!({ "modle": "gpt-4o" }))
        .await
        .unwrap();
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn embeddings_and_models_are_listed_as_asked() {
    let mock = MockProvider::start().unwrap();
    let caller = Caller::new(mock.address());
    let request = json!({
        "model": "text-embedding-3-small",
        "input": ["a", "b"],
        "encoding_format": "base64",
    });
    let answer = caller
        .post("/v1/embeddings", &request)
        .await
        .unwrap()
        .json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    // Eight numbers of four bytes each.
    assert_eq!(answer["data"][1]["embedding"].as_str().unwrap().len(), 44);
    let models = caller.get("/v1/models").await.unwrap().json();
    assert_eq!(models["data"][0]["object"], "model");
    let models = anthropic(&mock).get("/v1/models").await.unwrap().json();
    assert_eq!(models["data"][0]["type"], "model");
}
