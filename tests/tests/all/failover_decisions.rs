//! What is tried again, what goes on to the next model, and what ends a request.

use agix_tests::ask::{chat, stream};
use agix_tests::caller::Answer;
use agix_tests::mock_provider::{Behaviour, Fault, Script};
use agix_tests::test_bed::{ProxySettings, TestBed};
use serde_json::json;

const CHAIN: &str = "
failover:
  chains:
    gpt-4o: [claude-opus-4-6]
    claude-opus-4-6: [gpt-4o]
";

/// The status of a request for `model` whose first calls meet `behaviours`, and how often each of
/// both models was called for it.
async fn run(bed: &TestBed, model: &str, behaviours: &[Behaviour]) -> (Answer, usize, usize) {
    let other = if model == "gpt-4o" {
        "claude-opus-4-6"
    } else {
        "gpt-4o"
    };
    let before = (bed.mock.calls(model).len(), bed.mock.calls(other).len());
    bed.mock
        .script(model, Script::first(behaviours.iter().cloned()));
    let answer = bed.caller().chat(&chat(model)).await.unwrap();
    let asked = bed.mock.calls(model).len() - before.0;
    (answer, asked, bed.mock.calls(other).len() - before.1)
}

fn limited(retry_after: Option<&str>) -> Behaviour {
    Behaviour::RateLimited {
        retry_after: retry_after.map(str::to_owned),
    }
}

#[tokio::test]
async fn what_a_quick_retry_heals_is_tried_again_on_the_same_model() {
    let bed = TestBed::start(CHAIN).await;
    for model in ["gpt-4o", "claude-opus-4-6"] {
        for behaviour in [
            Behaviour::Status(500),
            Behaviour::Status(502),
            Behaviour::ResetBeforeHeaders,
            limited(Some("1")),
            limited(Some("0")),
            // In the past: at once.
            limited(Some("Wed, 21 Oct 2015 07:28:00 GMT")),
        ] {
            let (answer, asked, other) = run(&bed, model, std::slice::from_ref(&behaviour)).await;
            assert_eq!(answer.status, 200, "{behaviour:?}: {answer:?}");
            assert_eq!((asked, other), (2, 0), "{behaviour:?}");
            assert_eq!(answer.header("x-agix-model"), model);
            assert_eq!(answer.header("x-agix-attempts"), "2");
        }
    }
}

#[tokio::test]
async fn what_it_cannot_heal_goes_on_to_the_next_model_at_once() {
    for behaviour in [
        Behaviour::Status(401),
        Behaviour::Status(402),
        Behaviour::Status(403),
        Behaviour::Status(404),
        Behaviour::Status(408),
        Behaviour::Status(503),
        Behaviour::Status(504),
        Behaviour::Status(529),
        Behaviour::QuotaExhausted,
        limited(None),
        limited(Some("60")),
        limited(Some("-1")),
        limited(Some("1000000000")),
    ] {
        // A proxy remembers what failed; each of these is to be the first failure.
        let bed = TestBed::start(CHAIN).await;
        for model in ["gpt-4o", "claude-opus-4-6"] {
            let (answer, asked, other) = run(&bed, model, std::slice::from_ref(&behaviour)).await;
            assert_eq!(answer.status, 200, "{behaviour:?}: {answer:?}");
            assert_eq!((asked, other), (1, 1), "{behaviour:?}");
            assert_ne!(answer.header("x-agix-model"), model, "{behaviour:?}");
        }
    }
}

#[tokio::test]
async fn a_fault_of_the_caller_is_told_and_not_tried_elsewhere() {
    let bed = TestBed::start(CHAIN).await;
    for model in ["gpt-4o", "claude-opus-4-6"] {
        for behaviour in [
            Behaviour::Status(400),
            Behaviour::Status(422),
            Behaviour::ContentFilter,
        ] {
            let (answer, asked, other) = run(&bed, model, std::slice::from_ref(&behaviour)).await;
            assert!(answer.status.is_client_error(), "{behaviour:?}: {answer:?}");
            assert_eq!((asked, other), (1, 0), "{behaviour:?}");
            let error = &answer.json()["error"];
            assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
            assert_eq!(answer.header("x-should-retry"), "false");
        }
    }
    // In the caller's own protocol the provider's words are passed on as they are.
    let (answer, ..) = run(&bed, "gpt-4o", &[Behaviour::Status(400)]).await;
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "unsupported_parameter");
    assert_eq!(error["param"], "max_tokens");
}

#[tokio::test]
async fn a_request_too_long_for_one_model_goes_to_a_larger_one() {
    let policy = format!(
        "{CHAIN}
models:
  gpt-4o: {{ provider: openai, context_window: 128000 }}
  claude-opus-4-6: {{ provider: anthropic, context_window: 1000000 }}
"
    );
    let bed = TestBed::start(&policy).await;
    let long = [Behaviour::ContextLength];
    let (answer, asked, other) = run(&bed, "gpt-4o", &long).await;
    assert_eq!((answer.status.as_u16(), asked, other), (200, 1, 1));
    let (answer, asked, other) = run(&bed, "claude-opus-4-6", &long).await;
    assert_eq!((answer.status.as_u16(), asked, other), (400, 1, 0));
}

