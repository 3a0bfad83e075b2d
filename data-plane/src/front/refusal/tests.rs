use agix_core::failover::Refusal as Class;
use agix_core::lease::Refused;
use agix_core::quota::{Limit, PeriodStanding};
use agix_core::units::{NanoUsd, RequestLimit};
use serde_json::{Value, json};

use std::time::Duration;

use super::*;
use crate::attempt::NotAllowed;

/// 25 November 2026, 23:00 UTC.
const NOW: Wall = Wall::from_millis(1_795_647_600_000);

fn voice() -> Voice {
    Voice::new(
        crate::dialect::Caller::Chat,
        crate::front::reply::Ids::draw(None),
    )
}

fn answered(refusal: Refusal) -> (u16, HeaderMap, Value) {
    let (status, headers, body) = refusal.into_parts(&voice());
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

fn refusal(failed: Failed) -> Refusal {
    Refusal::failed(failed, &agent(), None, NOW)
}

fn failed(stop: Stop, failure: Failure) -> (u16, HeaderMap, Value) {
    let last = Some(Fault::new(failure, "it said no"));
    answered(refusal(Failed {
        stop,
        last,
        attempts: Vec::new(),
        not_allowed: None,
    }))
}

#[test]
fn anthropics_libraries_are_told_to_go_on_without_a_thread() {
    let body = br#"{"model":"m","max_tokens":1,"messages":[],"thread":{"type":"create"}}"#;
    let messages = crate::dialect::Caller::Messages;
    let read = crate::dialect::ChatRequest::read_as(messages, body.as_slice().into());
    let refusal = Refusal::bad_request(&read.unwrap_err());
    let voice = Voice::new(messages, crate::front::reply::Ids::draw(None));
    let (status, _, body) = refusal.into_parts(&voice);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 400);
    assert_eq!(body["error"]["type"], "invalid_request_error");
    let code = &body["error"]["details"]["error_code"];
    assert_eq!(code, "thread_unsupported_request");
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
        not_allowed: None,
    };
    let (status, _, body) = refusal(failed).into_parts(&voice());
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

fn agent() -> AgentName {
    AgentName::new("expensive-agent").unwrap()
}

fn not_allowed(refused: Refused) -> (u16, HeaderMap, Value) {
    let limits = RateLimits {
        requests_per_minute: RequestLimit::new(10),
        ..RateLimits::default()
    };
    let no = NotAllowed {
        refused,
        needed: NanoUsd::from_nanos(40_000_000),
    };
    answered(Refusal::not_allowed(&agent(), &no, Some(&limits), NOW))
}

fn limited(limit: Limit, wait: Duration) -> (u16, HeaderMap, Value) {
    not_allowed(Refused::Limit {
        limit,
        allows: 10,
        retry_after: wait,
    })
}

fn over_budget(busy: bool) -> (u16, HeaderMap, Value) {
    let standing = PeriodStanding {
        limit: NanoUsd::from_nanos(10_000_000_000),
        spent: NanoUsd::from_nanos(9_980_000_000),
        unsettled: NanoUsd::ZERO,
        held: NanoUsd::ZERO,
        resets_in: Duration::from_secs(3_600),
    };
    not_allowed(Refused::Budget {
        monthly: false,
        standing,
        busy,
    })
}

#[test]
fn a_rate_limit_is_told_as_documented() {
    let (status, headers, body) = limited(Limit::RequestsPerMinute, Duration::from_millis(5_001));
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "6");
    assert_eq!(headers["retry-after-ms"], "5001");
    assert_eq!(headers["x-ratelimit-limit-requests"], "10");
    assert_eq!(headers["x-ratelimit-remaining-requests"], "0");
    assert_eq!(headers["ratelimit"], "\"rpm\";r=0;t=6");
    assert_eq!(headers["ratelimit-policy"], "\"rpm\";q=10;w=60");
    assert!(!headers.contains_key("x-should-retry"));
    assert_eq!(
        body["error"]["message"],
        "Rate limit exceeded for agent: expensive-agent (10 req/min)"
    );
    assert_eq!(body["error"]["type"], "rate_limit_exceeded");
    assert_eq!(
        body["error"]["agix"],
        json!({ "limit": "requests_per_minute", "allows": 10, "retry_after_ms": 5_001 })
    );
}

#[test]
fn every_limit_names_its_unit() {
    for (limit, unit) in [
        (Limit::RequestsPerHour, "(10 req/hour)"),
        (Limit::TokensPerMinute, "(10 tokens/min)"),
        (Limit::Concurrent, "(10 concurrent)"),
    ] {
        let (_, _, body) = limited(limit, Duration::ZERO);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.ends_with(unit), "{message}");
    }
}

#[test]
fn a_client_library_does_not_wait_by_itself_for_more_than_a_minute() {
    let should_retry = |wait| {
        let (_, headers, _) = limited(Limit::RequestsPerHour, wait);
        headers.get("x-should-retry").cloned()
    };
    assert_eq!(should_retry(Duration::from_secs(60)), None);
    let longer = should_retry(Duration::from_millis(60_001));
    assert_eq!(longer.unwrap(), "false");
}

#[test]
fn a_budget_names_period_limit_spent_and_reset() {
    let (status, headers, body) = over_budget(false);
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "3600");
    assert_eq!(headers["x-should-retry"], "false");
    let error = &body["error"];
    assert_eq!(error["type"], "insufficient_quota");
    assert_eq!(error["code"], "budget_exceeded");
    assert_eq!(
        error["message"],
        "Budget exceeded for agent: expensive-agent (daily limit $10, spent $9.98, this request may \
         cost up to $0.04; it resets at 2026-11-26T00:00:00Z)"
    );
    assert_eq!(
        error["agix"],
        json!({
            "period": "day",
            "limit_usd": "10",
            "spent_usd": "9.98",
            "unsettled_usd": "0",
            "request_usd": "0.04",
            "resets_at": "2026-11-26T00:00:00Z",
        })
    );
}

#[test]
fn a_ledger_that_cannot_be_asked_is_not_the_policys_no() {
    let (status, headers, body) = not_allowed(Refused::Undecided);
    assert_eq!(status, 503);
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(body["error"]["code"], "quota_unavailable");
}

#[test]
fn money_that_may_come_back_is_worth_another_try() {
    let (status, headers, body) = over_budget(true);
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "1");
    assert!(!headers.contains_key("x-should-retry"));
    assert_eq!(body["error"]["code"], "budget_exceeded");
}

#[test]
fn a_chain_that_the_budget_cut_short_says_so() {
    let no = NotAllowed {
        refused: Refused::Undecided,
        needed: NanoUsd::ZERO,
    };
    let cut_short = |stop, class| {
        let fault = Fault::new(refused(503, class), "it said no");
        let (_, _, body) = answered(refusal(Failed {
            stop,
            last: Some(fault),
            attempts: Vec::new(),
            not_allowed: Some(no.clone()),
        }));
        body["error"]["code"].clone()
    };
    let code = cut_short(Stop::Exhausted, Class::Unavailable);
    assert_eq!(code, "quota_unavailable");
    let code = cut_short(Stop::CallerFault, Class::Request);
    assert_ne!(code, "quota_unavailable");
}
