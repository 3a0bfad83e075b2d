//! Requests and answers between dialects, in no dialect at all.
//!
//! Texts stay as they are written in JSON, quotation marks and escapes included ([`Text`]): every
//! dialect writes them the same way, so that a conversation is carried over without being decoded.

use std::borrow::Cow;

use agix_core::usage::Usage;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::dialect::{Finish, Ineligible};

/// A text as JSON writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(&'a RawValue);

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
}

/// What one side says before the other answers: at least one text, none of them blank.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) texts: Vec<Text<'a>>,
}

/// A request for the next turn of a conversation.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    /// Instructions before the first turn.
    pub(super) system: Vec<Text<'a>>,
    /// The turns, roles alternating; at least one.
    pub(super) turns: Vec<Turn<'a>>,
    /// Most output tokens.
    pub(super) max_output: Option<u64>,
    /// A number, as it is written.
    pub(super) temperature: Option<&'a RawValue>,
    /// A number, as it is written.
    pub(super) top_p: Option<&'a RawValue>,
    /// Texts that end the answer.
    pub(super) stop: Vec<String>,
    /// Who the answer is for, as the caller names it.
    pub(super) user: Option<String>,
    /// Whether the answer is to be a stream.
    pub(super) stream: bool,
    /// Parameters the caller gave that no other dialect has.
    pub(super) dropped: Vec<&'static str>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    /// What it says, in parts that are to be joined.
    pub(super) texts: Vec<Text<'a>>,
    pub(super) finish: Finish,
    pub(super) usage: Option<Usage>,
    pub(super) model: Cow<'a, str>,
}

/// A step of a streamed answer.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// It begins.
    Begin,
    /// It says something.
    Say(Text<'a>),
    /// It says nothing more.
    End(Finish),
    /// Everything has been said and counted.
    Done,
}

impl<'a> Text<'a> {
    /// Takes a JSON string; nothing else is one.
    pub(super) fn new(raw: &'a RawValue) -> Option<Self> {
        raw.get().starts_with('"').then_some(Self(raw))
    }

    /// What stands between the quotation marks.
    pub(super) fn inner(self) -> &'a str {
        let text = self.0.get();
        text.get(1..text.len().saturating_sub(1))
            .unwrap_or_default()
    }

    /// Whether it is empty or only space.
    pub(super) fn is_blank(self) -> bool {
        let mut rest = self.inner();
        loop {
            rest = rest.trim_start();
            let Some(escape) = rest.strip_prefix('\\') else {
                return rest.is_empty();
            };
            let Some(after) = escape.strip_prefix(['n', 't', 'r', 'f']) else {
                return false;
            };
            rest = after;
        }
    }

    /// Its length in bytes, as it is written.
    pub(super) fn bytes(self) -> u64 {
        u64::try_from(self.inner().len()).unwrap_or(u64::MAX)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'a> Conversation<'a> {
    /// Adds what `role` says; blank texts are left out, and a side that goes on speaking adds to
    /// its turn.
    pub(super) fn say(&mut self, role: Role, texts: impl IntoIterator<Item = Text<'a>>) {
        for text in texts.into_iter().filter(|text| !text.is_blank()) {
            match self.turns.last_mut() {
                Some(turn) if turn.role == role => turn.texts.push(text),
                _ => self.turns.push(Turn {
                    role,
                    texts: vec![text],
                }),
            }
        }
    }

    /// Makes sure that something is said at all: instructions alone are said by the user.
    pub(super) fn with_a_turn(mut self) -> Result<Self, Ineligible> {
        if self.turns.is_empty() {
            let system = std::mem::take(&mut self.system);
            self.say(Role::User, system);
        }
        if self.turns.is_empty() {
            return Err(Ineligible("the request says nothing"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_space_is_blank() {
        for (json, blank) in [
            (r#""""#, true),
            (r#""  \n\t \r\n""#, true),
            (r#"" \n a""#, false),
            (r#""\\n""#, false),
            (r#""\"""#, false),
            (r#""\u0041""#, false),
        ] {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            assert_eq!(Text::new(&raw).unwrap().is_blank(), blank, "{json}");
        }
        let number = RawValue::from_string("1".to_owned()).unwrap();
        assert!(Text::new(&number).is_none());
    }
}
