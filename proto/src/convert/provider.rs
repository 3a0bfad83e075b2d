//! Providers, models, prices, simulations.

use std::time::Duration;

use agix_core::id::{ModelName, ProviderName};
use agix_core::limits::SIMULATED_OUTCOMES;
use agix_core::policy::{
    Api, Model, Price, Pricing, Provider, Reference, Secret, SimulatedOutcome, Simulation,
    UnknownModel,
};
use agix_core::units::{PicoUsdPerToken, Tokens};

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{checked, entries, enum_value, enumeration, name, required, to_millis};
use crate::convert::field::Enumeration as _;
use crate::v1;

enumeration!(
    Api, v1::Api: OpenAi = Openai, Anthropic = Anthropic, Simulated = Simulated,
    Gemini = Gemini, Azure = Azure
);

impl From<(&ProviderName, &Provider)> for v1::ProviderEntry {
    fn from((name, provider): (&ProviderName, &Provider)) -> Self {
        let Provider {
            api,
            base_url,
            api_key,
            headers,
            simulate,
        } = provider;
        Self {
            name: name.as_str().to_owned(),
            api: api.number(),
            base_url: base_url.as_ref().map(v1::Reference::from),
            api_key: api_key.as_ref().map(v1::Reference::from),
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), v1::Reference::from(value)))
                .collect(),
            simulate: simulate.as_ref().map(v1::Simulation::from),
        }
    }
}

impl TryFrom<v1::ProviderEntry> for (ProviderName, Provider) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ProviderEntry) -> Result<Self, InvalidMessage> {
        let v1::ProviderEntry {
            name: text,
            api,
            base_url,
            api_key,
            headers,
            simulate,
        } = wire;
        let provider = Provider {
            api: enum_value(api, "api")?,
            base_url: base_url
                .map(Reference::try_from)
                .transpose()
                .at("base_url")?,
            api_key: api_key.map(Secret::try_from).transpose().at("api_key")?,
            headers: headers
                .into_iter()
                .map(|(name, value)| {
                    let value = Secret::try_from(value).at_entry("headers", &name)?;
                    Ok((name, value))
                })
                .collect::<Result<_, InvalidMessage>>()?,
            simulate: simulate
                .map(Simulation::try_from)
                .transpose()
                .at("simulate")?,
        };
        Ok((name(&text, "name")?, provider))
    }
}

impl From<(&ModelName, &Model)> for v1::ModelEntry {
    fn from((name, model): (&ModelName, &Model)) -> Self {
        let Model {
            provider,
            upstream_model,
            price,
            context_window,
            max_output_tokens,
            simulate,
        } = model;
        Self {
            name: name.as_str().to_owned(),
            provider: provider.as_str().to_owned(),
            upstream_model: upstream_model.clone(),
            price: price.map(v1::Price::from),
            context_window_tokens: context_window.map(Tokens::get),
            max_output_tokens: max_output_tokens.map(Tokens::get),
            simulate: simulate.as_ref().map(v1::Simulation::from),
        }
    }
}

impl TryFrom<v1::ModelEntry> for (ModelName, Model) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ModelEntry) -> Result<Self, InvalidMessage> {
        let v1::ModelEntry {
            name: text,
            provider,
            upstream_model,
            price,
            context_window_tokens,
            max_output_tokens,
            simulate,
        } = wire;
        let model = Model {
            provider: name(&provider, "provider")?,
            upstream_model: checked(
                upstream_model,
                |text| (!text.is_empty()).then_some(text),
                "a name; leave it out if it is the model's own",
                "upstream_model",
            )?,
            price: price.map(Price::from),
            context_window: context_window_tokens.map(Tokens::new),
            max_output_tokens: max_output_tokens.map(Tokens::new),
            simulate: simulate
                .map(Simulation::try_from)
                .transpose()
                .at("simulate")?,
        };
        Ok((name(&text, "name")?, model))
    }
}

impl From<Price> for v1::Price {
    fn from(price: Price) -> Self {
        let Price {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
        } = price;
        Self {
            input: input.as_picos(),
            cached_input: cached_input.map(PicoUsdPerToken::as_picos),
            cache_write: cache_write.map(PicoUsdPerToken::as_picos),
            cache_write_1h: cache_write_1h.map(PicoUsdPerToken::as_picos),
            output: output.as_picos(),
            reasoning: reasoning.map(PicoUsdPerToken::as_picos),
        }
    }
}

