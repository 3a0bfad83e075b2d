//! Every fault of a provider, for each dialect of callers and providers, without and with
//! `stream_rescue: buffer`. Prints what callers and providers saw (`-- --nocapture`).

use std::fmt::Write as _;

use agix_tests::ask::{response_stream, stream};
use agix_tests::mock_provider::{Behaviour, Fault, Script, UsageReport};
use agix_tests::test_bed::TestBed;
use agix_tests::transcript::Transcript;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;

const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];
const PROVIDERS: [&str; 3] = ["openai", "anthropic", "gemini"];
/// Events of a stream after which each provider has sent text.
const BEGUN: u32 = 4;

/// What is expected of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Nothing was sent yet: the fallback answers in any case.
    Never,
    /// The caller has text already: without rescue the stream ends in an error.
    AfterText,
    /// It does no harm: the asked model answers.
    Harmless,
    /// The caller's own fault: it is told.
    Callers,
}

type Row = (&'static str, Behaviour, Seen);

fn faults() -> Vec<Row> {
    let mut rows = refusals();
    rows.extend(broken_streams());
    rows.extend(oddities());
    rows
}

fn refusals() -> Vec<Row> {
    let status = |what, status, seen| (what, Behaviour::Status(status), seen);
    let limited = |what, retry_after: Option<&str>| {
        let retry_after = retry_after.map(str::to_owned);
        (what, Behaviour::RateLimited { retry_after }, Seen::Never)
    };
    vec![
        limited("429, no Retry-After", None),
        limited("429, Retry-After 60", Some("60")),
        limited("429, Retry-After -1", Some("-1")),
        ("account used up", Behaviour::QuotaExhausted, Seen::Never),
        status("500", 500, Seen::Never),
        status("503", 503, Seen::Never),
        status("529", 529, Seen::Never),
        status("401 for our key", 401, Seen::Never),
        status("404 for the model", 404, Seen::Never),
        ("context too small", Behaviour::ContextLength, Seen::Never),
        ("content refused", Behaviour::ContentFilter, Seen::Callers),
        status("400", 400, Seen::Callers),
    ]
}

fn broken_streams() -> Vec<Row> {
    let first = |what, fault| {
        let after_events = 0;
        let behaviour = Behaviour::Fault {
            after_events,
            fault,
        };
        (what, behaviour, Seen::Never)
    };
    let later = |what, fault| {
        let after_events = BEGUN;
        let behaviour = Behaviour::Fault {
            after_events,
            fault,
        };
        (what, behaviour, Seen::AfterText)
    };
    let line = Fault::EndlessLine { bytes: 5 << 20 };
    let events = Fault::EndlessEvents { bytes: 1 << 18 };
    vec![
        first("reset after the head", Fault::Reset),
        later("reset after text", Fault::Reset),
        first("silence after the head", Fault::Silence),
        later("silence after text", Fault::Silence),
        first("end after the head", Fault::End),
        later("end after text", Fault::End),
        first("garbage first", Fault::Garbage),
        later("garbage after text", Fault::Garbage),
        first("error event first", Fault::ErrorEvent),
        later("error event after text", Fault::ErrorEvent),
        later("a line without end", line),
        later("events, then no end", events),
    ]
}

fn oddities() -> Vec<Row> {
    let usage = |what, report| (what, Behaviour::Usage(report), Seen::Harmless);
    let never = |what, behaviour| (what, behaviour, Seen::Never);
    let to = "http://127.0.0.1:9/".to_owned();
    let drip = Behaviour::Drip { pause_ms: 1 };
    vec![
        never("reset before the head", Behaviour::ResetBeforeHeaders),
        never("silence before the head", Behaviour::SilenceBeforeHeaders),
        never("cut in the first event", Behaviour::CutAtByte(40)),
        never("redirect", Behaviour::Redirect { to }),
        never("huge headers", Behaviour::HugeHeaders { bytes: 200_000 }),
        never("gzip bomb", Behaviour::GzipBomb { bytes: 10 << 20 }),
        ("byte by byte", drip, Seen::Harmless),
        usage("usage missing", UsageReport::Missing),
        usage("usage negative", UsageReport::Negative),
        usage("usage 1e308", UsageReport::Huge),
        usage("usage 2^63", UsageReport::BeyondSigned),
    ]
}

/// A model for each fault and provider, with a fallback that has room for more.
fn policy(rescue: &str, count: usize) -> String {
    let mut models =
        "models:\n  backup: { provider: openai, context_window: 2000000 }\n".to_owned();
    let mut chains = String::new();
    for provider in PROVIDERS {
        for index in 0..count {
            for caller in 0..PATHS.len() {
                let name = name(provider, index, caller);
                let entry = "context_window: 1000";
                writeln!(models, "  {name}: {{ provider: {provider}, {entry} }}").unwrap();
                writeln!(chains, "    {name}: [backup]").unwrap();
            }
        }
    }
    format!(
        "{models}
failover:
  stream_rescue: {rescue}
  same_model_retries: 0
  timeouts: {{ first_token: 4s, idle: 4s, total: 30s }}
  chains:
{chains}"
    )
}

fn name(provider: &str, index: usize, caller: usize) -> String {
    let model = match provider {
        "openai" => "gpt-4o",
        "anthropic" => "claude-opus-4-6",
        other => other,
    };
    format!("{model}-{index}-{caller}")
}

/// What the caller saw, in words.
async fn ask(bed: &TestBed, path: &str, model: &str) -> String {
    let request = match path {
        "/v1/messages" => json!({
            "model": model,
            "max_tokens": 100,
            "stream": true,
            "messages": [{ "role": "user", "content": "Who are you?" }],
        }),
        "/v1/responses" => response_stream(model),
        _ => stream(model),
    };
    let caller = bed.caller();
    let opened = caller.open(Method::POST, path, request.to_string());
    let mut stream = opened.await.unwrap();
    if stream.status != 200 {
        let error = stream.whole().await.unwrap();
        assert!(error.json()["error"]["message"].is_string(), "{error:?}");
        return format!("status {}", error.status.as_u16());
    }
    let by = stream.header("x-agix-model").to_owned();
    let said = stream.events().await.unwrap();
    if is_whole(&said) {
        let who = if by == "backup" {
            "backup"
        } else {
            "asked model"
        };
        return format!("whole, by {who}");
    }
    let error = said.error().unwrap_or_else(|| panic!("no error: {said:?}"));
    format!("error event {}", error["code"])
}

fn is_whole(said: &Transcript) -> bool {
    let last = said.events.back().map(String::as_str).unwrap_or_default();
    said.is_whole() || said.is_whole_response() || last.starts_with("event: message_stop")
}

/// One row of the table for each caller and provider.
async fn rows(bed: &TestBed, rescue: &str, index: usize) -> Vec<String> {
    let (what, behaviour, seen) = faults().swap_remove(index);
    let cells = PROVIDERS.into_iter().flat_map(|provider| {
        let behaviour = &behaviour;
        (0..PATHS.len()).map(move |caller| async move {
            let model = name(provider, index, caller);
            bed.mock.script(&model, Script::always(behaviour.clone()));
            let told = ask(bed, PATHS[caller], &model).await;
            let calls = bed.mock.calls(&model).len();
            let expected = match (seen, rescue) {
                (Seen::Never, _) | (Seen::AfterText, "buffer") => "whole, by backup",
                (Seen::AfterText, _) => "error event",
                (Seen::Harmless, _) => "whole, by asked model",
                (Seen::Callers, _) => "status 4",
            };
            let right = told.starts_with(expected) && calls == 1;
            let mark = if right { "" } else { "  <-- WRONG" };
            let path = PATHS[caller];
            format!("{what:24} | {provider:9} | {path:20} | {rescue:6} | {calls} | {told}{mark}")
        })
    });
    join_all(cells).await
}

#[expect(clippy::print_stdout, reason = "the table is for people too")]
async fn table(rescue: &str) {
    let count = faults().len();
    let bed = TestBed::start(&policy(rescue, count)).await;
    let mut lines = Vec::new();
    for index in 0..count {
        lines.extend(rows(&bed, rescue, index).await);
    }
    lines.sort();
    let lines = lines.join("\n");
    println!("{lines}");
    assert!(!lines.contains("WRONG"), "{lines}");
}

#[tokio::test]
async fn without_rescue_a_stream_is_whole_or_ends_in_an_error() {
    table("off").await;
}

#[tokio::test]
async fn a_held_answer_is_replaced_unseen_whatever_the_provider_does() {
    table("buffer").await;
}

#[tokio::test]
async fn who_waits_for_a_held_answer_gets_signs_of_life() {
    let bed = TestBed::start(
        "
failover:
  stream_rescue: buffer
  same_model_retries: 0
  timeouts: { first_token: 12s }
  chains: { gpt-4o: [gpt-4o-mini], gpt-5: [gpt-4o-mini] }
",
    )
    .await;
    for model in ["gpt-4o", "gpt-5"] {
        bed.mock
            .script(model, Script::always(Behaviour::SilenceBeforeHeaders));
    }
    let chat = async {
        let mut answer = bed.caller().chat_stream(&stream("gpt-4o")).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.events().await.unwrap()
    };
    let messages = async {
        let request = json!({
            "model": "gpt-5",
            "max_tokens": 100,
            "stream": true,
            "messages": [{ "role": "user", "content": "Who are you?" }],
        });
        let opened = bed
            .caller()
            .open(Method::POST, "/v1/messages", request.to_string())
            .await;
        opened.unwrap().events().await.unwrap()
    };
    let (chat, messages) = futures_util::future::join(chat, messages).await;
    assert_eq!(chat.events[0], ": keep-alive");
    assert!(chat.is_whole(), "{chat:?}");
    assert_eq!(chat.models(), ["gpt-4o-mini"]);
    assert!(messages.events[0].starts_with("event: ping\n"));
    assert!(is_whole(&messages), "{messages:?}");
}
