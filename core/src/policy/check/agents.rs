//! Checks of agents.

use std::collections::BTreeMap;

use super::{Place, Problems};
use crate::id::{AgentName, ModelName};
use crate::limits::{AGENT_KEYS, AGENT_MODELS};
use crate::policy::{KeyHash, Policy, ResourceKey, code};

impl Policy {
    pub(super) fn check_agents(&self, problems: &mut Problems) {
        let mut owners: BTreeMap<KeyHash, &AgentName> = BTreeMap::new();
        for (name, agent) in &self.agents {
            let key = ResourceKey::Agent(name.clone());
            for (field, count, most) in [
                ("keys", agent.keys.len(), AGENT_KEYS),
                ("models", agent.models.len(), AGENT_MODELS),
            ] {
                if count > most {
                    let message =
                        format!("`{field}` has {count} entries; at most {most} are taken");
                    problems.add(&Place::new(&key, field), code::TOO_LONG, message);
                }
            }
            for (index, hash) in agent.keys.iter().enumerate() {
                let Some(owner) = owners.insert(*hash, name) else {
                    continue;
                };
                let place = Place::new(&key, format_args!("keys[{index}]"));
                let message = if owner == name {
                    "this key is there twice".to_owned()
                } else {
                    format!("this key also belongs to the agent `{owner}`")
                };
                let help = "a key must tell who calls: give each agent its own";
                problems.add_with(&place, code::SHARED_KEY, message, help);
            }
            for (index, pattern) in agent.models.iter().enumerate() {
                // Only a pattern without `*` is a name, and only a name can be unknown.
                if let Ok(model) = ModelName::new(pattern.as_str()) {
                    let place = Place::new(&key, format_args!("models[{index}]"));
                    self.check_route(&model, &place, problems);
                }
            }
        }
    }
}
