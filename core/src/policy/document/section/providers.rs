//! `providers`, `models` and `pricing`.

use std::collections::BTreeMap;

use super::{named, simulation, sound};
use crate::id::{ModelName, ProviderName};
use crate::limits::{MODEL_NAME_BYTES, PROVIDER_HEADERS};
use crate::policy::document::Reader;
use crate::policy::document::field::{self, Field, Whole};
use crate::policy::document::suggest::nearest;
use crate::policy::route::{built_in, built_in_names, by_name};
use crate::policy::{Api, Model, Price, Pricing, Provider, Secret, UnknownModel, code};
use crate::units::{PicoUsdPerToken, Tokens};

const APIS: [(&str, Api); 5] = [
    ("openai", Api::OpenAi),
    ("anthropic", Api::Anthropic),
    ("gemini", Api::Gemini),
    ("azure", Api::Azure),
    ("simulated", Api::Simulated),
];
/// Protocols of providers that this version reaches otherwise or not at all.
const PLANNED_APIS: [&str; 1] = ["bedrock"];
const TOKENS: Whole = Whole {
    least: 1,
    most: 1_000_000_000,
};

pub(super) fn providers(
    parts: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
) -> BTreeMap<ProviderName, Provider> {
    let fields = field::entries(parts, reader);
    named(&fields, reader, |field, reader| {
        // What refers to a provider with an error in it is not wrong for that.
        sound(field, reader, provider).or(Some(Provider {
            api: Api::Simulated,
            base_url: None,
            api_key: None,
            headers: BTreeMap::new(),
            simulate: None,
        }))
    })
}

/// Reads a provider. What an entry with the name of a built-in provider leaves out is taken from
/// that one, unless it speaks another protocol.
fn provider(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Provider> {
    let keys = ["api", "base_url", "api_key", "headers", "simulate"];
    let [api, base_url, api_key, headers, simulate] = field.record(reader, keys)?;
    let base_url = base_url.and_then(|field| field.address(reader));
    let api_key = api_key.and_then(|field| field.secret(reader));
    let headers = headers.map_or_else(BTreeMap::new, |field| read_headers(&field, reader));
    let simulate = simulate.and_then(|field| simulation::read(&field, reader));
    let name = field.path.name();
    let built_in = built_in(name);
    let api = match (api, &built_in) {
        (Some(field), _) => read_api(&field, reader)?,
        (None, Some(built_in)) => built_in.api,
        (None, None) => {
            let help = nearest(name, built_in_names()).map_or_else(
                || "write `api: openai`, `api: anthropic` or `api: simulated`".to_owned(),
                |near| format!("did you mean the built-in provider `{near}`?"),
            );
            field.missing(reader, "api", &help);
            return None;
        }
    };
    let rest = built_in.filter(|built_in| built_in.api == api);
    let (rest_url, rest_key) = rest.map_or((None, None), |rest| (rest.base_url, rest.api_key));
    Some(Provider {
        api,
        base_url: base_url.or(rest_url),
        api_key: api_key.or(rest_key),
        headers,
        simulate,
    })
}

fn read_api(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Api> {
    let word = field.text(reader)?;
    if PLANNED_APIS.contains(&word) {
        let message = format!("this version does not speak `{word}`");
        let help = "`api: openai` with a `base_url` reaches every endpoint compatible with \
                    OpenAI's, and most providers have one";
        field.error_with(reader, code::API_NOT_THERE, message, help);
        return None;
    }
    field.choice(reader, &APIS)
}

fn read_headers(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> BTreeMap<String, Secret> {
    let parts = [*field];
    let fields = field::entries(&parts, reader);
    if fields.len() > PROVIDER_HEADERS {
        let found = format!("{} entries", fields.len());
        field.too_long(reader, &found, PROVIDER_HEADERS);
    }
    fields
        .iter()
        .filter_map(|field| Some((field.path.name().to_owned(), field.secret(reader)?)))
        .collect()
}

pub(super) fn models(
    parts: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
) -> BTreeMap<ModelName, Model> {
    let fields = field::entries(parts, reader);
    let somewhere = ProviderName::new("openai").ok();
    named(&fields, reader, |field, reader| {
        // What refers to a model with an error in it is not wrong for that.
        sound(field, reader, model).or(Some(Model {
            provider: somewhere.clone()?,
            upstream_model: None,
            price: None,
            context_window: None,
            max_output_tokens: None,
            simulate: None,
        }))
    })
}

fn model(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Model> {
    let keys = [
        "provider",
        "upstream_model",
        "price",
        "context_window",
        "max_output_tokens",
        "simulate",
    ];
    let [
        provider,
        upstream_model,
        price,
        context_window,
        max_output_tokens,
        simulate,
    ] = field.record(reader, keys)?;
    let upstream_model = upstream_model
        .and_then(|field| field.bounded_text(reader, MODEL_NAME_BYTES))
        .map(ToOwned::to_owned);
    let price = price.and_then(|field| read_price(&field, reader));
    let mut tokens = |field: Option<Field<'_, '_>>| {
        field
            .and_then(|field| field.whole(reader, TOKENS))
            .map(Tokens::new)
    };
    let context_window = tokens(context_window);
    let max_output_tokens = tokens(max_output_tokens);
    let simulate = simulate.and_then(|field| simulation::read(&field, reader));
    let provider = match provider {
        Some(field) => field.name(reader)?,
        None => family_provider(field, reader)?,
    };
    Some(Model {
        provider,
        upstream_model,
        price,
        context_window,
        max_output_tokens,
        simulate,
    })
}

/// The provider that a model's name tells.
fn family_provider(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<ProviderName> {
    let provider = by_name(field.path.name());
    if provider.is_none() {
        let help = "the name tells none, so write `provider: NAME`";
        field.missing(reader, "provider", help);
    }
    provider
}

fn read_price(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Price> {
    let keys = [
        "input",
        "cached_input",
        "cache_write",
        "cache_write_1h",
        "output",
        "reasoning",
    ];
    let fields = field.record(reader, keys)?;
    for (key, value) in keys.iter().zip(&fields) {
        if matches!(*key, "input" | "output") && value.is_none() {
            let help = "a price is `{ input: 2.5, output: 10 }`, in dollars per million tokens";
            field.missing(reader, key, help);
        }
    }
    let [
        input,
        cached_input,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
    ] = fields.map(|field| {
        let field = field?;
        let price = field.decimal(reader)?;
        field.number(reader, PicoUsdPerToken::from_usd_per_million(price))
    });
    Some(Price {
        input: input?,
        cached_input,
        cache_write,
        cache_write_1h,
        output: output?,
        reasoning,
    })
}

pub(super) fn pricing(parts: &[Field<'_, '_>], reader: &mut Reader<'_>) -> Pricing {
    let [unknown_model] = field::record(parts, reader, ["unknown_model"]);
    let rules = [
        ("deny_if_budgeted", UnknownModel::DenyIfBudgeted),
        ("deny", UnknownModel::Deny),
    ];
    let unknown_model = unknown_model.and_then(|field| {
        if field.is_map() {
            return read_price(&field, reader).map(UnknownModel::Price);
        }
        let word = field.text(reader)?;
        let rule = rules.iter().find(|(rule, _)| *rule == word);
        if rule.is_none() {
            let words = [
                "deny_if_budgeted",
                "deny",
                "a price `{ input: 2.5, output: 10 }`",
            ];
            field.bad_choice(reader, word, &words);
        }
        rule.map(|(_, rule)| *rule)
    });
    Pricing {
        unknown_model: unknown_model.unwrap_or_default(),
    }
}
