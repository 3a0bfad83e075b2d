//! The members of a request's body that must be unmistakable.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::dialect::InvalidRequest;

/// A member that must not stand there twice, nor under a spelling that only some parsers take for
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guarded {
    Model,
    Stream,
    StreamOptions,
    N,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    Thread,
}

/// The guarded members of a body, as they stand there.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    values: [Option<&'a RawValue>; Guarded::ALL.len()],
    mistakable: Option<Guarded>,
}

/// A key of the body.
enum Key {
    Guarded(Guarded),
    Mistakable(Guarded),
    Other,
}

impl Guarded {
    pub(super) const ALL: [Self; 8] = [
        Self::Model,
        Self::Stream,
        Self::StreamOptions,
        Self::N,
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::MaxOutputTokens,
        Self::Thread,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::StreamOptions => "stream_options",
            Self::N => "n",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::Thread => "thread",
        }
    }

    pub(super) fn wrong(self, message: String) -> InvalidRequest {
        InvalidRequest {
            message,
            param: Some(self.name()),
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Model => 0,
            Self::Stream => 1,
            Self::StreamOptions => 2,
            Self::N => 3,
            Self::MaxTokens => 4,
            Self::MaxCompletionTokens => 5,
            Self::MaxOutputTokens => 6,
            Self::Thread => 7,
        }
    }
}

impl<'a> Members<'a> {
    /// Reads a body, which must be one JSON object.
    pub(super) fn read(body: &'a str) -> Result<Self, InvalidRequest> {
        if !body.trim_ascii_start().starts_with('{') {
            return Err(InvalidRequest::body("the body must be a JSON object"));
        }
        let members: Self = serde_json::from_str(body).map_err(|invalid| {
            InvalidRequest::body(format!("the body is not valid JSON: {invalid}"))
        })?;
        match members.mistakable {
            None => Ok(members),
            Some(member) => {
                let name = member.name();
                Err(member.wrong(format!(
                    "`{name}` stands there twice, or in two spellings; it must be unmistakable"
                )))
            }
        }
    }

    pub(super) fn get(&self, member: Guarded) -> Option<&'a RawValue> {
        self.values.get(member.place()).copied().flatten()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Body;

        impl<'de> Visitor<'de> for Body {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Guarded(member) => {
                            let value = map.next_value()?;
                            let place = members.values.get_mut(member.place());
                            if place.is_some_and(|place| place.replace(value).is_some()) {
                                members.mistakable = Some(member);
                            }
                        }
                        Key::Mistakable(member) => {
                            let IgnoredAny = map.next_value()?;
                            members.mistakable = Some(member);
                        }
                        Key::Other => {
                            let IgnoredAny = map.next_value()?;
                        }
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Body)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(Key::of(key))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

impl Key {
    fn of(key: &str) -> Self {
        let found = match key {
            "model" => Guarded::Model,
            "stream" => Guarded::Stream,
            "stream_options" => Guarded::StreamOptions,
            "n" => Guarded::N,
            "max_tokens" => Guarded::MaxTokens,
            "max_completion_tokens" => Guarded::MaxCompletionTokens,
            "max_output_tokens" => Guarded::MaxOutputTokens,
            "thread" => Guarded::Thread,
            // Usual keys are of small letters, and none of them folds to another.
            _ if key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_') =>
            {
                return Self::Other;
            }
            _ => {
                return Guarded::ALL
                    .into_iter()
                    .find(|member| folds_to(key, member.name()))
                    .map_or(Self::Other, Self::Mistakable);
            }
        };
        Self::Guarded(found)
    }
}

/// Whether a parser that ignores case may take `key` for `name`: letters of either case, the long s
/// and the Kelvin sign.
fn folds_to(key: &str, name: &str) -> bool {
    let folded = key.chars().map(|letter| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(name.chars())
}

/// Takes a member as it stands there, `null` too.
pub(in crate::dialect) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}
