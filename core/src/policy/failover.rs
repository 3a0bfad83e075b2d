//! Chains and the settings of failover.

use std::time::Duration;

use crate::id::ModelName;
use crate::units::CostRatio;

/// Settings of failover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverSettings {
    /// Most further attempts after the first, over the whole chain; absent: the chain's length.
    /// Retries on the same model are not counted.
    pub max_retries: Option<u32>,
    /// Retries on the same model before it is left, for what a quick retry can heal.
    pub same_model_retries: u32,
    /// A target dearer than this many times the asked model is skipped; absent: no bound.
    pub max_cost_ratio: Option<CostRatio>,
    /// Time bounds of attempts.
    pub timeouts: Timeouts,
    /// What happens when a stream dies after content was sent.
    pub stream_rescue: StreamRescue,
    /// The least of a stream for it not to count as a failure; absent: it may be as slow as it likes.
    pub min_throughput: Option<MinThroughput>,
    /// When a target is left alone for a while.
    pub breaker: BreakerSettings,
    /// How many further attempts may fail too.
    pub retry_budget: RetryBudgetSettings,
    /// Whether a target may be asked that does not have all parameters of the request.
    pub drop_unsupported: bool,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        Self {
            max_retries: None,
            same_model_retries: 1,
            max_cost_ratio: None,
            timeouts: Timeouts::default(),
            stream_rescue: StreamRescue::default(),
            min_throughput: None,
            breaker: BreakerSettings::default(),
            retry_budget: RetryBudgetSettings::default(),
            drop_unsupported: false,
        }
    }
}

/// Time bounds of attempts; all greater than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From sending the request to the first event of a stream, or the head of a plain answer.
    pub first_token: Duration,
    /// Between two parts of an answer.
    pub idle: Duration,
    /// For the whole request, all attempts together.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(10),
        }
    }
}

/// What happens when a stream dies after content was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamRescue {
    /// It ends with an error event in the caller's protocol.
    #[default]
    Off,
    /// The answer is held back until it is whole, so that failover stays unseen.
    Buffer,
    /// A target that supports it goes on where the stream broke.
    Continue,
}

/// How slow a stream may be that has begun; both greater than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinThroughput {
    /// Output tokens that a second of waiting for the provider must bring.
    pub tokens_per_second: u32,
    /// Time of waiting over which they are counted.
    pub window: Duration,
}

/// When a target is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open the breaker; at least one.
    pub consecutive_failures: u32,
    /// Share of failures within `window` that opens it, 1 to 100.
    pub error_percent: u8,
    /// Fewest requests within `window` for the share to count; at least one.
    pub min_requests: u32,
    /// Length of the window.
    pub window: Duration,
    /// Time it stays open at first; doubled each time in a row.
    pub open: Duration,
    /// Longest time it stays open.
    pub max_open: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            error_percent: 50,
            min_requests: 20,
            window: Duration::from_secs(30),
            open: Duration::from_secs(1),
            max_open: Duration::from_secs(4),
        }
    }
}

/// How many further attempts of a proxy may fail too, within ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudgetSettings {
    /// So many percent of the requests...
    pub percent: u32,
    /// ...and so many more.
    pub at_least: u32,
}

impl Default for RetryBudgetSettings {
    fn default() -> Self {
        Self {
            percent: 20,
            at_least: 10,
        }
    }
}

/// The fallbacks of one asked model, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// At least one target, none twice, never the asked model itself.
    pub targets: Vec<ModelName>,
    /// What happens to streams of this chain; absent: what is set for all.
    pub stream_rescue: Option<StreamRescue>,
}
