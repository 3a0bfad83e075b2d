//! A provider that breaks off, stalls or lies: the request fails over, or ends with a clear error
//! in the caller's protocol. Never a truncated success, never a hang.

use agix_tests::ask::{chat, stream};
use agix_tests::caller::Answer;
use agix_tests::mock_provider::{Behaviour, Fault, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::transcript::Transcript;
use futures_util::future::{join, join_all};

/// `gpt-4o` and `claude-opus-4-6` have a fallback, `gpt-5` and `claude-haiku-4-5-20251001` none.
const POLICY: &str = "
failover:
  chains:
    gpt-4o: [gpt-4o-mini]
    claude-opus-4-6: [gpt-4o-mini]
";
/// For providers that say nothing. On a busy machine a healthy one may take a second.
const IMPATIENT: &str = "
failover:
  timeouts: { first_token: 2s, idle: 2s }
  chains:
    gpt-4o: [gpt-4o-mini]
    claude-opus-4-6: [gpt-4o-mini]
";
const WITH_FALLBACK: [&str; 2] = ["gpt-4o", "claude-opus-4-6"];
const ALONE: [&str; 2] = ["gpt-5", "claude-haiku-4-5-20251001"];
/// Events of a stream after which each of the models has sent text.
const EVENTS_WITH_TEXT: u32 = 5;

async fn bed(behaviour: &Behaviour) -> TestBed {
    bed_with(POLICY, behaviour).await
}

async fn bed_with(policy: &str, behaviour: &Behaviour) -> TestBed {
    let bed = TestBed::start(policy).await;
    for model in WITH_FALLBACK.into_iter().chain(ALONE) {
        bed.mock.script(model, Script::always(behaviour.clone()));
    }
    bed
}

fn fault(after_events: u32, fault: Fault) -> Behaviour {
    Behaviour::Fault {
        after_events,
        fault,
    }
}

/// A plain request is answered by the fallback; without one it gets an error that says why.
async fn plain_is_survived(bed: &TestBed, reason: &str) {
    let caller = &bed.caller();
    let answered = WITH_FALLBACK.map(async |model| {
        let answer = caller.chat(&chat(model)).await.unwrap();
        assert_eq!(answer.status, 200, "{model}: {answer:?}");
        assert_eq!(answer.json()["model"], "gpt-4o-mini", "{model}");
    });
    let refused = ALONE.map(async |model| {
        let answer = caller.chat(&chat(model)).await.unwrap();
        error_is_told(&answer, reason);
    });
    join(join_all(answered), join_all(refused)).await;
}

/// The same for a stream of which the caller has seen nothing yet.
async fn unseen_stream_is_survived(bed: &TestBed, reason: &str) {
    let caller = &bed.caller();
    let answered = WITH_FALLBACK.map(async |model| {
        let mut stream = caller.chat_stream(&stream(model)).await.unwrap();
        assert_eq!(stream.status, 200, "{model}");
        let said = stream.events().await.unwrap();
        assert!(said.is_whole(), "{model}: {said:?}");
        assert_eq!(said.models(), ["gpt-4o-mini"], "{model}");
    });
    let refused = ALONE.map(async |model| {
        let answer = caller.chat(&stream(model)).await.unwrap();
        error_is_told(&answer, reason);
    });
    join(join_all(answered), join_all(refused)).await;
}

/// A stream that died after text was sent ends with an error event and no terminator.
async fn begun_stream_ends_in_an_error(bed: &TestBed, codes: &[&str]) {
    let caller = &bed.caller();
    let models = WITH_FALLBACK.into_iter().chain(ALONE);
    let ended = models.map(async |model| {
        let mut stream = caller.chat_stream(&stream(model)).await.unwrap();
        assert_eq!(stream.status, 200, "{model}");
        let said = stream.events().await.unwrap();
        ends_in_an_error(&said, codes);
        assert!(said.text().starts_with("This "), "{model}: {said:?}");
        assert_eq!(said.finish_reason(), None, "{model}");
    });
    join_all(ended).await;
}

fn ends_in_an_error(said: &Transcript, codes: &[&str]) {
    assert!(!said.is_whole(), "{said:?}");
    let error = said
        .error()
        .unwrap_or_else(|| panic!("no error event: {said:?}"));
    assert!(codes.contains(&error["code"].as_str().unwrap()), "{error}");
    assert!(!error["message"].as_str().unwrap().is_empty());
}

fn error_is_told(answer: &Answer, reason: &str) {
    let status = answer.status.as_u16();
    let error = &answer.json()["error"];
    assert!((500..=504).contains(&status), "{status}: {error}");
    assert_eq!(error["type"], "upstream_error", "{error}");
    for attempt in error["agix"]["attempts"].as_array().unwrap() {
        assert_eq!(attempt["reason"], reason, "{error}");
    }
}

#[tokio::test]
async fn a_reset_before_the_answer() {
    let bed = bed(&Behaviour::ResetBeforeHeaders).await;
    plain_is_survived(&bed, "reset").await;
    unseen_stream_is_survived(&bed, "reset").await;
}

#[tokio::test]
async fn a_reset_after_the_head() {
    let bed = bed(&fault(0, Fault::Reset)).await;
    plain_is_survived(&bed, "truncated").await;
    unseen_stream_is_survived(&bed, "truncated").await;
}

#[tokio::test]
async fn a_reset_within_the_answer() {
    let bed = bed(&fault(EVENTS_WITH_TEXT, Fault::Reset)).await;
    plain_is_survived(&bed, "truncated").await;
    begun_stream_ends_in_an_error(&bed, &["truncated"]).await;
}

#[tokio::test]
async fn silence_instead_of_an_answer() {
    let bed = bed_with(IMPATIENT, &Behaviour::SilenceBeforeHeaders).await;
    plain_is_survived(&bed, "first_token_timeout").await;
    unseen_stream_is_survived(&bed, "first_token_timeout").await;
}

#[tokio::test]
async fn silence_after_the_head() {
    let bed = bed_with(IMPATIENT, &fault(0, Fault::Silence)).await;
    plain_is_survived(&bed, "idle_timeout").await;
    unseen_stream_is_survived(&bed, "first_token_timeout").await;
}

#[tokio::test]
async fn a_stall_within_the_answer() {
    let bed = bed_with(IMPATIENT, &fault(EVENTS_WITH_TEXT, Fault::Silence)).await;
    plain_is_survived(&bed, "idle_timeout").await;
    begun_stream_ends_in_an_error(&bed, &["idle_timeout"]).await;
}

#[tokio::test]
async fn a_stream_without_its_end() {
    let bed = bed(&fault(EVENTS_WITH_TEXT, Fault::End)).await;
    begun_stream_ends_in_an_error(&bed, &["truncated"]).await;
    // Half a plain answer that HTTP calls whole is no JSON.
    plain_is_survived(&bed, "malformed").await;
}

#[tokio::test]
async fn an_empty_answer() {
    let bed = bed(&fault(0, Fault::End)).await;
    plain_is_survived(&bed, "malformed").await;
    unseen_stream_is_survived(&bed, "truncated").await;
}

#[tokio::test]
async fn garbage_instead_of_an_answer() {
    let bed = bed(&fault(0, Fault::Garbage)).await;
    plain_is_survived(&bed, "malformed").await;
    unseen_stream_is_survived(&bed, "malformed").await;
}

#[tokio::test]
async fn garbage_within_the_answer() {
    let bed = bed(&fault(EVENTS_WITH_TEXT, Fault::Garbage)).await;
    plain_is_survived(&bed, "malformed").await;
    begun_stream_ends_in_an_error(&bed, &["malformed"]).await;
}

#[tokio::test]
async fn an_error_inside_a_200() {
    let bed = bed(&fault(0, Fault::ErrorEvent)).await;
    plain_is_survived(&bed, "unavailable").await;
    unseen_stream_is_survived(&bed, "unavailable").await;
}

#[tokio::test]
async fn an_error_within_a_stream() {
    let bed = bed(&fault(EVENTS_WITH_TEXT, Fault::ErrorEvent)).await;
    // The providers' own words for it.
    begun_stream_ends_in_an_error(&bed, &["server_error", "overloaded_error"]).await;
}

#[tokio::test]
async fn less_than_was_promised() {
    let bed = bed(&Behaviour::ShortOfContentLength).await;
    plain_is_survived(&bed, "truncated").await;
}
