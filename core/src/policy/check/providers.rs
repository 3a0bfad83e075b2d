//! Checks of providers and of simulated scripts.

use std::collections::BTreeSet;

use super::address;
use super::{Place, Problems};
use crate::id::ProviderName;
use crate::limits::{LONGEST_SETTING, PROPOSED_NAMES, PROVIDER_HEADERS, SIMULATED_OUTCOMES};
use crate::policy::document::suggest::nearest;
use crate::policy::duration::written;
use crate::policy::route::built_in_names;
use crate::policy::{
    Api, Policy, Provider, Reference, ReferencePart, ResourceKey, Secret, SimulatedOutcome,
    Simulation, code,
};

/// Headers that belong to the connection or to the proxy itself.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Policy {
    pub(super) fn check_providers(&self, problems: &mut Problems) {
        for (name, provider) in &self.providers {
            let key = ResourceKey::Provider(name.clone());
            let place = |field| Place::new(&key, field);
            if provider.api != Api::Simulated {
                check_base_url(provider.base_url.as_ref(), &key, problems);
                if provider.simulate.is_some() {
                    let message = "only a provider with `api: simulated` follows a script";
                    problems.add(&place("simulate"), code::BAD_SIMULATION, message);
                }
            }
            if let Some(secret) = &provider.api_key {
                check_header_value(secret, &place("api_key"), problems);
            }
            if let Some(script) = &provider.simulate {
                check_simulation(script, &key, problems);
            }
            check_headers(provider, &key, problems);
        }
    }

    /// A provider whose name resembles `name`.
    pub(super) fn similar_provider(&self, name: &str) -> Option<&str> {
        let own = self.providers.keys().take(PROPOSED_NAMES);
        let own = own.map(ProviderName::as_str);
        nearest(
            name,
            built_in_names().map(|name| -> &str { name }).chain(own),
        )
    }
}

fn check_base_url(base_url: Option<&Reference>, key: &ResourceKey, problems: &mut Problems) {
    let place = Place::new(key, "base_url");
    match base_url.map(address::fault) {
        None => {
            let help = "write the address up to the endpoint's path, as in `https://host/v1`";
            problems.add_with(&place, code::MISSING, "`base_url` is missing", help);
        }
        Some(Some(fault)) => {
            problems.add(&place, code::BAD_ADDRESS, format!("`base_url` {fault}"));
        }
        Some(None) => {}
    }
}

fn check_headers(provider: &Provider, key: &ResourceKey, problems: &mut Problems) {
    if provider.headers.len() > PROVIDER_HEADERS {
        let message = format!("at most {PROVIDER_HEADERS} headers are taken");
        problems.add(&Place::new(key, "headers"), code::TOO_LONG, message);
    }
    let mut seen = BTreeSet::new();
    for (name, value) in &provider.headers {
        let place = Place::new(key, format_args!("headers.{name}"));
        let lower = name.to_ascii_lowercase();
        let fault = if name.parse::<http::HeaderName>().is_err() {
            Some("is not the name of a header")
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            Some("is set by the proxy itself")
        } else if seen.contains(&lower) {
            Some("is there twice: capitals make no difference")
        } else {
            None
        };
        seen.insert(lower);
        if let Some(fault) = fault {
            problems.add(&place, code::BAD_HEADER, format!("`{name}` {fault}"));
        }
        check_header_value(value, &place, problems);
    }
}

/// What is sent in a header must be one line.
fn check_header_value(secret: &Secret, place: &Place<'_>, problems: &mut Problems) {
    let Reference::Text(parts) = secret.expose() else {
        return;
    };
    let is_literal_fault = |part: &ReferencePart| {
        let text = match part {
            ReferencePart::Literal(text) => text,
            ReferencePart::Variable { default, .. } => match default {
                Some(default) => default,
                None => return false,
            },
        };
        text.chars().any(|c| c.is_control() && c != '\t')
    };
    if parts.iter().any(is_literal_fault) {
        let message = "what is sent in a header must be one line without control characters";
        let help = "a block of text ends with a line end unless it begins with `|-`";
        problems.add_with(place, code::BAD_HEADER, message, help);
    }
}

pub(super) fn check_simulation(script: &Simulation, key: &ResourceKey, problems: &mut Problems) {
    let place = |field| Place::new(key, format_args!("simulate.{field}"));
    let times = [
        ("first_token", script.first_token),
        ("per_token", script.per_token),
    ];
    for (field, time) in times {
        if time > LONGEST_SETTING {
            let message = format!("`{field}` must be at most {}", written(&LONGEST_SETTING));
            problems.add(&place(field), code::BAD_DURATION, message);
        }
    }
    if script.output_tokens == 0 {
        let message = "`output_tokens` must be greater than zero";
        problems.add(&place("output_tokens"), code::BAD_NUMBER, message);
    }
    if script.outcomes.is_empty() {
        let help = "leave the key out for a provider that always answers";
        let message = "`outcomes` names no outcome";
        problems.add_with(&place("outcomes"), code::BAD_SIMULATION, message, help);
    }
    if script.outcomes.len() > SIMULATED_OUTCOMES {
        let message = format!("at most {SIMULATED_OUTCOMES} outcomes are taken");
        problems.add(&place("outcomes"), code::TOO_LONG, message);
    }
    for (index, outcome) in script.outcomes.iter().enumerate() {
        if let SimulatedOutcome::Status(status) = outcome
            && !(400..=599).contains(status)
        {
            let place = Place::new(key, format_args!("simulate.outcomes[{index}]"));
            let message = "the status of a refusal lies between 400 and 599";
            problems.add(&place, code::BAD_NUMBER, message);
        }
    }
}