#[tokio::test]
async fn our_own_key_refused_is_never_the_callers_401() {
    let bed = TestBed::start("").await;
    for (behaviour, model) in [
        (Behaviour::Status(401), "gpt-4o"),
        (Behaviour::Status(403), "gpt-4o"),
        (Behaviour::Status(401), "claude-opus-4-6"),
        (Behaviour::QuotaExhausted, "claude-opus-4-6"),
    ] {
        bed.mock.script(model, Script::first([behaviour.clone()]));
        let answer = bed.caller().chat(&chat(model)).await.unwrap();
        assert!(answer.status.is_server_error(), "{behaviour:?}: {answer:?}");
        assert!(!answer.header("x-request-id").is_empty());
        // Providers repeat a part of the key in their words.
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("sk-"), "{text}");
    }
}

#[tokio::test]
async fn a_model_that_cannot_serve_the_request_is_skipped_and_said_to_be() {
    let policy = "failover: { chains: { gpt-4o: [claude-opus-4-6, gpt-4o-mini] } }";
    let bed = TestBed::start(policy).await;
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    // Several answers to one question is what Anthropic's protocol does not have.
    let mut request = chat("gpt-4o");
    request["n"] = json!(2);
    let answer = bed.caller().chat(&request).await.unwrap();
    assert_eq!(answer.header("x-agix-model"), "gpt-4o-mini", "{answer:?}");
    assert_eq!(answer.json()["choices"].as_array().unwrap().len(), 2);
    assert!(bed.mock.calls("claude-opus-4-6").is_empty());

    bed.mock
        .script("gpt-4o-mini", Script::always(Behaviour::Status(503)));
    let answer = bed.caller().chat(&request).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    let attempts = answer.json()["error"]["agix"]["attempts"].clone();
    assert_eq!(attempts[1]["model"], "claude-opus-4-6", "{attempts}");
    assert_eq!(attempts[1]["outcome"], "skipped", "{attempts}");
    assert_eq!(attempts[2]["outcome"], "failed", "{attempts}");
}

#[tokio::test]
async fn embeddings_never_come_from_another_model() {
    let policy = "failover: { chains: { text-embedding-3-small: [text-embedding-3-large] } }";
    let bed = TestBed::start(policy).await;
    let down = Script::always(Behaviour::Status(503));
    bed.mock.script("text-embedding-3-small", down);
    let request = json!({ "model": "text-embedding-3-small", "input": "a" });
    let answer = bed.caller().post("/v1/embeddings", &request).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(bed.mock.calls("text-embedding-3-large").is_empty());
}

#[tokio::test]
async fn a_simulated_provider_follows_its_script_costs_nothing_and_is_marked() {
    let policy = "
failover: { chains: { drill: [gpt-4o] } }
models:
  drill: { provider: practice, simulate: { first_token: 1ms, outcomes: [ok, 503] } }
";
    let mut bed = TestBed::without_proxies().await;
    let document = bed
        .document(policy)
        .replace("providers:", "providers:\n  practice: { api: simulated }");
    bed.agixctl.apply(&document, &[]).await;
    bed.add_proxy(ProxySettings::default()).await;
    let first = bed.caller().chat(&chat("drill")).await.unwrap();
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.header("x-agix-simulated"), "true");
    assert_eq!(first.header("x-cost-usd"), "0");
    assert!(bed.mock.log().is_empty());
    let second = bed.caller().chat(&chat("drill")).await.unwrap();
    assert_eq!(second.header("x-agix-model"), "gpt-4o", "{second:?}");
    assert_eq!(second.header("x-agix-simulated"), "");
}

#[tokio::test]
async fn no_provider_is_called_for_what_none_serves() {
    let bed = TestBed::start("").await;
    let answer = bed.caller().chat(&chat("llama-of-nobody")).await.unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["code"], "model_not_found");
    assert!(bed.mock.log().is_empty());
}

#[tokio::test]
async fn every_failure_inside_a_200_is_still_a_failure_of_the_attempt() {
    let bed = TestBed::start(CHAIN).await;
    let first = Behaviour::Fault {
        after_events: 0,
        fault: Fault::ErrorEvent,
    };
    for model in ["gpt-4o", "claude-opus-4-6"] {
        bed.mock.script(model, Script::always(first.clone()));
        let other = if model == "gpt-4o" {
            "claude-opus-4-6"
        } else {
            "gpt-4o"
        };
        let mut stream = bed.caller().chat_stream(&stream(model)).await.unwrap();
        assert_eq!(stream.header("x-agix-model"), other);
        let said = stream.events().await.unwrap();
        assert!(said.is_whole(), "{said:?}");
        assert_eq!(said.models(), [other]);
        let plain = bed.caller().chat(&chat(model)).await.unwrap();
        assert_eq!(plain.json()["model"], other);
        bed.mock.script(model, Script::default());
    }
}
