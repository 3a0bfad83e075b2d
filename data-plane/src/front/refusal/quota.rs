//! The refusals of limits and budgets.
//!
//! A refusal with 429 says that the policy said no; one with 503 that it could not be asked. A client
//! library is told not to try by itself what would make its program wait for long.

use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::lease::Refused;
use agix_core::policy::RateLimits;
use agix_core::quota::{Limit, PeriodStanding};
use agix_core::time::Wall;
use agix_core::units::NanoUsd;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::{More, Refusal};
use crate::attempt::NotAllowed;
use crate::front::rate_headers;

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// A wait longer than this is for the caller's program to decide on, not for its client library.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the body says of it, for programs.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Details {
    Rate {
        limit: &'static str,
        allows: u64,
        retry_after_ms: u64,
    },
    Budget {
        period: &'static str,
        limit_usd: String,
        spent_usd: String,
        /// What lost proxies may have spent.
        unsettled_usd: String,
        request_usd: String,
        resets_at: String,
    },
}

impl Refusal {
    /// What the agent's limits or budget say of a request.
    pub(super) fn not_allowed(
        agent: &AgentName,
        no: &NotAllowed,
        limits: Option<&RateLimits>,
        at: Wall,
    ) -> Self {
        match &no.refused {
            Refused::Limit {
                limit,
                allows,
                retry_after,
            } => Self::rate_limited(agent, *limit, *allows, *retry_after, limits),
            Refused::Budget {
                monthly,
                standing,
                busy: false,
            } => Self::over_budget(agent, *monthly, standing, no.needed, at),
            Refused::Budget { busy: true, .. } => Self::budget_busy(agent, no.needed),
            Refused::Undecided => Self::quota_unavailable(agent),
            Refused::Crowded => Self::too_many_waiting(agent),
        }
    }

    /// A limit on requests or tokens is used up.
    fn rate_limited(
        agent: &AgentName,
        limit: Limit,
        allows: u64,
        wait: Duration,
        limits: Option<&RateLimits>,
    ) -> Self {
        let (name, unit) = match limit {
            Limit::RequestsPerMinute => ("requests_per_minute", "req/min"),
            Limit::RequestsPerHour => ("requests_per_hour", "req/hour"),
            Limit::TokensPerMinute => ("tokens_per_minute", "tokens/min"),
            Limit::Concurrent => ("max_concurrent", "concurrent"),
        };
        let message = format!("Rate limit exceeded for agent: {agent} ({allows} {unit})");
        let millis = rate_headers::whole_millis(wait);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
        if let Some(limits) = limits {
            rate_headers::announce(&mut headers, limits);
        }
        rate_headers::exhausted(&mut headers, limit, allows, wait);
        let kind = "rate_limit_exceeded";
        Self {
            retry_after_seconds: Some(rate_headers::whole_seconds(wait)),
            should_retry: (wait > PATIENCE).then_some(false),
            more: Some(more(
                headers,
                Details::Rate {
                    limit: name,
                    allows,
                    retry_after_ms: millis,
                },
            )),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, kind, kind, message)
        }
    }

    /// The agent's requests that wait for rights are as many as may wait.
    fn too_many_waiting(agent: &AgentName) -> Self {
        let kind = "rate_limit_exceeded";
        let message =
            format!("Too many requests of the agent {agent} wait for their turn already.");
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, kind, kind, message)
        }
    }

    /// A limit on spend leaves no room for the request.
    fn over_budget(
        agent: &AgentName,
        monthly: bool,
        standing: &PeriodStanding,
        needed: NanoUsd,
        at: Wall,
    ) -> Self {
        let PeriodStanding {
            limit,
            spent,
            unsettled,
            held: _,
            resets_in,
        } = *standing;
        let (period, adjective) = if monthly {
            ("month", "monthly")
        } else {
            ("day", "daily")
        };
        let resets_at = moment(at, resets_in);
        let message = format!(
            "Budget exceeded for agent: {agent} ({adjective} limit ${limit}, spent ${spent}, this \
             request may cost up to ${needed}; it resets at {resets_at})"
        );
        Self {
            retry_after_seconds: Some(rate_headers::whole_seconds(resets_in)),
            should_retry: Some(false),
            more: Some(more(
                HeaderMap::new(),
                Details::Budget {
                    period,
                    limit_usd: limit.to_string(),
                    spent_usd: spent.to_string(),
                    unsettled_usd: unsettled.to_string(),
                    request_usd: needed.to_string(),
                    resets_at,
                },
            )),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "insufficient_quota",
                "budget_exceeded",
                message,
            )
        }
    }

    /// What is left of the budget is set aside for requests under way.
    fn budget_busy(agent: &AgentName, needed: NanoUsd) -> Self {
        let message = format!(
            "What is left of the budget of the agent {agent} is set aside for requests under way; \
             this one may cost up to ${needed}."
        );
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "insufficient_quota",
                "budget_exceeded",
                message,
            )
        }
    }

    /// The ledger cannot be asked, and the policy lets nothing pass without it.
    fn quota_unavailable(agent: &AgentName) -> Self {
        let message = format!(
            "The limits of the agent {agent} cannot be checked: the proxy does not reach its \
             control plane."
        );
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "quota_unavailable",
                message,
            )
        }
    }
}

fn more(headers: HeaderMap, details: Details) -> Box<More> {
    Box::new(More {
        quota: Some(details),
        headers,
        ..More::default()
    })
}

/// The time so long after `at`, in UTC: `2026-11-26T00:00:00Z`. Rounded up to the second.
fn moment(at: Wall, after: Duration) -> String {
    let millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    let millis = at.as_millis().saturating_add(millis);
    let second = millis.saturating_add(999).div_euclid(1_000);
    jiff::Timestamp::from_second(second)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}
