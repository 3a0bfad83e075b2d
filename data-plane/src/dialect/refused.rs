//! What a provider's refusal means.
//!
//! Providers agree on little but the status, so a refusal is read from status, codes and, where
//! there is no code, from texts known to stand for one thing. Error bodies are read in every shape
//! that OpenAI, Anthropic and the servers compatible with them use; they never reach the caller as
//! they are, because some of them repeat keys.

mod words;

use std::time::Duration;

use agix_core::failover::{Failure, Refusal};
use agix_core::limits::RETRY_AFTER_LONGEST;
use agix_core::time::Wall;
use http::HeaderMap;

use self::words::Words;

/// A provider's refusal, by status or by an error inside a 200.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider refused with {status}: {message}")]
pub struct Refused {
    /// What it means.
    pub refusal: Refusal,
    /// The HTTP status, or the one an error inside an answer stands for.
    pub status: u16,
    /// How long the provider asked us to wait.
    pub retry_after: Option<Duration>,
    /// Its words, bounded, without control characters and keys; for people.
    pub message: String,
    /// Its own code or type, `insufficient_quota`.
    pub code: Option<String>,
}

impl Refused {
    /// The refusal in terms of failover.
    pub fn failure(&self) -> Failure {
        Failure::Refused {
            status: self.status,
            refusal: self.refusal,
            retry_after: self.retry_after,
        }
    }

    /// An error object, or the object around it, found inside an answer whose status was a success.
    pub(super) fn inside_answer(error: &str) -> Self {
        let words = Words::read(error.as_bytes());
        let status = words
            .status
            .or_else(|| words.codes().find_map(status_of))
            .unwrap_or(500);
        Self::new(status, None, words)
    }

    fn new(status: u16, retry_after: Option<Duration>, words: Words) -> Self {
        let refusal = classify(status, &words);
        let message = match refusal {
            Refusal::Credentials => "it does not accept the key agix has for it".to_owned(),
            _ if words.message.is_empty() => "it gave no reason".to_owned(),
            _ => words.message,
        };
        Self {
            refusal,
            status,
            retry_after,
            message,
            code: words.codes.into_iter().next(),
        }
    }
}

/// Reads an answer whose status is not a success. `now` is for a `Retry-After` that names a date.
pub fn decode_error(status: u16, headers: &HeaderMap, body: &[u8], now: Wall) -> Refused {
    Refused::new(status, retry_after(headers, now), Words::read(body))
}

/// Codes of accounts that have to be paid before anything works again.
const QUOTA_CODES: [&str; 8] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "enforced_spend_limit_reached",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "exceeded_current_quota_error",
    "insufficient_balance",
];

/// The same in words, where the status alone says something else.
const QUOTA_TEXTS: [&str; 3] = [
    "credit balance is too low",
    "specified api usage limits",
    "insufficient balance",
];

const CONTEXT_TEXTS: [&str; 9] = [
    "maximum context length",
    "exceed context limit",
    "exceeds the context window",
    "input tokens exceed the configured limit",
    "exceeds the maximum number of tokens allowed",
    "prompt is too long",
    "input is too long",
    "request too large for model",
    "reduce the length of the messages",
];

const CONTENT_CODES: [&str; 5] = [
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "content_filtered",
    "moderation_blocked",
];

const CONTENT_TEXTS: [&str; 3] = [
    "content management policy",
    "output blocked by content filtering policy",
    "rejected as a result of our safety system",
];

/// A wrong key is a bad request to Google.
const KEY_TEXTS: [&str; 1] = ["api key not valid"];

const MISSING_TEXTS: [&str; 2] = ["model not exist", "model does not exist"];

fn classify(status: u16, words: &Words) -> Refusal {
    if matches!(status, 400..=404 | 413 | 422 | 429)
        && (words.has_code(&QUOTA_CODES) || (status != 429 && words.says(&QUOTA_TEXTS)))
    {
        return Refusal::QuotaExhausted;
    }
    match status {
        402 => Refusal::QuotaExhausted,
        429 => Refusal::RateLimited,
        401 | 403 if words.has_code(&CONTENT_CODES) => Refusal::ContentFilter,
        401 | 403 => Refusal::Credentials,
        404 => Refusal::ModelMissing,
        413 => Refusal::ContextLength,
        408 | 409 | 424 | 425 => Refusal::Unavailable,
        400 | 422 => classify_fault(words),
        400..=499 => Refusal::Request,
        _ => Refusal::Unavailable,
    }
}

/// What was wrong with a request that was understood. A text of its own is no sign of anything: the
/// token ids and the values it repeats are the caller's.
fn classify_fault(words: &Words) -> Refusal {
    if words.has_code(&["string_above_max_length"]) {
        Refusal::Request
    } else if words.has_code(&["context_length_exceeded"]) || words.says(&CONTEXT_TEXTS) {
        Refusal::ContextLength
    } else if words.has_code(&CONTENT_CODES) || words.says(&CONTENT_TEXTS) {
        Refusal::ContentFilter
    } else if words.says(&KEY_TEXTS) {
        Refusal::Credentials
    } else if words.has_code(&["model_not_found"]) || words.says(&MISSING_TEXTS) {
        Refusal::ModelMissing
    } else {
        Refusal::Request
    }
}

/// The status a code or type stands for.
fn status_of(code: &str) -> Option<u16> {
    Some(match code {
        "invalid_request_error"
        | "context_length_exceeded"
        | "content_filter"
        | "content_policy_violation" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "billing_error" | "payment_required" => 402,
        "permission_error" | "permission_denied" => 403,
        "not_found_error" | "model_not_found" => 404,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "too_many_requests"
        | "insufficient_quota"
        | "credit_balance_exhausted" => 429,
        "api_error" | "server_error" | "internal_server_error" => 500,
        "server_is_overloaded" | "slow_down" | "service_unavailable" => 503,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

/// How long the provider asked us to wait: `retry-after-ms`, else `retry-after` in seconds or as a
/// date. What is no time, or below zero, is not believed; what is longer than a day is a day.
pub(crate) fn retry_after(headers: &HeaderMap, now: Wall) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let number = |name| text(name)?.parse::<f64>().ok();
    let millis = number("retry-after-ms").map(|millis| millis / 1_000.0);
    let wait = match millis.or_else(|| number("retry-after")) {
        Some(seconds) if seconds > RETRY_AFTER_LONGEST.as_secs_f64() => {
            (seconds.is_finite()).then_some(RETRY_AFTER_LONGEST)
        }
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new()
                .parse_timestamp(text("retry-after")?)
                .ok()?;
            let wait = date.as_millisecond().saturating_sub(now.as_millis());
            Some(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
        }
    };
    wait.map(|wait| wait.min(RETRY_AFTER_LONGEST))
}

#[cfg(test)]
mod tests;
