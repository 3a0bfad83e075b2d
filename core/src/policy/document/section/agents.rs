//! `agents` and `identity`.

use std::collections::BTreeMap;

use super::{named, sound};
use crate::id::AgentName;
use crate::policy::document::Reader;
use crate::policy::document::field::{self, Field};
use crate::policy::{Agent, Identity, KeyHash, ModelPattern, code};

pub(super) fn agents(
    parts: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
) -> BTreeMap<AgentName, Agent> {
    let fields = field::entries(parts, reader);
    named(&fields, reader, |field, reader| sound(field, reader, agent))
}

fn agent(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Agent> {
    let [keys, models, group] = field.record(reader, ["keys", "models", "group"])?;
    let mut agent = Agent::default();
    if let Some(field) = keys {
        let Some(items) = field.items(reader) else {
            reader.report.conceal(field.node);
            return None;
        };
        agent.keys = items.iter().filter_map(|item| key(item, reader)).collect();
    }
    if let Some(field) = models {
        let items = field.items(reader)?;
        agent.models = items
            .iter()
            .filter_map(|item| pattern(item, reader))
            .collect();
    }
    agent.group = group.and_then(|field| field.name(reader));
    Some(agent)
}

fn key(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<KeyHash> {
    let hash = field.text(reader).and_then(KeyHash::parse);
    if hash.is_none() {
        // It may be the key itself.
        reader.report.conceal_span(field.node.defined().span);
        let message = "not the hash of a key".to_owned();
        let help = "write `sha256:` and the 64 hexadecimal digits that \
                    `printf %s \"$KEY\" | sha256sum` prints";
        field.error_with(reader, code::BAD_KEY_HASH, message, help);
    }
    hash
}

fn pattern(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<ModelPattern> {
    let pattern = ModelPattern::new(field.text(reader)?);
    if pattern.is_none() {
        let message = "not a model name, nor one with `*` for any text".to_owned();
        field.error(reader, code::BAD_NAME, message);
    }
    pattern
}

pub(super) fn identity(parts: &[Field<'_, '_>], reader: &mut Reader<'_>) -> Identity {
    let keys = ["require_key", "default_agent"];
    let [require_key, default_agent] = field::record(parts, reader, keys);
    let default = Identity::default();
    Identity {
        require_key: require_key
            .and_then(|field| field.flag(reader))
            .unwrap_or(default.require_key),
        default_agent: default_agent
            .and_then(|field| field.name(reader))
            .unwrap_or(default.default_agent),
    }
}
