use super::*;
use crate::dialect::{
    Dialect, StreamDecoder, StreamFault, StreamItem, StreamItemKind, decode_answer,
    decode_embeddings, decode_error,
};

fn ids() -> AnswerIds {
    AnswerIds {
        id: "chatcmpl-1".to_owned(),
        created: 1,
    }
}

fn request(extra: &str) -> ChatRequest {
    let body = format!(r#"{{"model":"demo","messages":[]{extra}}}"#);
    ChatRequest::read(body.into()).unwrap()
}

fn simulation(output_tokens: u32) -> Simulation {
    Simulation {
        output_tokens,
        ..Simulation::default()
    }
}

fn run(extra: &str, tokens: u32, outcome: SimulatedOutcome) -> SimulatedReply {
    simulate(
        &request(extra),
        &simulation(tokens),
        outcome,
        "demo",
        &ids(),
    )
}

/// What the caller gets of a simulated stream, and how it ended.
fn relay(extra: &str, stream: SimulatedStream) -> (String, Duration, Result<(), StreamFault>) {
    let mut decoder = StreamDecoder::new(Dialect::OpenAi, &request(extra), ids());
    let mut items = Vec::new();
    let mut time = Duration::ZERO;
    for (delay, bytes) in stream {
        time += delay;
        decoder.push(bytes, &mut items).unwrap();
    }
    let end = decoder.finish(&mut items);
    let bytes: Vec<u8> = items
        .iter()
        .flat_map(|item: &StreamItem| item.bytes.to_vec())
        .collect();
    (String::from_utf8(bytes).unwrap(), time, end)
}

fn text_of(stream: &str) -> String {
    stream
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok()
        })
        .filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn an_answer_says_that_it_is_simulated_and_counts_its_tokens() {
    let SimulatedReply::Answer {
        after,
        status,
        body,
    } = run("", 20, SimulatedOutcome::Answer)
    else {
        panic!("it did not answer");
    };
    assert_eq!(status, 200);
    assert_eq!(after, Duration::from_millis(120 + 20 * 5));
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["system_fingerprint"], "simulated");
    let text = json["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("Simulated model demo said this"), "{text}");
    assert_eq!(text.split(' ').count(), 20);
    let answer = decode_answer(Dialect::OpenAi, &request(""), &ids(), body).unwrap();
    assert_eq!(answer.usage.unwrap().output, Tokens::new(20));
    assert_eq!(answer.model.as_deref(), Some("demo"));
    assert_eq!(answer.finish, Some(Finish::Stop));
}

