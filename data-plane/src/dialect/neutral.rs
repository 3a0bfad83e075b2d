//! Requests and answers between dialects, in no dialect at all.
//!
//! Texts stay as they are written in JSON, quotation marks and escapes included ([`Text`]): every
//! dialect writes them the same way, so that a conversation is carried over without being decoded.

use std::borrow::Cow;

use agix_core::limits::MODEL_NAME_BYTES;
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

/// What one side says before the other answers: at least one part, no text of them blank.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) parts: Vec<Part<'a>>,
}

/// A part of what is said.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Text(Text<'a>),
    Media(Media<'a>),
    /// The assistant calls a tool.
    Call(Call<'a>),
    /// The user's side says what came of a call.
    Outcome(Outcome<'a>),
}

/// A picture or a document.
#[derive(Debug)]
pub(super) struct Media<'a> {
    pub(super) kind: MediaKind,
    pub(super) source: Source<'a>,
    /// The name of the file, if it has one.
    pub(super) name: Option<Cow<'a, str>>,
    /// How closely it is to be looked at, in OpenAI's words.
    pub(super) detail: Option<&'a RawValue>,
}

/// What a medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaKind {
    Image,
    Document,
}

/// Where a medium is.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// In the request, in base64.
    Inline {
        media_type: Cow<'a, str>,
        base64: Cow<'a, str>,
    },
    /// At an address, which only the provider may fetch from.
    Address(Cow<'a, str>),
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    /// A JSON object.
    pub(super) arguments: Cow<'a, RawValue>,
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    /// The call's.
    pub(super) id: Cow<'a, str>,
    pub(super) texts: Vec<Text<'a>>,
    pub(super) images: Vec<Media<'a>>,
    pub(super) failed: bool,
}

/// A tool that may be called.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) description: Option<Text<'a>>,
    /// The JSON schema of its arguments, an object.
    pub(super) schema: Option<&'a RawValue>,
    pub(super) strict: bool,
}

/// Which tools are to be called.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToolChoice<'a> {
    Auto,
    /// At least one.
    Any,
    None,
    One(Cow<'a, str>),
}

/// The shape an answer must have.
#[derive(Debug)]
pub(super) enum Format<'a> {
    /// Some JSON object.
    Object,
    /// JSON of this schema.
    Schema {
        name: Option<Text<'a>>,
        schema: &'a RawValue,
        /// Whether no answer may differ from it.
        strict: bool,
    },
}

/// A parameter that OpenAI's dialects share and that no other dialect has.
#[derive(Debug)]
pub(super) struct Extra<'a> {
    /// What the caller calls it.
    pub(super) asked_as: &'static str,
    /// What chat completions call it.
    pub(super) chat: &'static str,
    pub(super) value: &'a RawValue,
}

/// A request for the next turn of a conversation.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    /// Instructions before the first turn.
    pub(super) system: Vec<Text<'a>>,
    /// The turns, roles alternating; at least one.
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) tools: Vec<Tool<'a>>,
    /// Absent: as the target likes.
    pub(super) tool_choice: Option<ToolChoice<'a>>,
    /// Whether only one tool may be called at a time.
    pub(super) one_call: bool,
    pub(super) format: Option<Format<'a>>,
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
    /// Parameters for targets that speak a dialect of OpenAI's.
    pub(super) extras: Vec<Extra<'a>>,
    /// Parameters the caller gave that no other dialect has.
    pub(super) dropped: Vec<&'static str>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    /// What it says: texts, which are to be joined, and calls.
    pub(super) parts: Vec<Part<'a>>,
    pub(super) finish: Finish,
    pub(super) usage: Option<Usage>,
    pub(super) model: Cow<'a, str>,
}

