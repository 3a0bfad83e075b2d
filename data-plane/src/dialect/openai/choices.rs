//! The choices of an answer or of one event of it: looked through without keeping anything.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::dialect::Finish;
use crate::dialect::neutral::model_name;
use crate::dialect::request::present;
use crate::dialect::splice::{is_given, literal};

/// What a list of choices holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Choices {
    /// How many there are.
    pub(super) count: u32,
    /// Whether any of them has content or is at its end.
    pub(super) content: bool,
    /// Bytes of text in them.
    pub(super) bytes: u64,
    /// Pieces of text in them, each a token at least.
    pub(super) pieces: u64,
    /// Which there are, a bit for each index.
    pub(super) seen: u128,
    /// Which are at their end.
    pub(super) ended: u128,
    /// Why the first of them that is at its end ended.
    pub(super) finish: Option<Finish>,
    /// Whether any of them ended in an error, which some gateways say of a choice alone.
    pub(super) failed: bool,
}

#[derive(serde::Deserialize)]
struct Choice<'a> {
    #[serde(default, borrow)]
    index: Option<&'a RawValue>,
    #[serde(default, borrow)]
    delta: Option<Message<'a>>,
    #[serde(default, borrow)]
    message: Option<Message<'a>>,
    /// Of a completion of a text.
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    finish_reason: Option<&'a RawValue>,
}

/// The parts of a message that are output; whatever has another name is none.
#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(default, borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(default, borrow)]
    audio: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices, A::Error> {
                let mut choices = Choices::default();
                while let Some(choice) = list.next_element::<Choice<'de>>()? {
                    choices.add(&choice);
                }
                Ok(choices)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

impl Choices {
    fn add(&mut self, choice: &Choice<'_>) {
        self.count = self.count.saturating_add(1);
        let bit = choice.bit();
        self.seen |= bit;
        let reason = choice.finish_reason.and_then(literal);
        self.failed |= reason == Some("error");
        let finish = reason.map(Finish::from_openai);
        self.content |= finish.is_some();
        if finish.is_some() {
            self.ended |= bit;
        }
        self.finish = self.finish.or(finish);
        let messages = [choice.delta.as_ref(), choice.message.as_ref()];
        let parts = messages.into_iter().flatten().flat_map(Message::parts);
        for part in parts.chain(choice.text) {
            if is_given(part) {
                self.content = true;
                self.bytes = self.bytes.saturating_add(text_bytes(part));
                self.pieces = self.pieces.saturating_add(1);
            }
        }
    }
}

impl Choice<'_> {
    /// Its index as a bit. One without a legal index is the only one.
    fn bit(&self) -> u128 {
        let index = self.index.and_then(|raw| raw.get().parse().ok());
        1_u128.checked_shl(index.unwrap_or(0)).unwrap_or(1)
    }
}

impl<'a> Message<'a> {
    fn parts(&self) -> impl Iterator<Item = &'a RawValue> + use<'a> {
        [
            self.content,
            self.reasoning_content,
            self.reasoning,
            self.refusal,
            self.tool_calls,
            self.function_call,
            self.audio,
        ]
        .into_iter()
        .flatten()
    }
}

/// Bytes of a text without its quotation marks, of anything else as it stands there. An escape
/// counts as what it is written with, which is more than what it stands for.
fn text_bytes(part: &RawValue) -> u64 {
    let length = literal(part).map_or(part.get().len(), str::len);
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Finish {
    /// The reason in the provider's words.
    pub(super) fn from_openai(reason: &str) -> Self {
        match reason {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            _ => Self::Other,
        }
    }
}

/// The members of an answer or event that matter; the rest is checked to be JSON and passed over.
#[derive(serde::Deserialize)]
pub(super) struct Outline<'a> {
    #[serde(default)]
    pub(super) choices: Option<Choices>,
    #[serde(default, borrow, deserialize_with = "present")]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) object: Option<&'a RawValue>,
}

impl<'a> Outline<'a> {
    /// Reads an answer or an event.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The error it holds instead of an answer, if it does.
    pub(super) fn error(&self, whole: &'a str) -> Option<&'a str> {
        if let Some(error) = self.error.filter(|error| is_given(error)) {
            return Some(error.get());
        }
        let object = self.object.and_then(literal);
        (object == Some("error")).then_some(whole)
    }

    /// The usage it reports, `null` left aside.
    pub(super) fn reported(&self) -> Option<&'a RawValue> {
        self.usage.filter(|usage| usage.get() != "null")
    }

    /// The name of the model, unless it is empty.
    pub(super) fn model(&self) -> Option<String> {
        let name: Cow<'_, str> = serde_json::from_str(self.model?.get()).ok()?;
        model_name(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Choices {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn choices_are_counted_with_their_text() {
        for (json, expected) in [
            ("[]", Choices::default()),
            (
                r#"[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]"#,
                Choices {
                    count: 1,
                    seen: 1,
                    ..Choices::default()
                },
            ),
            (
                r#"[{"delta":{"content":"Hello"}},{"index":1,"delta":{"content":" you"}}]"#,
                Choices {
                    count: 2,
                    content: true,
                    bytes: 9,
                    pieces: 2,
                    seen: 3,
                    ..Choices::default()
                },
            ),
            (
                r#"[{"delta":{},"finish_reason":"length"}]"#,
                Choices {
                    count: 1,
                    content: true,
                    seen: 1,
                    ended: 1,
                    finish: Some(Finish::Length),
                    ..Choices::default()
                },
            ),
            (
                r#"[{"message":{"content":null,"tool_calls":[{"id":"a"}]},"finish_reason":"tool_calls"}]"#,
                Choices {
                    count: 1,
                    content: true,
                    bytes: 12,
                    pieces: 1,
                    seen: 1,
                    ended: 1,
                    finish: Some(Finish::ToolCalls),
                    ..Choices::default()
                },
            ),
            (
                r#"[{"delta":{"reasoning_content":"hm"},"finish_reason":"of its own"}]"#,
                Choices {
                    count: 1,
                    content: true,
                    bytes: 2,
                    pieces: 1,
                    seen: 1,
                    ended: 1,
                    finish: Some(Finish::Other),
                    ..Choices::default()
                },
            ),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
    }

    #[test]
    fn an_error_is_one_only_if_it_says_something() {
        for (json, error) in [
            (r#"{"error":{"message":"x"}}"#, Some(r#"{"message":"x"}"#)),
            (r#"{"error":"x","choices":[]}"#, Some(r#""x""#)),
            (r#"{"error":null,"choices":[]}"#, None),
            (r#"{"error":"","choices":[]}"#, None),
            (r#"{"error":{}}"#, None),
            (
                r#"{"object":"error","message":"x"}"#,
                Some(r#"{"object":"error","message":"x"}"#),
            ),
            (r#"{"object":"chat.completion"}"#, None),
        ] {
            let outline = Outline::read(json).unwrap();
            assert_eq!(outline.error(json), error, "{json}");
        }
    }
}
