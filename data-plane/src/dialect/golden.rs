//! Golden files: what a provider or a caller sends (`NAME.in.*`), and beside it what must come of
//! it. `AGIX_UPDATE_GOLDEN=1` writes the latter anew, for review.

mod response_client;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use agix_core::units::Tokens;
use agix_core::usage::{Usage, UsageSource};
use bytes::Bytes;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use self::response_client::Told;
use super::*;

/// Bytes of the request whose answer is a golden file.
const INPUT_BYTES: u64 = 330;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/dialect")
        .join(name)
}

/// Whose stream is read, and for whom.
type Pair = (Caller, Dialect);

const CHAT: Pair = (Caller::Chat, Dialect::OpenAi);
const CHAT_OF_MESSAGES: Pair = (Caller::Chat, Dialect::Anthropic);
const MESSAGES: Pair = (Caller::Messages, Dialect::Anthropic);
const CHAT_OF_GEMINI: Pair = (Caller::Chat, Dialect::Gemini);
const MESSAGES_OF_GEMINI: Pair = (Caller::Messages, Dialect::Gemini);
const MESSAGES_OF_CHAT: Pair = (Caller::Messages, Dialect::OpenAi);
const RESPONSES_OF_CHAT: Pair = (Caller::Responses, Dialect::OpenAi);
const RESPONSES_OF_MESSAGES: Pair = (Caller::Responses, Dialect::Anthropic);
const RESPONSES_OF_GEMINI: Pair = (Caller::Responses, Dialect::Gemini);
const COMPLETIONS: Pair = (Caller::Completions, Dialect::Completions);
const COMPLETIONS_OF_CHAT: Pair = (Caller::Completions, Dialect::OpenAi);
const COMPLETIONS_OF_MESSAGES: Pair = (Caller::Completions, Dialect::Anthropic);
const COMPLETIONS_OF_GEMINI: Pair = (Caller::Completions, Dialect::Gemini);

/// The folders of streams, and the folders of what comes of them.
const STREAMS: [(&str, &str, Pair); 13] = [
    ("openai-stream", "openai-stream", CHAT),
    ("anthropic-stream", "anthropic-stream", CHAT_OF_MESSAGES),
    (
        "openai-stream",
        "openai-stream-as-messages",
        MESSAGES_OF_CHAT,
    ),
    ("anthropic-stream", "anthropic-stream-as-messages", MESSAGES),
    ("gemini-stream", "gemini-stream", CHAT_OF_GEMINI),
    (
        "gemini-stream",
        "gemini-stream-as-messages",
        MESSAGES_OF_GEMINI,
    ),
    (
        "openai-stream",
        "openai-stream-as-responses",
        RESPONSES_OF_CHAT,
    ),
    (
        "anthropic-stream",
        "anthropic-stream-as-responses",
        RESPONSES_OF_MESSAGES,
    ),
    (
        "gemini-stream",
        "gemini-stream-as-responses",
        RESPONSES_OF_GEMINI,
    ),
    ("completions-stream", "completions-stream", COMPLETIONS),
    (
        "openai-stream",
        "openai-stream-as-completions",
        COMPLETIONS_OF_CHAT,
    ),
    (
        "anthropic-stream",
        "anthropic-stream-as-completions",
        COMPLETIONS_OF_MESSAGES,
    ),
    (
        "gemini-stream",
        "gemini-stream-as-completions",
        COMPLETIONS_OF_GEMINI,
    ),
];

/// The inputs of a folder: name and content.
fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<_> = std::fs::read_dir(folder(name))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let file = path.file_name()?.to_str()?;
            let (case, _) = file.split_once(".in.")?;
            Some((case.to_owned(), std::fs::read(&path).unwrap()))
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() > 5, "the golden files of {name} are missing");
    inputs
}

