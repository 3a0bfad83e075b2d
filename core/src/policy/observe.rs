//! Audit and tracing settings.

use crate::units::SampleRate;

/// Audit settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audit {
    /// Whether each request leaves a record.
    pub enabled: bool,
    /// Whether a record has what was asked and answered, too.
    pub content_log: bool,
}

/// Tracing settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracing {
    /// Whether traces are exported.
    pub enabled: bool,
    /// The share of requests traced.
    pub sample_rate: SampleRate,
    /// Whether providers are told the trace that a call belongs to.
    pub propagate: bool,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            enabled: false,
            sample_rate: SampleRate::ALL,
            propagate: false,
        }
    }
}
