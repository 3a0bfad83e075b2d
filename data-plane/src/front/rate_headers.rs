//! What an answer's head says of its agent's limits: the `x-ratelimit-*` headers of OpenAI and the
//! `RateLimit` fields of the IETF's draft.
//!
//! What is left is told only where it is known: nothing is left of the limit that refused. What the
//! rest of the fleet uses meanwhile no proxy knows, and a guess would slow callers down for nothing.

use std::fmt::Write as _;
use std::time::Duration;

use agix_core::policy::RateLimits;
use agix_core::quota::Limit;
use agix_core::units::{RequestLimit, TokenLimit};
use http::{HeaderMap, HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Room for what is said of four limits.
const POLICY_BYTES: usize = 160;
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const LIMIT_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const LEFT_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");
const LIMIT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");
const LEFT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
const RESET_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-reset-tokens");

/// Says which limits there are.
pub(crate) fn announce(headers: &mut HeaderMap, limits: &RateLimits) {
    let requests = limits.requests_per_minute.or(limits.requests_per_hour);
    if let Some(requests) = requests {
        headers.insert(LIMIT_REQUESTS, HeaderValue::from(requests.get()));
    }
    if let Some(tokens) = limits.tokens_per_minute {
        headers.insert(LIMIT_TOKENS, HeaderValue::from(tokens.get()));
    }
    // Every answer says this: one allocation, not one for each limit.
    let mut policy = String::with_capacity(POLICY_BYTES);
    for (limit, quota) in quotas(limits) {
        let between = if policy.is_empty() { "" } else { ", " };
        let (name, unit) = (name(limit), unit(limit));
        // A string takes whatever is written.
        write!(policy, "{between}\"{name}\";q={quota}{unit}").ok();
    }
    insert(headers, POLICY, policy);
}

/// Says that nothing is left of one limit, and for how long.
pub(crate) fn exhausted(headers: &mut HeaderMap, limit: Limit, allows: u64, wait: Duration) {
    let state = format!("\"{}\";r=0;t={}", name(limit), whole_seconds(wait));
    insert(headers, STATE, state);
    let (limit_header, left, reset) = match limit {
        Limit::RequestsPerMinute | Limit::RequestsPerHour => {
            (LIMIT_REQUESTS, LEFT_REQUESTS, RESET_REQUESTS)
        }
        Limit::TokensPerMinute => (LIMIT_TOKENS, LEFT_TOKENS, RESET_TOKENS),
        Limit::Concurrent => return,
    };
    headers.insert(limit_header, HeaderValue::from(allows));
    headers.insert(left, HeaderValue::from_static("0"));
    insert(headers, reset, shown(wait));
}

/// Whole seconds for `Retry-After`: rounded up, so that who waits that long has waited long enough,
/// and at least one.
pub(crate) fn whole_seconds(wait: Duration) -> u32 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    let seconds = wait.as_secs().saturating_add(begun).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Whole milliseconds, rounded up, at least one.
pub(crate) fn whole_millis(wait: Duration) -> u64 {
    let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

fn quotas(limits: &RateLimits) -> impl Iterator<Item = (Limit, u64)> {
    let requests = |limit: Option<RequestLimit>| limit.map(|it| it.get().into());
    [
        (
            Limit::RequestsPerMinute,
            requests(limits.requests_per_minute),
        ),
        (Limit::RequestsPerHour, requests(limits.requests_per_hour)),
        (
            Limit::TokensPerMinute,
            limits.tokens_per_minute.map(TokenLimit::get),
        ),
        (Limit::Concurrent, requests(limits.max_concurrent)),
    ]
    .into_iter()
    .filter_map(|(limit, quota)| Some((limit, quota?)))
}

const fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::RequestsPerMinute => "rpm",
        Limit::RequestsPerHour => "rph",
        Limit::TokensPerMinute => "tpm",
        Limit::Concurrent => "concurrent",
    }
}

const fn unit(limit: Limit) -> &'static str {
    match limit {
        Limit::RequestsPerMinute => ";w=60",
        Limit::RequestsPerHour => ";w=3600",
        Limit::TokensPerMinute => ";w=60;qu=\"tokens\"",
        Limit::Concurrent => ";qu=\"concurrent-requests\"",
    }
}

/// A time as OpenAI writes it: `850ms`, `12.5s`, `6m0s`.
fn shown(wait: Duration) -> String {
    let millis = whole_millis(wait);
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    match (seconds / 60, seconds % 60) {
        (0, 0) => format!("{rest}ms"),
        (0, seconds) if rest > 0 => format!("{seconds}.{rest:03}s"),
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => {
            let seconds = seconds.saturating_add(u64::from(rest > 0));
            format!("{minutes}m{seconds}s")
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if text.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(headers: &HeaderMap, name: &str) -> String {
        let value = headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or("none").to_owned()
    }

    #[test]
    fn every_limit_is_announced() {
        let limits = RateLimits {
            requests_per_minute: RequestLimit::new(10),
            requests_per_hour: RequestLimit::new(100),
            tokens_per_minute: TokenLimit::new(5_000),
            max_concurrent: RequestLimit::new(4),
            ..RateLimits::default()
        };
        let mut headers = HeaderMap::new();
        announce(&mut headers, &limits);
        assert_eq!(
            text(&headers, "ratelimit-policy"),
            "\"rpm\";q=10;w=60, \"rph\";q=100;w=3600, \"tpm\";q=5000;w=60;qu=\"tokens\", \
             \"concurrent\";q=4;qu=\"concurrent-requests\""
        );
        assert_eq!(text(&headers, "x-ratelimit-limit-requests"), "10");
        assert_eq!(text(&headers, "x-ratelimit-limit-tokens"), "5000");
        assert_eq!(text(&headers, "x-ratelimit-remaining-requests"), "none");
    }

    #[test]
    fn an_agent_without_limits_is_told_of_none() {
        let mut headers = HeaderMap::new();
        announce(&mut headers, &RateLimits::default());
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn the_limit_that_refused_is_the_one_that_is_told() {
        let mut headers = HeaderMap::new();
        let wait = Duration::from_millis(2_401_500);
        exhausted(&mut headers, Limit::RequestsPerHour, 100, wait);
        assert_eq!(text(&headers, "ratelimit"), "\"rph\";r=0;t=2402");
        assert_eq!(text(&headers, "x-ratelimit-limit-requests"), "100");
        assert_eq!(text(&headers, "x-ratelimit-remaining-requests"), "0");
        assert_eq!(text(&headers, "x-ratelimit-reset-requests"), "40m2s");
    }

    #[test]
    fn a_wait_is_never_rounded_down() {
        let times =
            [0, 1, 999_999, 1_000_000, 1_000_000_000, 1_000_000_001].map(Duration::from_nanos);
        assert_eq!(times.map(whole_seconds), [1, 1, 1, 1, 1, 2]);
        assert_eq!(times.map(whole_millis), [1, 1, 1, 1, 1_000, 1_001]);
        for (millis, said) in [
            (850, "850ms"),
            (12_500, "12.500s"),
            (6_000, "6s"),
            (360_000, "6m0s"),
        ] {
            assert_eq!(shown(Duration::from_millis(millis)), said);
        }
    }
}
