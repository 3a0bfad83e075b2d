use super::*;

/// 23 November 2026, 12:00:00 UTC.
const NOON: Wall = Wall::from_millis(1_795_435_200_000);

fn meaning(status: u16, body: &str) -> Refusal {
    decode_error(status, &HeaderMap::new(), body.as_bytes(), NOON).refusal
}

/// Status, body, and what they mean: the failover table, and where providers differ from it.
const MEANINGS: &[(u16, &str, Refusal)] = &[
    (429, "", Refusal::RateLimited),
    (
        429,
        r#"{"error":{"code":"rate_limit_exceeded"}}"#,
        Refusal::RateLimited,
    ),
    (
        429,
        r#"{"error":{"type":"insufficient_quota"}}"#,
        Refusal::QuotaExhausted,
    ),
    (
        429,
        r#"{"error":{"code":"credit_balance_exhausted"}}"#,
        Refusal::QuotaExhausted,
    ),
    (
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
        Refusal::QuotaExhausted,
    ),
    (402, "", Refusal::QuotaExhausted),
    (
        400,
        r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}"#,
        Refusal::QuotaExhausted,
    ),
    (
        400,
        r#"{"error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}"#,
        Refusal::QuotaExhausted,
    ),
    (
        401,
        r#"{"error":{"code":"invalid_api_key"}}"#,
        Refusal::Credentials,
    ),
    (403, "", Refusal::Credentials),
    (
        404,
        r#"{"error":{"code":"model_not_found"}}"#,
        Refusal::ModelMissing,
    ),
    (
        400,
        r#"{"error":{"message":"Model Not Exist"}}"#,
        Refusal::ModelMissing,
    ),
    (
        400,
        r#"{"error":{"code":"context_length_exceeded"}}"#,
        Refusal::ContextLength,
    ),
    (
        400,
        r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 215000 tokens > 200000 maximum"}}"#,
        Refusal::ContextLength,
    ),
    (
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#,
        Refusal::ContextLength,
    ),
    (413, "<html>", Refusal::ContextLength),
    (
        400,
        r#"{"error":{"code":"string_above_max_length","message":"exceeds the maximum number of tokens allowed"}}"#,
        Refusal::Request,
    ),
    (
        400,
        r#"{"error":{"code":"content_filter"}}"#,
        Refusal::ContentFilter,
    ),
    (
        400,
        r#"{"error":{"code":"x","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        Refusal::ContentFilter,
    ),
    (
        400,
        r#"{"error":{"code":"content_policy_violation"}}"#,
        Refusal::ContentFilter,
    ),
    (
        400,
        r#"{"error":{"message":"[429, 503, 1234] is too long"}}"#,
        Refusal::Request,
    ),
    (
        400,
        r#"{"error":{"code":"unsupported_parameter"}}"#,
        Refusal::Request,
    ),
    (422, "", Refusal::Request),
    (405, "", Refusal::Request),
    (408, "", Refusal::Unavailable),
    (409, "", Refusal::Unavailable),
    (424, "", Refusal::Unavailable),
    (425, "", Refusal::Unavailable),
    (
        500,
        r#"{"error":{"type":"insufficient_quota"}}"#,
        Refusal::Unavailable,
    ),
    (
        503,
        r#"{"error":{"code":"slow_down"}}"#,
        Refusal::Unavailable,
    ),
    (520, "<html>", Refusal::Unavailable),
    (
        529,
        r#"{"error":{"type":"overloaded_error"}}"#,
        Refusal::Unavailable,
    ),
    (302, "", Refusal::Unavailable),
];

#[test]
fn a_refusal_means_what_the_failover_table_says() {
    for (status, body, refusal) in MEANINGS {
        assert_eq!(meaning(*status, body), *refusal, "{status} {body}");
    }
}

