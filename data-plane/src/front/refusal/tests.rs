use agix_core::failover::Refusal as Class;
use serde_json::Value;

use super::*;

fn answered(refusal: Refusal) -> (u16, HeaderMap, Value) {
    let (status, headers, body) = refusal.into_parts();
    (
        status.as_u16(),
        headers,
        serde_json::from_slice(&body).unwrap(),
    )
}

fn refused(status: u16, refusal: Class) -> Failure {
    Failure::Refused {
        status,
        refusal,
        retry_after: None,
    }
}

fn failed(stop: Stop, failure: Failure) -> (u16, HeaderMap, Value) {
    let last = Some(Fault::new(failure, "it said no"));
    answered(Refusal::failed(Failed {
        stop,
        last,
        attempts: Vec::new(),
    }))
}

#[test]
fn an_exhausted_chain_keeps_the_sense_of_the_last_failure() {
    for (failure, status) in [
        (refused(503, Class::Unavailable), 503),
        (refused(529, Class::Unavailable), 503),
        (refused(500, Class::Unavailable), 502),
        (refused(429, Class::RateLimited), 429),
        (Failure::FirstTokenTimeout, 504),
        (Failure::Reset, 502),
        (Failure::Malformed, 502),
    ] {
        assert_eq!(failed(Stop::Exhausted, failure).0, status, "{failure:?}");
    }
    assert_eq!(failed(Stop::Deadline, Failure::Reset).0, 504);
}

#[test]
fn a_refusal_of_our_own_key_is_never_shown_as_the_callers() {
    for status in [401, 402, 403] {
        assert_eq!(
            failed(Stop::Exhausted, refused(status, Class::Credentials)).0,
            502
        );
    }
}

#[test]
fn a_client_library_is_told_not_to_repeat_an_exhausted_chain() {
    let (_, headers, body) = failed(Stop::RetriesUsed, refused(503, Class::Unavailable));
    assert_eq!(headers.get("x-should-retry").unwrap(), "false");
    assert_eq!(body["error"]["type"], "upstream_error");
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("it said no")
    );
}

#[test]
fn the_providers_own_error_passes_as_it_is_when_the_caller_is_at_fault() {
    let original = Bytes::from_static(br#"{"error":{"message":"too long","odd":[1]}}"#);
    let fault = Fault {
        original: Some(original.clone()),
        ..Fault::new(refused(400, Class::ContextLength), "too long")
    };
    let failed = Failed {
        stop: Stop::CallerFault,
        last: Some(fault),
        attempts: Vec::new(),
    };
    let (status, _, body) = Refusal::failed(failed).into_parts();
    assert_eq!((status.as_u16(), body), (400, original));
}

#[test]
fn an_error_without_attempts_has_the_plain_shape() {
    let (status, _, body) = answered(Refusal::unknown_path("/v1/v1/chat/completions"));
    assert_eq!(status, 404);
    let members: Vec<_> = body["error"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["code", "message", "param", "type"]);
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("already ends in /v1")
    );
}
