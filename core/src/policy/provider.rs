//! Providers, models and their prices.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::ProviderName;
use crate::policy::{Reference, Secret};
use crate::units::{PicoUsdPerToken, Tokens};

/// The protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// OpenAI's chat completions and embeddings, and every server compatible with them.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
    /// OpenAI's chat completions and embeddings, at the addresses of Azure.
    Azure,
    /// No provider at all: the proxy answers by a script. Costs nothing, marked as simulated.
    Simulated,
}

/// Where requests for some models go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// The protocol it speaks.
    pub api: Api,
    /// Its address up to and without the endpoint's path; absent for a simulated provider.
    pub base_url: Option<Reference>,
    /// The key agix presents to it; absent where it wants none.
    pub api_key: Option<Secret>,
    /// Further headers sent with each request.
    pub headers: BTreeMap<String, Secret>,
    /// The script of a simulated provider; a model's own script goes before it.
    pub simulate: Option<Simulation>,
}

/// A model name and how to serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The provider that serves it.
    pub provider: ProviderName,
    /// Its name there; absent if it is the same.
    pub upstream_model: Option<String>,
    /// Its price; absent to take the catalogue's.
    pub price: Option<Price>,
    /// Tokens that fit in one request and its answer.
    pub context_window: Option<Tokens>,
    /// Most tokens of one answer.
    pub max_output_tokens: Option<Tokens>,
    /// Script of a simulated model.
    pub simulate: Option<Simulation>,
}

/// Prices of one model. An absent part is billed at the price named in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Input tokens.
    pub input: PicoUsdPerToken,
    /// Input tokens read from the provider's cache; absent: `input`.
    pub cached_input: Option<PicoUsdPerToken>,
    /// Input tokens written to the provider's cache for five minutes; absent: `input`.
    pub cache_write: Option<PicoUsdPerToken>,
    /// Input tokens written to the provider's cache for an hour; absent: `cache_write`.
    pub cache_write_1h: Option<PicoUsdPerToken>,
    /// Output tokens.
    pub output: PicoUsdPerToken,
    /// Output tokens spent on reasoning; absent: `output`.
    pub reasoning: Option<PicoUsdPerToken>,
}

/// What happens to a model without a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pricing {
    /// The rule for unpriced models.
    pub unknown_model: UnknownModel,
}

/// The rule for a model without a price: never silently free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownModel {
    /// An agent with a budget may not use it; others may, and the cost is marked unknown.
    #[default]
    DenyIfBudgeted,
    /// Nobody may use it.
    Deny,
    /// It is billed at this price.
    Price(Price),
}

/// What a simulated model does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// Time to the first token.
    pub first_token: Duration,
    /// Time between two tokens of a stream.
    pub per_token: Duration,
    /// Tokens of an answer.
    pub output_tokens: u32,
    /// What the calls do, in turn, from the start again after the last; at least one.
    pub outcomes: Vec<SimulatedOutcome>,
}

impl Default for Simulation {
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(120),
            per_token: Duration::from_millis(5),
            output_tokens: 32,
            outcomes: vec![SimulatedOutcome::Answer],
        }
    }
}

/// What one simulated call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulatedOutcome {
    /// Answers. Written `ok`.
    Answer,
    /// Refuses with this HTTP status, 400 to 599. Written as the number.
    Status(u16),
    /// Breaks the connection before anything is sent. Written `reset`.
    Reset,
    /// Sends nothing until the caller gives up. Written `stall`.
    Stall,
    /// Breaks off in the middle of the answer. Written `truncate`.
    Truncate,
}
