//! A stream cut at every byte: what the caller gets is the whole answer, or ends in an error.

use agix_tests::ask::stream_with_usage;
use agix_tests::mock_provider::{Behaviour, Reply, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::transcript::Transcript;

const TEXT: &str = "Zwölf €";

/// The answer to a stream cut after `bytes`; `None` if the request failed before it began.
async fn cut(bed: &TestBed, model: &str, bytes: u64) -> Option<Transcript> {
    bed.mock
        .script(model, Script::first([Behaviour::CutAtByte(bytes)]));
    let request = stream_with_usage(model);
    let mut stream = bed.caller().chat_stream(&request).await.unwrap();
    if stream.status == 200 {
        return Some(stream.events().await.unwrap());
    }
    assert!(stream.status.is_server_error());
    None
}

async fn every_cut_is_seen(model: &str) {
    let bed = TestBed::start("").await;
    let reply = Reply {
        text: Some(TEXT.to_owned()),
        ..Reply::default()
    };
    bed.mock.reply(model, reply);
    let whole = cut(&bed, model, u64::MAX).await.unwrap();
    assert!(whole.is_whole() && whole.text() == TEXT, "{whole:?}");
    let length = bed.mock.calls(model)[0].sent_bytes;
    let mut begun = 0;
    for bytes in 0..length {
        let Some(said) = cut(&bed, model, bytes).await else {
            continue;
        };
        begun += 1;
        // Only the line end after the terminator may be missing from a whole answer.
        if said.is_whole() {
            assert!(bytes >= length - 2, "cut at {bytes} of {length}: {said:?}");
        } else {
            assert!(said.error().is_some(), "cut at {bytes}: {said:?}");
        }
        assert!(TEXT.starts_with(&said.text()), "cut at {bytes}: {said:?}");
    }
    // Both kinds were seen.
    assert!(begun > 0 && begun < length);
}

#[tokio::test]
async fn every_cut_of_an_openai_stream_is_seen() {
    every_cut_is_seen("gpt-4o").await;
}

#[tokio::test]
async fn every_cut_of_an_anthropic_stream_is_seen() {
    every_cut_is_seen("claude-opus-4-6").await;
}
