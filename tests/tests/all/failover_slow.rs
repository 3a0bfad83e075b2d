//! A stream that goes on too slowly, and chains with a rescue of their own.

use agix_tests::ask::stream;
use agix_tests::mock_provider::{Behaviour, Fault, Reply, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::transcript::Transcript;

async fn ask(bed: &TestBed, model: &str) -> Transcript {
    let mut stream = bed.caller().chat_stream(&stream(model)).await.unwrap();
    assert_eq!(stream.status, 200, "{model}");
    stream.events().await.unwrap()
}

#[tokio::test]
async fn a_stream_that_goes_on_too_slowly_is_a_failure_of_its_target() {
    let bed = TestBed::start(
        "
failover:
  min_throughput: { tokens_per_second: 40, window: 1s }
  chains:
    gpt-4o: [gpt-4o-mini]
    claude-opus-4-6: { targets: [gpt-4o-mini], stream_rescue: buffer }
",
    )
    .await;
    for model in ["gpt-4o", "claude-opus-4-6"] {
        let slow = Reply {
            text: Some("word ".repeat(100)),
            piece_ms: 100,
            ..Reply::default()
        };
        bed.mock.reply(model, slow);
    }
    let (seen, held) =
        futures_util::future::join(ask(&bed, "gpt-4o"), ask(&bed, "claude-opus-4-6")).await;
    assert!(!seen.is_whole(), "{seen:?}");
    assert_eq!(seen.error().unwrap()["code"], "too_slow");
    assert!(seen.text().starts_with("word "));
    // Nobody saw the slow one.
    assert!(held.is_whole(), "{held:?}");
    assert_eq!(held.models(), ["gpt-4o-mini"]);
    // One that is slow to begin, and then is not, is none.
    let late = Reply {
        text: Some("word ".repeat(500)),
        head_ms: 1_500,
        ..Reply::default()
    };
    bed.mock.reply("gpt-4o", late);
    let seen = ask(&bed, "gpt-4o").await;
    assert!(seen.is_whole(), "{seen:?}");
    assert_eq!(seen.models(), ["gpt-4o"]);
}

#[tokio::test]
async fn a_chain_may_have_a_rescue_of_its_own() {
    let bed = TestBed::start(
        "
failover:
  stream_rescue: buffer
  chains:
    gpt-4o: { targets: [gpt-4o-mini], stream_rescue: off }
    gpt-5: { targets: [gpt-4o-mini] }
    o3: [gpt-4o-mini]
",
    )
    .await;
    let broken = Behaviour::Fault {
        after_events: 4,
        fault: Fault::Reset,
    };
    for model in ["gpt-4o", "gpt-5", "o3"] {
        bed.mock.script(model, Script::always(broken.clone()));
    }
    let seen = ask(&bed, "gpt-4o").await;
    assert!(!seen.is_whole(), "{seen:?}");
    assert_eq!(seen.error().unwrap()["code"], "truncated");
    for model in ["gpt-5", "o3"] {
        let seen = ask(&bed, model).await;
        assert!(seen.is_whole(), "{model}: {seen:?}");
        assert_eq!(seen.models(), ["gpt-4o-mini"]);
    }
}
