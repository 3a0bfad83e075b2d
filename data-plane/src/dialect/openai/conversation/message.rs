//! One message of a caller's request: texts, media, calls and what came of them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Ineligible;
use crate::dialect::neutral::{
    Call, Conversation, Media, MediaKind, Outcome, Part, Role, Source, Text, object_in,
};
use crate::dialect::splice::is_given;

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    image_url: Option<Image<'a>>,
    #[serde(default, borrow)]
    file: Option<File<'a>>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(default, borrow)]
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(default, borrow)]
    filename: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    file_data: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default, borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    arguments: Cow<'a, str>,
}

impl<'a> Message<'a> {
    /// Adds what the message says.
    pub(super) fn add_to(&self, conversation: &mut Conversation<'a>) -> Result<(), Ineligible> {
        if self.function_call.is_some_and(is_given) {
            return Err(Ineligible(
                "`function_call` is not translated for this target; `tool_calls` are",
            ));
        }
        if self.audio.is_some_and(is_given) {
            return Err(Ineligible("audio is not translated for this target"));
        }
        match &*self.role {
            "system" | "developer" if conversation.turns.is_empty() => {
                let texts = self.texts()?;
                let texts = texts.into_iter().filter(|text| !text.is_blank());
                conversation.system.extend(texts);
            }
            // Instructions in the middle keep their place; no role there stands for them.
            "system" | "developer" => {
                let texts = self.texts()?;
                conversation.say(Role::User, texts.into_iter().map(Part::Text));
            }
            "user" => conversation.say(Role::User, self.parts()?),
            "assistant" => {
                conversation.say(Role::Assistant, self.parts()?);
                conversation.say(Role::Assistant, self.calls()?);
            }
            "tool" => {
                let outcome = self.outcome()?;
                conversation.say(Role::User, [Part::Outcome(outcome)]);
            }
            "function" => {
                return Err(Ineligible(
                    "messages of the role `function` are not translated for this target",
                ));
            }
            _ => return Err(Ineligible("a message has a role the target does not know")),
        }
        Ok(())
    }

    fn parts(&self) -> Result<Vec<Part<'a>>, Ineligible> {
        let Some(content) = self.content.filter(|content| content.get() != "null") else {
            return Ok(Vec::new());
        };
        if let Some(text) = Text::new(content) {
            return Ok(vec![Part::Text(text)]);
        }
        let parts: Vec<ContentPart<'a>> = serde_json::from_str(content.get())
            .map_err(|_shape| Ineligible("a message's content is neither text nor parts"))?;
        parts.into_iter().map(ContentPart::read).collect()
    }

    fn texts(&self) -> Result<Vec<Text<'a>>, Ineligible> {
        let texts = self.parts()?.into_iter().map(|part| match part {
            Part::Text(text) => Ok(text),
            Part::Media(_) | Part::Call(_) | Part::Outcome(_) => Err(Ineligible(
                "only texts of instructions and of tools' results are translated",
            )),
        });
        texts.collect()
    }

    fn calls(&self) -> Result<Vec<Part<'a>>, Ineligible> {
        const SHAPE: Ineligible = Ineligible("`tool_calls` have a shape that cannot be translated");
        let Some(calls) = self.tool_calls.filter(|calls| is_given(calls)) else {
            return Ok(Vec::new());
        };
        let calls: Vec<ToolCall<'a>> = serde_json::from_str(calls.get()).map_err(|_shape| SHAPE)?;
        let read = |call: ToolCall<'a>| {
            let function = call.function.ok_or(SHAPE)?;
            let arguments = object_in(&function.arguments).ok_or(Ineligible(
                "the arguments of a tool call are not a JSON object",
            ))?;
            Ok(Part::Call(Call {
                id: call.id,
                name: function.name,
                arguments: Cow::Owned(arguments),
            }))
        };
        calls.into_iter().map(read).collect()
    }

    fn outcome(&self) -> Result<Outcome<'a>, Ineligible> {
        let id = self
            .tool_call_id
            .clone()
            .ok_or(Ineligible("a tool's result does not say of which call"))?;
        Ok(Outcome {
            id,
            texts: self.texts()?,
            images: Vec::new(),
            failed: false,
        })
    }
}

impl<'a> ContentPart<'a> {
    fn read(self) -> Result<Part<'a>, Ineligible> {
        let text = match &*self.kind {
            "text" => self.text,
            "refusal" => self.refusal,
            "image_url" => {
                let image = self.image_url.ok_or(Ineligible("a picture is missing"))?;
                return Ok(Part::Media(Media {
                    kind: MediaKind::Image,
                    source: Source::of_address(image.url)?,
                    name: None,
                    detail: image.detail,
                }));
            }
            "file" => return self.file.map_or(Err(NO_FILE), File::read),
            "input_audio" => return Err(Ineligible("audio is not translated for this target")),
            _ => return Err(Ineligible("a message has a part the target does not know")),
        };
        let text = text.and_then(Text::new);
        text.map(Part::Text)
            .ok_or(Ineligible("a text part has no text"))
    }
}

const NO_FILE: Ineligible = Ineligible("only files that come with the request are translated");

impl<'a> File<'a> {
    fn read(self) -> Result<Part<'a>, Ineligible> {
        let source = Source::of_address(self.file_data.ok_or(NO_FILE)?)?;
        if matches!(source, Source::Address(_)) {
            return Err(NO_FILE);
        }
        Ok(Part::Media(Media {
            kind: MediaKind::Document,
            source,
            name: self.filename,
            detail: None,
        }))
    }
}
