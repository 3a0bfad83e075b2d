//! The price a policy puts on a model.

use crate::id::ModelName;
use crate::policy::{Api, Policy, UnknownModel};
use crate::price::{Catalogue, Tariff};
use crate::time::Wall;
use crate::usage::PriceSource;

/// What a model costs under a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quote {
    /// This much.
    Priced {
        /// The prices.
        tariff: Tariff,
        /// Who says so.
        source: PriceSource,
    },
    /// Nobody knows. An agent with a budget may not use it; for others the cost is marked unknown.
    Unknown,
    /// Nobody knows, and the policy lets nobody use it.
    Denied,
}

impl Quote {
    const fn priced(tariff: Tariff, source: PriceSource) -> Self {
        Self::Priced { tariff, source }
    }

    /// Whether an agent may use the model, as far as its price goes.
    pub const fn allows(&self, agent_has_budget: bool) -> bool {
        match self {
            Self::Priced { .. } => true,
            Self::Unknown => !agent_has_budget,
            Self::Denied => false,
        }
    }
}

/// The price of `model`: `models.*.price`, else the catalogue's for its name at the provider or for
/// the name asked, else `pricing.unknown_model`. A simulated model is free.
pub fn price_of(policy: &Policy, model: &ModelName, catalogue: &Catalogue, at: Wall) -> Quote {
    let route = policy.route(model).ok();
    let simulated = route
        .as_ref()
        .and_then(|route| policy.providers.get(&route.provider))
        .is_some_and(|provider| provider.api == Api::Simulated);
    if simulated {
        return Quote::priced(Tariff::free(), PriceSource::Simulated);
    }
    if let Some(price) = policy.models.get(model).and_then(|entry| entry.price) {
        return Quote::priced(Tariff::flat(price), PriceSource::Policy);
    }
    let listed = route.and_then(|route| {
        let provider = route.provider.as_str();
        catalogue
            .tariff(provider, &route.upstream_model, at)
            .or_else(|| {
                (route.upstream_model != model.as_str())
                    .then(|| catalogue.tariff(provider, model.as_str(), at))?
            })
    });
    match (listed, policy.pricing.unknown_model) {
        (Some(tariff), _) => Quote::priced(tariff, PriceSource::Catalogue),
        (None, UnknownModel::Price(price)) => {
            Quote::priced(Tariff::flat(price), PriceSource::UnknownModelRule)
        }
        (None, UnknownModel::DenyIfBudgeted) => Quote::Unknown,
        (None, UnknownModel::Deny) => Quote::Denied,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::id::ProviderName;
    use crate::policy::{Model, Price, Provider, Reference};
    use crate::units::PicoUsdPerToken;

    const NOON: Wall = Wall::from_millis(1_795_435_200_000);

    const SPECIAL: Price = Price {
        input: PicoUsdPerToken::from_picos(1),
        cached_input: None,
        cache_write: None,
        cache_write_1h: None,
        output: PicoUsdPerToken::from_picos(2),
        reasoning: None,
    };

    fn name(text: &str) -> ModelName {
        ModelName::new(text).unwrap()
    }

    fn quote(policy: &Policy, model: &str) -> Quote {
        price_of(policy, &name(model), &Catalogue::bundled(), NOON)
    }

    fn model(provider: &str, upstream: Option<&str>, price: Option<Price>) -> Model {
        Model {
            provider: ProviderName::new(provider).unwrap(),
            upstream_model: upstream.map(ToOwned::to_owned),
            price,
            context_window: None,
            max_output_tokens: None,
            simulate: None,
        }
    }

    fn provider(api: Api) -> Provider {
        Provider {
            api,
            base_url: Some(Reference::literal("http://127.0.0.1:1")),
            api_key: None,
            headers: BTreeMap::new(),
            simulate: None,
        }
    }

    #[test]
    fn the_policy_goes_before_the_catalogue() {
        let mut policy = Policy::default();
        let listed = quote(&policy, "gpt-4o");
        assert!(matches!(
            &listed,
            Quote::Priced { source: PriceSource::Catalogue, tariff }
                if tariff.base.input.as_picos() == 2_500_000
        ));
        policy
            .models
            .insert(name("gpt-4o"), model("openai", None, Some(SPECIAL)));
        assert_eq!(
            quote(&policy, "gpt-4o"),
            Quote::priced(Tariff::flat(SPECIAL), PriceSource::Policy)
        );
        assert_eq!(quote(&policy, "openai/gpt-4o"), listed);
    }

    #[test]
    fn a_model_is_priced_by_its_name_at_the_provider_and_else_by_the_name_asked() {
        let mut policy = Policy::default();
        policy
            .models
            .insert(name("fast"), model("openai", Some("gpt-4o-mini"), None));
        policy
            .models
            .insert(name("gpt-4o"), model("openai", Some("prod-4o"), None));
        assert_eq!(quote(&policy, "fast"), quote(&policy, "gpt-4o-mini"));
        assert_eq!(quote(&policy, "gpt-4o"), quote(&policy, "openai/gpt-4o"));
    }

    #[test]
    fn an_unpriced_model_is_never_silently_free() {
        let mut policy = Policy::default();
        let unpriced = "ollama/llama3";
        let unknown = quote(&policy, unpriced);
        assert_eq!(unknown, Quote::Unknown);
        assert!(!unknown.allows(true));
        assert!(unknown.allows(false));

        policy.pricing.unknown_model = UnknownModel::Deny;
        let denied = quote(&policy, unpriced);
        assert_eq!(denied, Quote::Denied);
        assert!(!denied.allows(false));
        assert_eq!(quote(&policy, "no-provider-at-all"), Quote::Denied);

        policy.pricing.unknown_model = UnknownModel::Price(SPECIAL);
        assert_eq!(
            quote(&policy, unpriced),
            Quote::priced(Tariff::flat(SPECIAL), PriceSource::UnknownModelRule)
        );
        assert!(quote(&policy, unpriced).allows(true));
    }

    #[test]
    fn a_simulated_model_costs_nothing_whatever_its_name() {
        let mut policy = Policy::default();
        let simulated = ProviderName::new("openai").unwrap();
        policy.providers.insert(simulated, provider(Api::Simulated));
        assert_eq!(
            quote(&policy, "gpt-4o"),
            Quote::priced(Tariff::free(), PriceSource::Simulated)
        );
    }
}
