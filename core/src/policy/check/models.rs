//! Checks of models and chains.

use std::collections::BTreeSet;

use super::providers::check_simulation;
use super::{Place, Problems};
use crate::id::ModelName;
use crate::limits::CHAIN_TARGETS;
use crate::policy::{Api, Chain, Policy, ResourceKey, code};

impl Policy {
    pub(super) fn check_models(&self, problems: &mut Problems) {
        for (name, model) in &self.models {
            let key = ResourceKey::Model(name.clone());
            let place = |field| Place::new(&key, field);
            let provider = model.provider.as_str();
            if !self.has_provider(provider) {
                let near = problems.has_room().then(|| self.similar_provider(provider));
                let help = match near.flatten() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("give it an entry in `providers`: `{provider}: {{ ... }}`"),
                };
                let message = format!("there is no provider `{provider}`");
                problems.add_with(&place("provider"), code::UNKNOWN_PROVIDER, message, help);
            }
            if model.upstream_model.as_deref() == Some("") {
                let message = "`upstream_model` is empty";
                problems.add(&place("upstream_model"), code::MISSING, message);
            }
            if let Some(script) = &model.simulate {
                let own = self.providers.get(&model.provider);
                if own.is_none_or(|provider| provider.api != Api::Simulated) {
                    let message =
                        "only a model of a provider with `api: simulated` follows a script";
                    problems.add(&place("simulate"), code::BAD_SIMULATION, message);
                }
                check_simulation(script, &key, problems);
            }
        }
    }

    pub(super) fn check_chains(&self, problems: &mut Problems) {
        for (head, chain) in &self.chains {
            let key = ResourceKey::Chain(head.clone());
            self.check_route(head, &Place::new(&key, ""), problems);
            check_length(chain, &key, problems);
            let mut seen = BTreeSet::new();
            for (index, target) in chain.targets.iter().enumerate() {
                let place = Place::new(&key, format_args!("[{index}]"));
                if target == head {
                    let message = format!("the chain of `{head}` leads back to `{head}`");
                    let help = "a chain names what is tried instead of its model";
                    problems.add_with(&place, code::BAD_CHAIN, message, help);
                } else if !seen.insert(target) {
                    let message = format!("`{target}` is in this chain twice");
                    let help = "for further tries of one model there is `same_model_retries`";
                    problems.add_with(&place, code::BAD_CHAIN, message, help);
                } else {
                    self.check_route(target, &place, problems);
                }
            }
        }
    }
}

fn check_length(chain: &Chain, key: &ResourceKey, problems: &mut Problems) {
    let place = Place::new(key, "");
    let targets: &[ModelName] = &chain.targets;
    if targets.is_empty() {
        let help = "name at least one model to fall back to, or leave the chain out";
        problems.add_with(&place, code::BAD_CHAIN, "the chain is empty", help);
    }
    if targets.len() > CHAIN_TARGETS {
        let message = format!(
            "the chain has {} targets; at most {CHAIN_TARGETS} are taken",
            targets.len()
        );
        problems.add(&place, code::BAD_CHAIN, message);
    }
}