/// Compares with the golden files of a folder all at once, so that one run shows every difference.
fn compare(name: &str, outputs: &[(String, String)]) {
    let update = std::env::var_os("AGIX_UPDATE_GOLDEN").is_some();
    let mut differences = String::new();
    for (file, output) in outputs {
        let path = folder(name).join(file);
        if update {
            std::fs::write(&path, output).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        if golden != *output {
            write!(
                differences,
                "\n--- {name}/{file}\n{golden}\n+++ now\n{output}"
            )
            .unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

fn ids(caller: Caller) -> AnswerIds {
    AnswerIds {
        id: match caller {
            Caller::Chat | Caller::Messages => "chatcmpl-7".to_owned(),
            Caller::Responses => "resp_7".to_owned(),
            Caller::Completions => "cmpl-7".to_owned(),
        },
        created: 1_795_435_200,
    }
}

/// A request of this caller; `asked` says whether it wants usage, which some always get.
fn request(caller: Caller, asked: bool) -> ChatRequest {
    let options = if asked {
        r#","stream_options":{"include_usage":true}"#
    } else {
        ""
    };
    let asked = match caller {
        Caller::Chat | Caller::Messages => "",
        Caller::Responses => r#","input":"Hi""#,
        Caller::Completions => r#","prompt":"Hi""#,
    };
    let body = format!(r#"{{"model":"m","stream":true{asked}{options}}}"#);
    ChatRequest::read_as(caller, body.into()).unwrap()
}

fn parts(usage: Usage) -> String {
    let Usage {
        input,
        cached_input,
        cache_write_5m,
        cache_write_1h,
        output,
        reasoning,
    } = usage;
    format!(
        "input {input}, cached {cached_input}, written {cache_write_5m} and {cache_write_1h}, \
         output {output}, reasoning {reasoning}"
    )
}

/// What the caller gets of a stream in these pieces, and how it ended.
fn relay<'a>(
    (caller, dialect): Pair,
    asked: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (String, String) {
    let mut decoder = StreamDecoder::new(dialect, &request(caller, asked), ids(caller));
    let mut items = Vec::new();
    let outcome = pieces
        .into_iter()
        .try_for_each(|piece| decoder.push(Bytes::copy_from_slice(piece), &mut items))
        .and_then(|()| decoder.finish(&mut items));
    let outcome = match outcome {
        Ok(()) => "whole".to_owned(),
        Err(fault) => format!("{:?}: {fault}", fault.failure()),
    };
    assert_eq!(outcome == "whole", decoder.is_done());
    let last = items.last().map(|item| item.kind);
    assert_eq!(decoder.is_done(), last == Some(StreamItemKind::Done));
    let usage_alone = |item: &StreamItem| {
        item.kind != StreamItemKind::Usage
            || item.bytes.windows(7).filter(|w| w == b"\"usage\"").count() <= 1
    };
    assert!(items.iter().all(usage_alone));
    let bytes: Vec<u8> = items.iter().flat_map(|item| item.bytes.to_vec()).collect();
    let (billed, source) = decoder.billed(INPUT_BYTES);
    let ending = format!(
        "# {outcome}\n# billed as {source:?}: {}\n# model {:?}, finish {:?}\n",
        parts(billed),
        decoder.model(),
        decoder.finish_reason()
    );
    (String::from_utf8(bytes).unwrap(), ending)
}

fn streams((name, to, pair): (&str, &str, Pair)) {
    let mut outputs = Vec::new();
    let kinds: &[_] = match pair.0 {
        Caller::Chat | Caller::Completions => &[(true, ".asked"), (false, ".unasked")],
        Caller::Messages | Caller::Responses => &[(true, "")],
    };
    for (case, input) in inputs(name) {
        for (asked, kind) in kinds {
            let (bytes, ending) = relay(pair, *asked, [input.as_slice()]);
            outputs.push((format!("{case}{kind}.sse"), bytes + &ending));
        }
    }
    compare(to, &outputs);
}

/// The text of a case, as if no CR at the edge of a chunk had been given the LF that a lone CR does
/// not have.
fn plain(case: &str, text: &str) -> String {
    if case == "bare-cr" {
        text.replace("\r\n", "\r")
    } else {
        text.to_owned()
    }
}

/// Every way to cut a stream once, and into single bytes, gives the same as the whole.
fn cuts((name, _, pair): (&str, &str, Pair)) {
    for (case, input) in inputs(name) {
        let plain = |text: String| plain(&case, &text);
        // Only callers of chat completions can leave usage unasked.
        let asked: &[bool] = match pair.0 {
            Caller::Chat | Caller::Completions => &[true, false],
            Caller::Messages | Caller::Responses => &[true],
        };
        for asked in asked.iter().copied() {
            let (bytes, ending) = relay(pair, asked, [input.as_slice()]);
            let whole = (plain(bytes), ending);
            for cut in 0..=input.len() {
                let (head, tail) = input.split_at(cut);
                let (bytes, ending) = relay(pair, asked, [head, tail]);
                assert_eq!((plain(bytes), ending), whole, "{case} cut at {cut}");
            }
            let (bytes, ending) = relay(pair, asked, input.chunks(1));
            assert_eq!((plain(bytes), ending), whole, "{case} in single bytes");
        }
    }
}

/// A stream that ends early is never whole, and what passed is the beginning of what would have.
fn early_ends((name, _, pair): (&str, &str, Pair)) -> usize {
    let mut ends = 0;
    let terminator: &[u8] = match pair.1 {
        Dialect::OpenAi | Dialect::Completions => b"data: [DONE]",
        Dialect::Anthropic => b"message_stop",
        Dialect::Gemini => b"\"finishReason\"",
    };
    for (case, input) in inputs(name) {
        let (whole, _) = relay(pair, true, [input.as_slice()]);
        let end = memchr::memmem::find(&input, terminator).map(|place| place + terminator.len());
        ends += input.len();
        for length in 0..input.len() {
            let (passed, ending) = relay(pair, true, [&input[..length]]);
            if ending.starts_with("# whole") {
                assert!(
                    end.is_some_and(|end| length >= end),
                    "{case} ended at {length}"
                );
            } else {
                assert!(
                    plain(&case, &whole).starts_with(plain(&case, &passed).as_str()),
                    "{case} ended at {length}: {passed}"
                );
            }
        }
    }
    ends
}

/// A stream may be ended at any point: a client then reads a whole answer that ended by length.
fn endings((name, _, pair): (&str, &str, Pair)) {
    for (case, input) in inputs(name) {
        let mut before = Vec::new();
        for length in 0..input.len() {
            let mut decoder = StreamDecoder::new(pair.1, &request(pair.0, true), ids(pair.0));
            let mut items = Vec::new();
            let pushed = decoder.push(Bytes::copy_from_slice(&input[..length]), &mut items);
            if pushed.is_err() || decoder.is_done() || items.is_empty() {
                continue;
            }
            let finished = decoder.finish_reason().is_some();
            let (billed, source) = decoder.billed(INPUT_BYTES);
            decoder.cut(INPUT_BYTES, &mut items);
            assert_eq!(decoder.billed(INPUT_BYTES), (billed, source));
            assert_eq!(source, UsageSource::Estimated);
            assert!(billed.total_output() >= decoder.output_seen());
            let bytes: Vec<u8> = items.iter().flat_map(|item| item.bytes.to_vec()).collect();
            if bytes == before {
                continue;
            }
            before.clone_from(&bytes);
            let Some(native) = pair.0.native() else {
                is_cut_response(&bytes, billed, finished, &format!("{case} at {length}"));
                continue;
            };
            let mut client = StreamDecoder::new(native, &request(pair.0, true), ids(pair.0));
            let read = client.push(bytes.into(), &mut Vec::new());
            assert!(
                client.is_done() || client.output_seen() == Tokens::ZERO,
                "{case} ended at {length}: {read:?}"
            );
            if !finished && client.output_seen() > Tokens::ZERO {
                assert_eq!(
                    client.finish_reason(),
                    Some(Finish::Length),
                    "{case} at {length}"
                );
                let told = client.usage().unwrap_or_default();
                let totals = |usage: Usage| (usage.total_input(), usage.total_output());
                assert_eq!(totals(told), totals(billed), "{case} at {length}");
            }
        }
    }
}

/// What a client of responses reads of a stream that was ended by length.
fn is_cut_response(bytes: &[u8], billed: Usage, finished: bool, case: &str) {
    let told = Told::read(std::str::from_utf8(bytes).unwrap());
    if told.events.is_empty() {
        return;
    }
    assert!(told.is_over(), "{case}");
    if !finished {
        assert_eq!(told.response["status"], "incomplete", "{case}");
        let details = &told.response["incomplete_details"];
        assert_eq!(details["reason"], "max_output_tokens", "{case}");
    }
    let usage = &told.response["usage"];
    let totals = (billed.total_input().get(), billed.total_output().get());
    assert_eq!(usage["input_tokens"], totals.0, "{case}");
    assert_eq!(usage["output_tokens"], totals.1, "{case}");
}

/// What callers of chat completions and of responses are told of one stream.
fn both_tell_the_same((folder, _, (_, dialect)): (&str, &str, Pair)) {
    for (case, input) in inputs(folder) {
        let (response, ending) = relay((Caller::Responses, dialect), true, [input.as_slice()]);
        let told = Told::read(response.as_str());
        let (chat, _) = relay((Caller::Chat, dialect), true, [input.as_slice()]);
        let (_, message) = relay((Caller::Messages, dialect), true, [input.as_slice()]);
        let is_whole = ending.starts_with("# whole");
        assert_eq!(is_whole, told.is_over(), "{case}: {response}");
        assert_eq!(is_whole, message.starts_with("# whole"), "{case}");
        if !is_whole {
            continue;
        }
        let chunks = chat.lines().filter_map(|line| line.strip_prefix("data: "));
        let (mut text, mut arguments) = (String::new(), String::new());
        for chunk in chunks.filter_map(|chunk| serde_json::from_str::<Value>(chunk).ok()) {
            let first = |choice: &&Value| choice["index"].as_u64().unwrap_or(0) == 0;
            let choices = chunk["choices"].as_array();
            let Some(choice) = choices.and_then(|choices| choices.iter().find(first)) else {
                continue;
            };
            let delta = &choice["delta"];
            text.push_str(delta["content"].as_str().unwrap_or_default());
            text.push_str(delta["refusal"].as_str().unwrap_or_default());
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let piece = call["function"]["arguments"].as_str();
                arguments.push_str(piece.unwrap_or_default());
            }
        }
        let said = |wanted: &str| -> String {
            let items = told.items.iter().filter(|(kind, _)| kind == wanted);
            items.map(|(_, text)| text.as_str()).collect()
        };
        assert_eq!(said("message"), text, "{case}");
        let (mut ours, mut theirs) = (said("function_call").into_bytes(), arguments.into_bytes());
        // Calls that are told beside each other are put together in another order here.
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{case}");
    }
}

#[test]
fn a_stream_told_as_a_response_is_in_order_and_says_the_same() {
    let of_responses = |stream: &(&str, &str, Pair)| stream.2.0 == Caller::Responses;
    STREAMS
        .into_iter()
        .filter(of_responses)
        .for_each(both_tell_the_same);
}

#[test]
fn a_response_that_breaks_off_says_that_it_failed() {
    for (case, input) in inputs("openai-stream") {
        let (caller, dialect) = RESPONSES_OF_CHAT;
        let mut decoder = StreamDecoder::new(dialect, &request(caller, true), ids(caller));
        let mut items = Vec::new();
        let half = Bytes::copy_from_slice(&input[..input.len() / 2]);
        if decoder.push(half, &mut items).is_err() {
            continue;
        }
        let broken = decoder.broken_off("It broke.", "truncated");
        let begun = items
            .iter()
            .any(|item| item.kind == StreamItemKind::Content);
        assert_eq!(broken.is_some(), begun, "{case}");
        let bytes = items.into_iter().map(|item| item.bytes).chain(broken);
        let bytes: Vec<u8> = bytes.flat_map(|bytes| bytes.to_vec()).collect();
        let told = Told::read(std::str::from_utf8(&bytes).unwrap());
        if begun {
            assert_eq!(told.response["status"], "failed", "{case}");
            assert_eq!(told.response["error"]["code"], "truncated", "{case}");
            assert!(told.events.contains(&"error".to_owned()), "{case}");
        }
    }
}

#[test]
fn streams_can_be_ended_anywhere() {
    STREAMS.into_iter().for_each(endings);
}

#[test]
fn streams_are_relayed_or_translated() {
    STREAMS.into_iter().for_each(streams);
}

#[test]
fn streams_are_the_same_however_they_are_cut() {
    STREAMS.into_iter().for_each(cuts);
}

#[test]
fn a_stream_that_ends_early_is_never_whole() {
    let ends: usize = STREAMS.into_iter().map(early_ends).sum();
    println!("{ends} early ends");
    assert!(ends > 10_000);
}

#[test]
fn a_message_for_its_own_dialect_passes_byte_for_byte() {
    for (case, input) in inputs("anthropic-stream") {
        let (passed, ending) = relay(MESSAGES, true, [input.as_slice()]);
        let input = String::from_utf8(input).unwrap();
        let passed = plain(&case, &passed);
        if ending.starts_with("# whole") && input.ends_with(&passed) {
            continue;
        }
        assert!(input.starts_with(&passed), "{case}: {passed}");
    }
}

/// What the requests of a folder become for a target of another dialect.
fn requests(
    (name, to): (&str, &str),
    (caller, dialect): Pair,
    model: Option<&str>,
    sent: (&str, &[(&str, &str)]),
) {
    let outputs: Vec<_> = inputs(name)
        .into_iter()
        .map(|(case, input)| {
            let request = ChatRequest::read_as(caller, Bytes::from(input)).unwrap();
            let target = Target {
                dialect,
                model: model.unwrap_or_else(|| request.model().as_str()),
                max_output_tokens: None,
            };
            let output = match encode(&request, &target) {
                Ok(encoded) => {
                    assert_eq!((encoded.path, encoded.headers), sent);
                    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
                    json!({ "body": body, "dropped": encoded.dropped })
                }
                Err(ineligible) => json!({ "ineligible": ineligible.to_string() }),
            };
            (format!("{case}.out.json"), format!("{output:#}\n"))
        })
        .collect();
    compare(to, &outputs);
}

/// What the answers of a folder become for a caller of another dialect.
fn answers((name, to): (&str, &str), (caller, dialect): Pair) {
    let outputs: Vec<_> = inputs(name)
        .into_iter()
        .map(|(case, input)| {
            let output = match decode_answer(
                dialect,
                &request(caller, true),
                &ids(caller),
                Bytes::from(input),
            ) {
                Ok(answer) => {
                    let body: Value = serde_json::from_slice(&answer.body).unwrap();
                    let (billed, source) = answer.billed(INPUT_BYTES);
                    json!({
                        "body": body,
                        "billed": format!("{source:?}: {}", parts(billed)),
                        "finish": format!("{:?}", answer.finish),
                        "model": answer.model,
                    })
                }
                Err(bad) => json!({ "fault": bad.to_string() }),
            };
            (format!("{case}.out.json"), format!("{output:#}\n"))
        })
        .collect();
    compare(to, &outputs);
}

#[test]
fn conversations_become_messages() {
    let sent: (&str, &[_]) = ("/v1/messages", &[("anthropic-version", "2023-06-01")]);
    requests(
        ("anthropic-request", "anthropic-request"),
        CHAT_OF_MESSAGES,
        None,
        sent,
    );
}

#[test]
fn messages_become_conversations() {
    let sent: (&str, &[_]) = ("/chat/completions", &[]);
    requests(
        ("openai-request", "openai-request"),
        MESSAGES_OF_CHAT,
        None,
        sent,
    );
}

#[test]
fn messages_become_answers() {
    answers(("anthropic-answer", "anthropic-answer"), CHAT_OF_MESSAGES);
}

#[test]
fn conversations_become_contents() {
    let sent: (&str, &[_]) = (":generateContent", &[]);
    requests(
        ("gemini-request", "gemini-request"),
        CHAT_OF_GEMINI,
        None,
        sent,
    );
}

#[test]
fn responses_become_answers() {
    answers(("gemini-answer", "gemini-answer"), CHAT_OF_GEMINI);
}

#[test]
fn answers_become_messages() {
    answers(("openai-answer", "openai-answer"), MESSAGES_OF_CHAT);
}

#[test]
fn requests_for_responses_become_conversations() {
    let from = "responses-request";
    let sent: (&str, &[_]) = ("/chat/completions", &[]);
    requests((from, from), RESPONSES_OF_CHAT, None, sent);
    let to = "responses-request-as-messages";
    let sent: (&str, &[_]) = ("/v1/messages", &[("anthropic-version", "2023-06-01")]);
    let model = Some("claude-sonnet-4-5");
    requests((from, to), RESPONSES_OF_MESSAGES, model, sent);
    let to = "responses-request-as-contents";
    let sent: (&str, &[_]) = (":generateContent", &[]);
    requests(
        (from, to),
        RESPONSES_OF_GEMINI,
        Some("gemini-2.5-pro"),
        sent,
    );
}

#[test]
fn requests_for_completions_become_conversations() {
    let from = "completions-request";
    let sent: (&str, &[_]) = ("/chat/completions", &[]);
    requests((from, from), COMPLETIONS_OF_CHAT, None, sent);
    let to = "completions-request-as-messages";
    let sent: (&str, &[_]) = ("/v1/messages", &[("anthropic-version", "2023-06-01")]);
    let model = Some("claude-sonnet-4-5");
    requests((from, to), COMPLETIONS_OF_MESSAGES, model, sent);
}

#[test]
fn answers_become_completions() {
    for (from, to, pair) in [
        ("completions-answer", "completions-answer", COMPLETIONS),
        (
            "openai-answer",
            "openai-answer-as-completions",
            COMPLETIONS_OF_CHAT,
        ),
        (
            "anthropic-answer",
            "anthropic-answer-as-completions",
            COMPLETIONS_OF_MESSAGES,
        ),
        (
            "gemini-answer",
            "gemini-answer-as-completions",
            COMPLETIONS_OF_GEMINI,
        ),
    ] {
        answers((from, to), pair);
    }
}

#[test]
fn answers_become_responses() {
    for (from, to, pair) in [
        (
            "openai-answer",
            "openai-answer-as-responses",
            RESPONSES_OF_CHAT,
        ),
        (
            "anthropic-answer",
            "anthropic-answer-as-responses",
            RESPONSES_OF_MESSAGES,
        ),
        (
            "gemini-answer",
            "gemini-answer-as-responses",
            RESPONSES_OF_GEMINI,
        ),
    ] {
        answers((from, to), pair);
    }
}

#[test]
fn an_answer_for_its_own_dialect_passes_byte_for_byte() {
    for (case, input) in inputs("anthropic-answer") {
        let input = Bytes::from(input);
        let (caller, dialect) = MESSAGES;
        if let Ok(answer) =
            decode_answer(dialect, &request(caller, true), &ids(caller), input.clone())
        {
            assert_eq!(answer.body, input, "{case}");
            assert_eq!(answer.body.as_ptr(), input.as_ptr(), "{case}");
        }
    }
}

#[test]
fn the_policys_bound_goes_before_the_models_own() {
    let request =
        ChatRequest::read(r#"{"model":"x","messages":[{"role":"user","content":"a"}]}"#.into())
            .unwrap();
    let target = Target {
        dialect: Dialect::Anthropic,
        model: "claude-opus-4-6",
        max_output_tokens: Some(Tokens::new(1_000)),
    };
    let encoded = encode(&request, &target).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(body["model"], "claude-opus-4-6");
    assert_eq!(body["max_tokens"], 1_000);
}

/// The providers' list prices, on a day when all of them are in force.
fn list_price(model: &str, usage: Usage) -> u64 {
    let noon = agix_core::time::Wall::from_millis(1_795_435_200_000);
    let tariff = agix_core::price::Catalogue::bundled()
        .tariff("anthropic", model, noon)
        .unwrap();
    agix_core::price::cost(&tariff, &usage).unwrap().as_nanos()
}

#[test]
fn a_cached_call_costs_what_the_provider_bills_and_no_token_twice() {
    // 25 x 5 + 4,000 x 0.5 + 700 x 6.25 + 300 x 10 + 15 x 25 millionths of a dollar.
    let expected = 9_875_000;
    let read =
        |folder_name: &str, file: &str| std::fs::read(folder(folder_name).join(file)).unwrap();
    let answer = read("anthropic-answer", "cache.in.json");
    let answer = decode_answer(
        Dialect::Anthropic,
        &request(Caller::Chat, false),
        &ids(Caller::Chat),
        Bytes::from(answer),
    )
    .unwrap();
    let (billed, _) = answer.billed(INPUT_BYTES);
    assert_eq!(list_price("claude-opus-4-6", billed), expected);

    let mut decoder = StreamDecoder::new(
        Dialect::Anthropic,
        &request(Caller::Chat, false),
        ids(Caller::Chat),
    );
    let stream = read("anthropic-stream", "cache.in.sse");
    decoder.push(Bytes::from(stream), &mut Vec::new()).unwrap();
    let (billed, _) = decoder.billed(INPUT_BYTES);
    assert_eq!(list_price("claude-opus-4-6", billed), expected);
}

/// A damage to a byte sequence.
#[derive(Debug, Clone)]
enum Damage {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index, usize),
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let token = prop::sample::select(vec![
        "\n\n",
        "\r",
        "data: ",
        "[DONE]",
        "{",
        "}",
        "null",
        "\"",
        "\\",
        "usage",
        ",",
        "event: error\n",
    ]);
    let damage = prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<prop::sample::Index>(), token)
            .prop_map(|(at, token)| Damage::Insert(at, token.as_bytes().to_vec())),
        (any::<prop::sample::Index>(), 1_usize..40).prop_map(|(at, count)| Damage::Cut(at, count)),
    ];
    prop::collection::vec(damage, 1..6)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Insert(at, token) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, token.iter().copied());
            }
            Damage::Cut(at, count) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + count));
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Damage ends in a fault or in a stream, the same however it is cut, and never in a panic.
    #[test]
    fn a_damaged_stream_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        damages in damages(),
        asked in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        for (folder, _, pair) in STREAMS {
            let inputs = inputs(folder);
            let (_, input) = which.get(&inputs);
            let input = damaged(input.clone(), &damages);
            let (whole, whole_end) = relay(pair, asked, [input.as_slice()]);
            let (head, tail) = input.split_at(cut.index(input.len() + 1));
            let (cut, cut_end) = relay(pair, asked, [head, tail]);
            let plain = |text: String| text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(plain(whole), plain(cut));
            prop_assert_eq!(whole_end, cut_end);
        }
    }

    #[test]
    fn a_damaged_answer_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        damages in damages(),
    ) {
        let folders = ["anthropic-answer", "gemini-answer", "openai-answer"];
        let inputs: Vec<_> = folders.into_iter().flat_map(inputs).collect();
        let (_, input) = which.get(&inputs);
        let input = Bytes::from(damaged(input.clone(), &damages));
        for (.., (caller, dialect)) in STREAMS {
            if let Ok(answer) = decode_answer(dialect, &request(caller, true), &ids(caller), input.clone()) {
                prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
            }
        }
    }

    #[test]
    fn a_damaged_conversation_is_translated_or_refused(
        which in any::<prop::sample::Index>(),
        damages in damages(),
        responses in any::<bool>(),
    ) {
        let folders: &[_] = if responses {
            &["responses-request"]
        } else {
            &["anthropic-request", "gemini-request", "openai-request"]
        };
        let inputs: Vec<_> = folders.iter().flat_map(|folder| inputs(folder)).collect();
        let (_, input) = which.get(&inputs);
        let input = Bytes::from(damaged(input.clone(), &damages));
        for (.., (caller, dialect)) in STREAMS {
            if let Ok(request) = ChatRequest::read_as(caller, input.clone()) {
                let target = Target { dialect, model: "claude-sonnet-4-5", max_output_tokens: None };
                if let Ok(encoded) = encode(&request, &target) {
                    // By its grammar: half of a pair of surrogates is JSON, but no text.
                    prop_assert!(serde_json::from_slice::<IgnoredAny>(&encoded.body).is_ok());
                }
            }
        }
    }
}
