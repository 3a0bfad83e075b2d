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

    /// The tokens of both.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
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

/// Sums over many calls of one agent and one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageTotals {
    /// Calls.
    pub requests: u64,
    /// Calls whose tokens were estimated.
    pub estimated: u64,
    /// Calls whose cost nobody knows.
    pub unpriced: u64,
    /// Input tokens billed at the plain price.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cached_input: u64,
    /// Input tokens written to a cache.
    pub cache_write: u64,
    /// Output tokens the callers saw.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// What the calls with a known price cost.
    pub cost: NanoUsd,
}

impl UsageTotals {
    /// Counts one call.
    pub fn count(&mut self, usage: &Usage, source: UsageSource, cost: Cost) {
        let one = Self {
            requests: 1,
            estimated: u64::from(source == UsageSource::Estimated),
            unpriced: u64::from(cost == Cost::Unknown),
            input: usage.input.get(),
            cached_input: usage.cached_input.get(),
            cache_write: usage
                .cache_write_5m
                .saturating_add(usage.cache_write_1h)
                .get(),
            output: usage.output.get(),
            reasoning: usage.reasoning.get(),
            cost: match cost {
                Cost::Known(amount, _) => amount,
                Cost::Unknown => NanoUsd::ZERO,
            },
        };
        *self = self.plus(&one);
    }

    /// The sums of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// What these sums have more than `earlier` ones; nothing where they have less.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }

    fn each(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: join(self.requests, other.requests),
            estimated: join(self.estimated, other.estimated),
            unpriced: join(self.unpriced, other.unpriced),
            input: join(self.input, other.input),
            cached_input: join(self.cached_input, other.cached_input),
            cache_write: join(self.cache_write, other.cache_write),
            output: join(self.output, other.output),
            reasoning: join(self.reasoning, other.reasoning),
            cost: NanoUsd::from_nanos(join(self.cost.as_nanos(), other.cost.as_nanos())),
        }
    }
}
