//! Audit and tracing settings.

use crate::units::SampleRate;

/// Audit settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audit {
    /// Whether each request leaves a record.
    pub enabled: bool,
}

/// Tracing settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracing {
    /// Whether traces are exported.
    pub enabled: bool,
    /// The share of requests traced.
    pub sample_rate: SampleRate,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            enabled: false,
            sample_rate: SampleRate::ALL,
        }
    }
}