#[test]
fn an_error_inside_an_answer_has_the_status_it_stands_for() {
    for (error, status, refusal) in [
        (
            r#"{"type":"overloaded_error","message":"Overloaded"}"#,
            529,
            Refusal::Unavailable,
        ),
        (
            r#"{"code":"rate_limit_exceeded","type":"tokens"}"#,
            429,
            Refusal::RateLimited,
        ),
        (
            r#"{"type":"insufficient_quota","code":null}"#,
            429,
            Refusal::QuotaExhausted,
        ),
        (
            r#"{"code":502,"message":"Provider returned error"}"#,
            502,
            Refusal::Unavailable,
        ),
        (r#"{"type":"invalid_request_error"}"#, 400, Refusal::Request),
        (r#""something broke""#, 500, Refusal::Unavailable),
        (r#"{"code":200}"#, 500, Refusal::Unavailable),
    ] {
        let refused = Refused::inside_answer(error);
        assert_eq!(
            (refused.status, refused.refusal),
            (status, refusal),
            "{error}"
        );
    }
}

#[test]
fn our_own_key_is_never_shown() {
    let body = br#"{"error":{"message":"Incorrect API key provided: sk-abcdefghijklmnop","code":"invalid_api_key"}}"#;
    let refused = decode_error(401, &HeaderMap::new(), body, NOON);
    assert_eq!(
        refused.to_string(),
        "the provider refused with 401: it does not accept the key agix has for it"
    );
    let refused = decode_error(429, &HeaderMap::new(), &body[..], NOON);
    assert_eq!(refused.message, "Incorrect API key provided: [key]");
}

#[test]
fn a_wait_is_read_from_every_form_and_bounded() {
    let day = RETRY_AFTER_LONGEST;
    let seconds = Duration::from_secs;
    for (name, value, wait) in [
        ("retry-after", "7", Some(seconds(7))),
        ("retry-after", "0.25", Some(Duration::from_millis(250))),
        ("retry-after", "0", Some(Duration::ZERO)),
        ("retry-after", "-1", None),
        ("retry-after", "1e9", Some(day)),
        ("retry-after", "1e400", None),
        ("retry-after", "nan", None),
        ("retry-after", "inf", None),
        ("retry-after", "soon", None),
        ("retry-after", "", None),
        ("retry-after-ms", "1500", Some(Duration::from_millis(1_500))),
        (
            "retry-after-ms",
            "12.5",
            Some(Duration::from_micros(12_500)),
        ),
        (
            "retry-after",
            "Mon, 23 Nov 2026 12:00:30 GMT",
            Some(seconds(30)),
        ),
        (
            "retry-after",
            "Mon, 23 Nov 2026 11:00:00 GMT",
            Some(Duration::ZERO),
        ),
        ("retry-after", "Wed, 23 Nov 2039 11:00:00 GMT", Some(day)),
        ("retry-after", "Mon, 99 Nov 2026 11:00:00 GMT", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let refused = decode_error(429, &headers, b"", NOON);
        assert_eq!(refused.retry_after, wait, "{name}: {value}");
    }
    let mut both = HeaderMap::new();
    both.insert("retry-after", "9".parse().unwrap());
    both.insert("retry-after-ms", "100".parse().unwrap());
    assert_eq!(
        decode_error(429, &both, b"", NOON).retry_after,
        Some(Duration::from_millis(100))
    );
}

#[test]
fn a_refusal_keeps_its_code_and_says_something() {
    let body =
        br#"{"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
    let refused = decode_error(429, &HeaderMap::new(), body, NOON);
    assert_eq!(refused.code.as_deref(), Some("rate_limit_exceeded"));
    assert_eq!(
        refused.to_string(),
        "the provider refused with 429: Slow down"
    );
    let silent = decode_error(503, &HeaderMap::new(), b"<html>", NOON);
    assert_eq!(
        silent.to_string(),
        "the provider refused with 503: it gave no reason"
    );
    assert_eq!(
        silent.failure(),
        Failure::Refused {
            status: 503,
            refusal: Refusal::Unavailable,
            retry_after: None
        }
    );
}
