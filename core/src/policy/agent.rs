//! Agents and how a caller is identified as one.

use std::fmt;
use std::sync::Arc;

use crate::id::{AgentName, GroupName, ModelName};

/// What is known of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agent {
    /// Hashes of the keys that identify it.
    pub keys: Vec<KeyHash>,
    /// Models it may use; empty: all.
    pub models: Vec<ModelPattern>,
    /// The group it belongs to.
    pub group: Option<GroupName>,
}

/// How a caller is identified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whether a caller without a known key is refused.
    pub require_key: bool,
    /// The agent of a caller that names none.
    pub default_agent: AgentName,
}

impl Agent {
    /// Whether the agent may use `model`.
    pub fn allows(&self, model: &ModelName) -> bool {
        self.models.is_empty()
            || self
                .models
                .iter()
                .any(|pattern| pattern.matches(model.as_str()))
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            require_key: false,
            default_agent: AgentName::default_agent(),
        }
    }
}

/// The SHA-256 of an agent's key: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Takes the 32 bytes of a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let text = std::str::from_utf8(pair).ok()?;
            if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(text, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A model name in which `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelPattern(Arc<str>);

impl ModelPattern {
    /// Takes a pattern of legal name characters and `*`.
    pub fn new(text: &str) -> Option<Self> {
        let legal = !text.is_empty()
            && text.len() <= crate::limits::MODEL_NAME_BYTES
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-:/@+*".contains(&b));
        legal.then(|| Self(Arc::from(text)))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` fits. Linear in the length of the name for each `*`.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else {
            return false;
        };
        let Some(tail) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, name, fits) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*mini", "gpt-4o-mini", true),
            ("gpt-*-mini", "gpt-4o-mini", true),
            ("gpt-*-mini", "gpt-mini", false),
            ("*", "anything", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(
                ModelPattern::new(pattern).unwrap().matches(name),
                fits,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_key_hash_prints_as_it_is_written() {
        let text = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(KeyHash::parse(&text).unwrap().to_string(), text);
        assert_eq!(KeyHash::parse("sha256:zz"), None);
        assert_eq!(KeyHash::parse(&text.to_uppercase()), None);
    }
}
