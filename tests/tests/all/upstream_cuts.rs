//! A stream cut at every byte: what the caller gets is the whole answer, or ends in an error.

use agix_tests::ask::{completion_stream, response_stream, stream_with_usage};
use agix_tests::mock_provider::{Behaviour, Reply, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::transcript::Transcript;
use http::Method;

const TEXT: &str = "Zwölf €";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const COMPLETIONS: &str = "/v1/completions";

/// A stream, and what it said if it was whole.
struct Said {
    stream: Transcript,
    text: String,
    is_whole: bool,
}

/// The answer to a stream cut after `bytes`; `None` if the request failed before it began.
async fn cut(bed: &TestBed, (path, model): (&str, &str), bytes: u64) -> Option<Said> {
    bed.mock
        .script(model, Script::first([Behaviour::CutAtByte(bytes)]));
    let request = match path {
        RESPONSES => response_stream(model),
        COMPLETIONS => completion_stream(model),
        _ => stream_with_usage(model),
    };
    let caller = bed.caller();
    let opened = caller.open(Method::POST, path, request.to_string());
    let mut stream = opened.await.unwrap();
    if stream.status == 200 {
        let stream = stream.events().await.unwrap();
        return Some(Said {
            text: match path {
                RESPONSES => stream.response_text(),
                COMPLETIONS => stream.completed_text(),
                _ => stream.text(),
            },
            is_whole: stream.is_whole() || stream.is_whole_response(),
            stream,
        });
    }
    assert!(stream.status.is_server_error());
    None
}

async fn every_cut_is_seen(path: &str, model: &str) {
    let bed = TestBed::start("").await;
    let reply = Reply {
        text: Some(TEXT.to_owned()),
        ..Reply::default()
    };
    bed.mock.reply(model, reply);
    let whole = cut(&bed, (path, model), u64::MAX).await.unwrap();
    assert!(whole.is_whole && whole.text == TEXT, "{:?}", whole.stream);
    let length = bed.mock.calls(model)[0].sent_bytes;
    let mut begun = 0;
    for bytes in 0..length {
        let Some(said) = cut(&bed, (path, model), bytes).await else {
            continue;
        };
        begun += 1;
        let stream = said.stream;
        // Only the line end after the terminator may be missing from a whole answer.
        if said.is_whole {
            assert!(
                bytes >= length - 2,
                "cut at {bytes} of {length}: {stream:?}"
            );
        } else {
            assert!(stream.error().is_some(), "cut at {bytes}: {stream:?}");
        }
        assert!(TEXT.starts_with(&said.text), "cut at {bytes}: {stream:?}");
    }
    // Both kinds were seen.
    assert!(begun > 0 && begun < length);
}

#[tokio::test]
async fn every_cut_of_an_openai_stream_is_seen() {
    every_cut_is_seen(CHAT, "gpt-4o").await;
}

#[tokio::test]
async fn every_cut_of_an_anthropic_stream_is_seen() {
    every_cut_is_seen(CHAT, "claude-opus-4-6").await;
}

#[tokio::test]
async fn every_cut_of_a_stream_told_as_a_response_is_seen() {
    for model in ["gpt-4o", "claude-opus-4-6"] {
        every_cut_is_seen(RESPONSES, model).await;
    }
}

#[tokio::test]
async fn every_cut_of_a_stream_that_completes_a_text_is_seen() {
    for model in ["gpt-3.5-turbo-instruct", "claude-opus-4-6"] {
        every_cut_is_seen(COMPLETIONS, model).await;
    }
}