#[test]
fn a_stream_says_the_same_in_its_time() {
    let SimulatedReply::Stream(stream) = run(r#","stream":true"#, 20, SimulatedOutcome::Answer)
    else {
        panic!("it did not stream");
    };
    let (streamed, time, end) = relay(r#","stream":true"#, stream);
    end.unwrap();
    assert_eq!(time, Duration::from_millis(120 + 20 * 5));
    assert!(!streamed.contains("usage"), "nobody asked for it");
    assert!(streamed.contains(r#""system_fingerprint":"simulated""#));
    assert!(streamed.ends_with("data: [DONE]\n\n"));
    let SimulatedReply::Answer { body, .. } = run("", 20, SimulatedOutcome::Answer) else {
        panic!("it did not answer");
    };
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(text_of(&streamed), json["choices"][0]["message"]["content"]);
}

#[test]
fn usage_is_there_for_those_who_ask() {
    let asking = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let SimulatedReply::Stream(stream) = run(asking, 3, SimulatedOutcome::Answer) else {
        panic!("it did not stream");
    };
    let (streamed, ..) = relay(asking, stream);
    assert!(
        streamed.contains(r#""choices":[],"usage":{"prompt_tokens":"#),
        "{streamed}"
    );
    assert!(streamed.contains(r#""completion_tokens":3"#));
}

#[test]
fn the_callers_bound_holds() {
    let SimulatedReply::Answer { body, .. } = run(
        r#","max_completion_tokens":4"#,
        20,
        SimulatedOutcome::Answer,
    ) else {
        panic!("it did not answer");
    };
    let answer = decode_answer(Dialect::OpenAi, &request(""), &ids(), body).unwrap();
    assert_eq!(answer.usage.unwrap().output, Tokens::new(4));
    assert_eq!(answer.finish, Some(Finish::Length));
}

#[test]
fn the_script_is_followed() {
    assert!(matches!(
        run("", 1, SimulatedOutcome::Reset),
        SimulatedReply::Reset
    ));
    assert!(matches!(
        run("", 1, SimulatedOutcome::Stall),
        SimulatedReply::Stall
    ));
    for status in [400, 401, 402, 404, 429, 500, 503, 529] {
        let SimulatedReply::Answer {
            status: sent, body, ..
        } = run("", 1, SimulatedOutcome::Status(status))
        else {
            panic!("it did not refuse");
        };
        assert_eq!(sent, status);
        let now = agix_core::time::Wall::from_millis(0);
        let by_body = decode_error(sent, &http::HeaderMap::new(), &body, now);
        let by_status = decode_error(sent, &http::HeaderMap::new(), b"", now);
        assert_eq!(by_body.refusal, by_status.refusal, "{status}");
    }
    let SimulatedReply::Truncated { body, .. } = run("", 20, SimulatedOutcome::Truncate) else {
        panic!("it did not break off");
    };
    assert!(decode_answer(Dialect::OpenAi, &request(""), &ids(), body).is_err());
    let stream = r#","stream":true"#;
    for tokens in [0, 1, 20] {
        let SimulatedReply::Stream(broken) = run(stream, tokens, SimulatedOutcome::Truncate) else {
            panic!("it did not stream");
        };
        let (streamed, _, end) = relay(stream, broken);
        assert_eq!(end, Err(StreamFault::Truncated));
        assert!(!streamed.contains("[DONE]"));
    }
}

#[test]
fn no_script_makes_an_endless_answer() {
    let SimulatedReply::Stream(stream) =
        run(r#","stream":true"#, u32::MAX, SimulatedOutcome::Answer)
    else {
        panic!("it did not stream");
    };
    assert_eq!(
        stream.count(),
        usize::try_from(SIMULATED_TOKENS).unwrap() + 2
    );
}

fn embed(body: &str) -> serde_json::Value {
    let request = EmbeddingsRequest::read(body.to_owned().into()).unwrap();
    let SimulatedReply::Answer { status, body, .. } =
        simulate_embeddings(&request, &simulation(1), SimulatedOutcome::Answer, "demo")
    else {
        panic!("it did not answer");
    };
    if status == 200 {
        decode_embeddings(Dialect::OpenAi, body.clone()).unwrap();
    }
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn embeddings_depend_on_the_input_alone() {
    let answer = embed(r#"{"model":"e","input":["a","b","a"]}"#);
    let vectors = answer["data"].as_array().unwrap();
    assert_eq!(vectors.len(), 3);
    assert_eq!(vectors[0]["embedding"], vectors[2]["embedding"]);
    assert_ne!(vectors[0]["embedding"], vectors[1]["embedding"]);
    assert_eq!(vectors[2]["index"], 2);
    let alone = embed(r#"{"model":"e","input":"a","dimensions":16}"#);
    assert_eq!(alone["data"][0]["embedding"], vectors[0]["embedding"]);
    let numbers = alone["data"][0]["embedding"].as_array().unwrap();
    assert_eq!(numbers.len(), 16);
    let square: f64 = numbers
        .iter()
        .map(|part| part.as_f64().unwrap().powi(2))
        .sum();
    assert!((square - 1.0).abs() < 1e-3, "{square}");
}

#[test]
fn embeddings_come_in_base64_too() {
    let plain = embed(r#"{"model":"e","input":"a"}"#);
    let coded = embed(r#"{"model":"e","input":"a","encoding_format":"base64"}"#);
    let text = coded["data"][0]["embedding"].as_str().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    let first = f32::from_le_bytes(bytes[..4].try_into().unwrap());
    let expected = plain["data"][0]["embedding"][0].as_f64().unwrap();
    assert!((f64::from(first) - expected).abs() < 1e-6);
    assert_eq!(bytes.len(), 64);
}

#[test]
fn every_form_of_input_is_taken_and_anything_else_refused() {
    let count = |body: &str| embed(body)["data"].as_array().map(Vec::len);
    assert_eq!(count(r#"{"model":"e","input":[1,2,3]}"#), Some(1));
    assert_eq!(count(r#"{"model":"e","input":[[1,2],[3]]}"#), Some(2));
    for body in [
        r#"{"model":"e"}"#.to_owned(),
        r#"{"model":"e","input":[]}"#.to_owned(),
        r#"{"model":"e","input":7}"#.to_owned(),
        r#"{"model":"e","input":"a","dimensions":0}"#.to_owned(),
        r#"{"model":"e","input":"a","dimensions":100000}"#.to_owned(),
        format!(
            r#"{{"model":"e","input":[{}"a"]}}"#,
            r#""a","#.repeat(SIMULATED_INPUTS_MORE)
        ),
    ] {
        assert!(embed(&body)["error"]["message"].is_string(), "{body}");
    }
}

const SIMULATED_INPUTS_MORE: usize = agix_core::limits::SIMULATED_INPUTS;

#[test]
fn the_first_part_of_a_stream_is_data_without_content() {
    let SimulatedReply::Stream(mut stream) = run(r#","stream":true"#, 2, SimulatedOutcome::Answer)
    else {
        panic!("it did not stream");
    };
    let mut decoder = StreamDecoder::new(Dialect::OpenAi, &request(r#","stream":true"#), ids());
    let mut items = Vec::new();
    decoder.push(stream.next().unwrap().1, &mut items).unwrap();
    decoder.push(stream.next().unwrap().1, &mut items).unwrap();
    let kinds: Vec<_> = items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [StreamItemKind::Data, StreamItemKind::Content]);
}
