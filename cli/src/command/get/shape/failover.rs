//! Chains and the settings of failover in the form of a document.

use agix_core::policy::{BreakerSettings, Chain, FailoverSettings, StreamRescue};
use serde::Serialize;

use super::span;
use crate::output::Decimal;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ChainShape {
    /// Nothing is set for it.
    Plain(Vec<String>),
    Set {
        targets: Vec<String>,
        stream_rescue: &'static str,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct FailoverSettingsShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    same_model_retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_cost_ratio: Option<Decimal>,
    timeouts: TimeoutsShape,
    stream_rescue: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_throughput: Option<MinThroughputShape>,
    breaker: BreakerShape,
    retry_budget: RetryBudgetShape,
    drop_unsupported: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct MinThroughputShape {
    tokens_per_second: u32,
    window: String,
}

#[derive(Debug, Serialize)]
pub(super) struct RetryBudgetShape {
    percent: u32,
    at_least: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct TimeoutsShape {
    connect: String,
    first_token: String,
    idle: String,
    total: String,
}

#[derive(Debug, Serialize)]
pub(super) struct BreakerShape {
    consecutive_failures: u32,
    error_percent: u8,
    min_requests: u32,
    window: String,
    open: String,
    max_open: String,
}

impl From<&Chain> for ChainShape {
    fn from(chain: &Chain) -> Self {
        let Chain {
            targets,
            stream_rescue,
        } = chain;
        let targets = targets.iter().map(ToString::to_string).collect();
        match *stream_rescue {
            None => Self::Plain(targets),
            Some(rescue) => Self::Set {
                targets,
                stream_rescue: written(rescue),
            },
        }
    }
}

const fn written(rescue: StreamRescue) -> &'static str {
    match rescue {
        StreamRescue::Off => "off",
        StreamRescue::Buffer => "buffer",
        StreamRescue::Continue => "continue",
    }
}

impl From<&FailoverSettings> for FailoverSettingsShape {
    fn from(settings: &FailoverSettings) -> Self {
        let FailoverSettings {
            max_retries,
            same_model_retries,
            max_cost_ratio,
            timeouts,
            stream_rescue,
            min_throughput,
            breaker,
            retry_budget,
            drop_unsupported,
        } = settings;
        Self {
            max_retries: *max_retries,
            same_model_retries: *same_model_retries,
            max_cost_ratio: max_cost_ratio.as_ref().map(Decimal::new),
            timeouts: TimeoutsShape {
                connect: span(timeouts.connect),
                first_token: span(timeouts.first_token),
                idle: span(timeouts.idle),
                total: span(timeouts.total),
            },
            stream_rescue: written(*stream_rescue),
            min_throughput: min_throughput.map(|least| MinThroughputShape {
                tokens_per_second: least.tokens_per_second,
                window: span(least.window),
            }),
            breaker: BreakerShape::from(breaker),
            retry_budget: RetryBudgetShape {
                percent: retry_budget.percent,
                at_least: retry_budget.at_least,
            },
            drop_unsupported: *drop_unsupported,
        }
    }
}

impl From<&BreakerSettings> for BreakerShape {
    fn from(breaker: &BreakerSettings) -> Self {
        let BreakerSettings {
            consecutive_failures,
            error_percent,
            min_requests,
            window,
            open,
            max_open,
        } = breaker;
        Self {
            consecutive_failures: *consecutive_failures,
            error_percent: *error_percent,
            min_requests: *min_requests,
            window: span(*window),
            open: span(*open),
            max_open: span(*max_open),
        }
    }
}
