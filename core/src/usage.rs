//! Tokens of a call, and the record of a finished request.

use crate::id::{AgentName, ModelName, ProviderName, Revision};
use crate::time::Wall;
use crate::units::{NanoUsd, Tokens};

/// Tokens of one call as the provider bills them. The parts do not overlap: the input of a call is
/// `input + cached_input + cache_write_5m + cache_write_1h`, its output `output + reasoning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Input tokens billed at the plain price.
    pub input: Tokens,
    /// Input tokens read from the provider's cache.
    pub cached_input: Tokens,
    /// Input tokens written to the provider's cache for five minutes.
    pub cache_write_5m: Tokens,
    /// Input tokens written to the provider's cache for an hour.
    pub cache_write_1h: Tokens,
    /// Output tokens the caller sees.
    pub output: Tokens,
    /// Output tokens spent on reasoning.
    pub reasoning: Tokens,
}

impl Usage {
    /// All input tokens.
    pub const fn total_input(&self) -> Tokens {
        self.input
            .saturating_add(self.cached_input)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }

    /// All output tokens.
    pub const fn total_output(&self) -> Tokens {
        self.output.saturating_add(self.reasoning)
    }
}

/// How well the tokens of a call are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSource {
    /// The provider reported them.
    Reported,
    /// The provider did not; they were estimated from what passed.
    Estimated,
}

/// Where a price came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceSource {
    /// `models.*.price` of the policy.
    Policy,
    /// `pricing.unknown_model` of the policy.
    UnknownModelRule,
    /// The built-in catalogue.
    Catalogue,
    /// A simulated provider: no money at all.
    Simulated,
}

impl PriceSource {
    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::UnknownModelRule => "unknown_model_rule",
            Self::Catalogue => "catalogue",
            Self::Simulated => "simulated",
        }
    }
}

/// What a call cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Known, at a price from this source.
    Known(NanoUsd, PriceSource),
    /// Nobody knows the model's price. Not zero.
    Unknown,
}

/// One finished request, for the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// The request's own id.
    pub request_id: String,
    /// When it was accepted.
    pub accepted_at: Wall,
    /// Who asked.
    pub agent: AgentName,
    /// The model asked for.
    pub model_asked: ModelName,
    /// The model and provider that answered; absent if none did.
    pub answered_by: Option<(ModelName, ProviderName)>,
    /// Attempts made.
    pub attempts: u32,
    /// Tokens billed, over all attempts that cost something.
    pub usage: Usage,
    /// How well they are known.
    pub usage_source: UsageSource,
    /// What it cost.
    pub cost: Cost,
    /// The policy it ran under.
    pub revision: Revision,
    /// Whether the caller left before the end.
    pub caller_left: bool,
}
