//! Providers, models and prices in the form of a document.

use std::collections::BTreeMap;

use agix_core::policy::{
    Api, Model, Price, Pricing, Provider, SimulatedOutcome, Simulation, UnknownModel,
};
use serde::Serialize;

use super::{Entries, ReferenceShape, entries, span};
use crate::output::Decimal;

#[derive(Debug, Serialize)]
pub(super) struct ProviderShape {
    api: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<ReferenceShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<ReferenceShape>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: Entries<ReferenceShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    simulate: Option<SimulationShape>,
}

#[derive(Debug, Serialize)]
pub(super) struct SimulationShape {
    first_token: String,
    per_token: String,
    output_tokens: u32,
    outcomes: Vec<OutcomeShape>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum OutcomeShape {
    Word(&'static str),
    Status(u16),
}

#[derive(Debug, Serialize)]
pub(super) struct ModelShape {
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<PriceShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    simulate: Option<SimulationShape>,
}

#[derive(Debug, Serialize)]
pub(super) struct PriceShape {
    input: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_input: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_1h: Option<Decimal>,
    output: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Decimal>,
}

#[derive(Debug, Serialize)]
pub(super) struct PricingShape {
    unknown_model: UnknownModelShape,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum UnknownModelShape {
    Word(&'static str),
    Price(PriceShape),
}

impl From<&Provider> for ProviderShape {
    fn from(provider: &Provider) -> Self {
        let Provider {
            api: protocol,
            base_url,
            api_key,
            headers,
            simulate,
        } = provider;
        Self {
            api: api(*protocol),
            base_url: base_url.as_ref().map(ReferenceShape::from),
            api_key: api_key.as_ref().map(ReferenceShape::from),
            headers: entries(headers),
            simulate: simulate.as_ref().map(SimulationShape::from),
        }
    }
}

impl From<&Simulation> for SimulationShape {
    fn from(simulation: &Simulation) -> Self {
        let Simulation {
            first_token,
            per_token,
            output_tokens,
            outcomes,
        } = simulation;
        let outcome = |outcome: &SimulatedOutcome| match outcome {
            SimulatedOutcome::Answer => OutcomeShape::Word("ok"),
            SimulatedOutcome::Status(status) => OutcomeShape::Status(*status),
            SimulatedOutcome::Reset => OutcomeShape::Word("reset"),
            SimulatedOutcome::Stall => OutcomeShape::Word("stall"),
            SimulatedOutcome::Truncate => OutcomeShape::Word("truncate"),
        };
        Self {
            first_token: span(*first_token),
            per_token: span(*per_token),
            output_tokens: *output_tokens,
            outcomes: outcomes.iter().map(outcome).collect(),
        }
    }
}

impl From<&Model> for ModelShape {
    fn from(model: &Model) -> Self {
        let Model {
            provider,
            upstream_model,
            price,
            context_window,
            max_output_tokens,
            simulate,
        } = model;
        Self {
            provider: provider.to_string(),
            upstream_model: upstream_model.clone(),
            price: price.as_ref().map(PriceShape::from),
            context_window: context_window.map(agix_core::units::Tokens::get),
            max_output_tokens: max_output_tokens.map(agix_core::units::Tokens::get),
            simulate: simulate.as_ref().map(SimulationShape::from),
        }
    }
}

impl From<&Price> for PriceShape {
    fn from(price: &Price) -> Self {
        let Price {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
        } = price;
        Self {
            input: Decimal::new(input),
            cached_input: cached_input.as_ref().map(Decimal::new),
            cache_write: cache_write.as_ref().map(Decimal::new),
            cache_write_1h: cache_write_1h.as_ref().map(Decimal::new),
            output: Decimal::new(output),
            reasoning: reasoning.as_ref().map(Decimal::new),
        }
    }
}

impl From<&Pricing> for PricingShape {
    fn from(pricing: &Pricing) -> Self {
        let Pricing { unknown_model } = pricing;
        Self {
            unknown_model: match unknown_model {
                UnknownModel::DenyIfBudgeted => UnknownModelShape::Word("deny_if_budgeted"),
                UnknownModel::Deny => UnknownModelShape::Word("deny"),
                UnknownModel::Price(price) => UnknownModelShape::Price(price.into()),
            },
        }
    }
}

/// The word for an api in a document.
pub(in crate::command::get) const fn api(api: Api) -> &'static str {
    match api {
        Api::OpenAi => "openai",
        Api::Anthropic => "anthropic",
        Api::Gemini => "gemini",
        Api::Azure => "azure",
        Api::Simulated => "simulated",
    }
}