impl From<v1::Price> for Price {
    fn from(wire: v1::Price) -> Self {
        let v1::Price {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
        } = wire;
        Self {
            input: PicoUsdPerToken::from_picos(input),
            cached_input: cached_input.map(PicoUsdPerToken::from_picos),
            cache_write: cache_write.map(PicoUsdPerToken::from_picos),
            cache_write_1h: cache_write_1h.map(PicoUsdPerToken::from_picos),
            output: PicoUsdPerToken::from_picos(output),
            reasoning: reasoning.map(PicoUsdPerToken::from_picos),
        }
    }
}

impl From<Pricing> for v1::Pricing {
    fn from(pricing: Pricing) -> Self {
        use v1::pricing::UnknownModel as Wire;
        let Pricing { unknown_model } = pricing;
        let unknown_model = match unknown_model {
            UnknownModel::DenyIfBudgeted => Wire::DenyIfBudgeted(v1::Empty {}),
            UnknownModel::Deny => Wire::Deny(v1::Empty {}),
            UnknownModel::Price(price) => Wire::Price(price.into()),
        };
        Self {
            unknown_model: Some(unknown_model),
        }
    }
}

impl TryFrom<v1::Pricing> for Pricing {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Pricing) -> Result<Self, InvalidMessage> {
        use v1::pricing::UnknownModel as Wire;
        let v1::Pricing { unknown_model } = wire;
        let unknown_model = match required(unknown_model).at("unknown_model")? {
            Wire::DenyIfBudgeted(v1::Empty {}) => UnknownModel::DenyIfBudgeted,
            Wire::Deny(v1::Empty {}) => UnknownModel::Deny,
            Wire::Price(price) => UnknownModel::Price(price.into()),
        };
        Ok(Self { unknown_model })
    }
}

impl From<&Simulation> for v1::Simulation {
    fn from(simulation: &Simulation) -> Self {
        let Simulation {
            first_token,
            per_token,
            output_tokens,
            outcomes,
        } = simulation;
        Self {
            first_token_ms: to_millis(*first_token),
            per_token_ms: to_millis(*per_token),
            output_tokens: *output_tokens,
            outcomes: outcomes
                .iter()
                .copied()
                .map(v1::SimulatedOutcome::from)
                .collect(),
        }
    }
}

impl TryFrom<v1::Simulation> for Simulation {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Simulation) -> Result<Self, InvalidMessage> {
        let v1::Simulation {
            first_token_ms,
            per_token_ms,
            output_tokens,
            outcomes,
        } = wire;
        entries(&outcomes, 1, SIMULATED_OUTCOMES, "outcomes")?;
        Ok(Self {
            first_token: Duration::from_millis(first_token_ms),
            per_token: Duration::from_millis(per_token_ms),
            output_tokens,
            outcomes: outcomes
                .into_iter()
                .enumerate()
                .map(|(index, wire)| SimulatedOutcome::try_from(wire).at_entry("outcomes", index))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<SimulatedOutcome> for v1::SimulatedOutcome {
    fn from(outcome: SimulatedOutcome) -> Self {
        use v1::simulated_outcome::Outcome;
        let outcome = match outcome {
            SimulatedOutcome::Answer => Outcome::Answer(v1::Empty {}),
            SimulatedOutcome::Status(status) => Outcome::Status(status.into()),
            SimulatedOutcome::Reset => Outcome::Reset(v1::Empty {}),
            SimulatedOutcome::Stall => Outcome::Stall(v1::Empty {}),
            SimulatedOutcome::Truncate => Outcome::Truncate(v1::Empty {}),
        };
        Self {
            outcome: Some(outcome),
        }
    }
}

impl TryFrom<v1::SimulatedOutcome> for SimulatedOutcome {
    type Error = InvalidMessage;

    fn try_from(wire: v1::SimulatedOutcome) -> Result<Self, InvalidMessage> {
        use v1::simulated_outcome::Outcome;
        let v1::SimulatedOutcome { outcome } = wire;
        Ok(match required(outcome).at("outcome")? {
            Outcome::Answer(v1::Empty {}) => Self::Answer,
            Outcome::Status(status) => match u16::try_from(status) {
                Ok(status @ 400..=599) => Self::Status(status),
                _ => return Err(InvalidField::Range("a status from 400 to 599")).at("status"),
            },
            Outcome::Reset(v1::Empty {}) => Self::Reset,
            Outcome::Stall(v1::Empty {}) => Self::Stall,
            Outcome::Truncate(v1::Empty {}) => Self::Truncate,
        })
    }
}