/// A step of a streamed answer.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// It begins.
    Begin { model: &'a str },
    /// It thinks, which is not said to callers of other dialects.
    Think,
    /// It says something.
    Say(Text<'a>),
    /// It calls a tool. Calls are numbered from zero in the order in which they begin.
    Call { id: &'a str, name: &'a str },
    /// A piece of the arguments of the call of this number.
    Arguments { call: usize, piece: Text<'a> },
    /// It says nothing more.
    End(Finish),
    /// The provider is alive and says nothing.
    Alive,
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

/// What a provider calls its model, if it does: no longer than names are, since each event of a
/// translated stream repeats it.
pub(super) fn model_name(name: &str) -> Option<String> {
    let name = name.get(..name.floor_char_boundary(MODEL_NAME_BYTES))?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Texts joined, with `between` (as JSON writes it) between two of them.
pub(super) fn joined(texts: &[Text<'_>], between: &str) -> Option<Box<RawValue>> {
    let inner: Vec<_> = texts.iter().map(|text| text.inner()).collect();
    RawValue::from_string(format!("\"{}\"", inner.join(between))).ok()
}

/// The JSON object that a text holds, as arguments of a call do in some dialects; an empty text
/// stands for an empty object.
pub(super) fn object_in(text: &str) -> Option<Box<RawValue>> {
    let text = text.trim();
    let text = if text.is_empty() { "{}" } else { text };
    text.starts_with('{')
        .then(|| RawValue::from_string(text.to_owned()).ok())
        .flatten()
}

impl<'a> Conversation<'a> {
    /// Adds what `role` says; blank texts are left out, and a side that goes on speaking adds to
    /// its turn.
    pub(super) fn say(&mut self, role: Role, parts: impl IntoIterator<Item = Part<'a>>) {
        for part in parts {
            if matches!(part, Part::Text(text) if text.is_blank()) {
                continue;
            }
            match self.turns.last_mut() {
                Some(turn) if turn.role == role => turn.parts.push(part),
                _ => self.turns.push(Turn {
                    role,
                    parts: vec![part],
                }),
            }
        }
    }

    /// For a target that has none of the parameters of OpenAI's dialects, and takes no blank text to
    /// stop at.
    pub(super) fn without_extras(mut self) -> Self {
        let stops = self.stop.len();
        self.stop.retain(|text| !text.trim().is_empty());
        self.dropped
            .extend((self.stop.len() < stops).then_some("stop"));
        let extras = std::mem::take(&mut self.extras);
        self.dropped
            .extend(extras.into_iter().map(|extra| extra.asked_as));
        self
    }

    /// Makes sure that something is said at all: instructions alone are said by the user.
    pub(super) fn with_a_turn(mut self) -> Result<Self, Ineligible> {
        if self.turns.is_empty() {
            let system = std::mem::take(&mut self.system);
            self.say(Role::User, system.into_iter().map(Part::Text));
        }
        if self.turns.is_empty() {
            return Err(Ineligible("the request says nothing"));
        }
        Ok(self)
    }
}

impl Reply<'_> {
    /// Bytes of what it says and calls.
    pub(super) fn output_bytes(&self) -> u64 {
        let bytes = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.bytes(),
            Part::Call(call) => u64::try_from(call.arguments.get().len()).unwrap_or(u64::MAX),
            Part::Media(_) | Part::Outcome(_) => 0,
        });
        bytes.fold(0, u64::saturating_add)
    }
}

impl<'a> Source<'a> {
    /// Of an address, which may hold the data itself.
    pub(super) fn of_address(address: Cow<'a, str>) -> Result<Self, Ineligible> {
        const WRONG: Ineligible = Ineligible("a `data:` address is not in base64");
        if !address.starts_with("data:") {
            return Ok(Self::Address(address));
        }
        let split = |text: &str| {
            let (media_type, data) = text.strip_prefix("data:")?.split_once(";base64,")?;
            // Parameters of the type, as in `image/png;charset=utf-8`, are none of its name.
            let media_type = media_type.split(';').next().unwrap_or(media_type);
            Some((media_type.len(), text.len().checked_sub(data.len())?))
        };
        let (kind, data) = split(&address).ok_or(WRONG)?;
        let cut = |from: usize, to: usize| match &address {
            Cow::Borrowed(text) => text.get(from..to).map(Cow::Borrowed),
            Cow::Owned(text) => text.get(from..to).map(|text| Cow::Owned(text.to_owned())),
        };
        let start = "data:".len();
        Ok(Self::Inline {
            media_type: cut(start, start + kind).ok_or(WRONG)?,
            base64: cut(data, address.len()).ok_or(WRONG)?,
        })
    }

    /// An address that holds the data, or where the data is.
    pub(super) fn to_address(&self) -> String {
        match self {
            Self::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
            Self::Address(address) => address.to_string(),
        }
    }
}

impl Media<'_> {
    /// Whether it is a document of this type that comes with the request.
    pub(super) fn is_inline(&self, wanted: &str) -> bool {
        matches!(&self.source, Source::Inline { media_type, .. } if media_type == wanted)
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

    #[test]
    fn a_data_address_is_taken_apart_and_put_together_again() {
        let address = "data:image/png;base64,iVBORw0KGgo=";
        let source = Source::of_address(address.into()).unwrap();
        assert!(matches!(
            &source,
            Source::Inline { media_type, base64 } if media_type == "image/png" && base64 == "iVBORw0KGgo="
        ));
        assert_eq!(source.to_address(), address);
        let linked = Source::of_address("https://a.example/b.png".into()).unwrap();
        assert_eq!(linked.to_address(), "https://a.example/b.png");
        let with_parameter = Source::of_address("data:text/plain;charset=utf-8;base64,QQ==".into());
        assert!(matches!(
            with_parameter.unwrap(),
            Source::Inline { media_type, base64 } if media_type == "text/plain" && base64 == "QQ=="
        ));
        for wrong in ["data:", "data:image/png,abc", "data:;utf8,"] {
            assert!(Source::of_address(wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_an_object_is_taken_for_arguments() {
        for (text, object) in [
            ("", Some("{}")),
            (" {\"a\":1} ", Some("{\"a\":1}")),
            ("[1]", None),
            ("{\"a\":", None),
            ("null", None),
        ] {
            assert_eq!(
                object_in(text).as_deref().map(RawValue::get),
                object,
                "{text}"
            );
        }
    }
}
