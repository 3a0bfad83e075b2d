//! One item of a caller's input: a message, a call of a function, or what came of one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Ineligible;
use crate::dialect::neutral::{
    Call, Conversation, Media, MediaKind, Outcome, Part, Role, Source, Text, object_in,
};

#[derive(Deserialize)]
pub(super) struct Item<'a> {
    /// Absent: a message.
    #[serde(rename = "type", default, borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    call_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    arguments: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    image_url: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    detail: Option<&'a RawValue>,
    #[serde(default, borrow)]
    filename: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    file_data: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    file_url: Option<Cow<'a, str>>,
}

impl<'a> Item<'a> {
    /// Adds what the item says.
    pub(super) fn add_to(self, conversation: &mut Conversation<'a>) -> Result<(), Ineligible> {
        match self.kind.as_deref() {
            None | Some("message") => self.message(conversation),
            Some("function_call") => {
                let call = self.call()?;
                conversation.say(Role::Assistant, [Part::Call(call)]);
                Ok(())
            }
            Some("function_call_output") => {
                let outcome = self.outcome()?;
                conversation.say(Role::User, [Part::Outcome(outcome)]);
                Ok(())
            }
            // Thoughts of an earlier answer say nothing to another model.
            Some("reasoning") => Ok(()),
            Some(_) => Err(Ineligible(
                "an item of `input` is of a type that is not translated",
            )),
        }
    }

    fn message(self, conversation: &mut Conversation<'a>) -> Result<(), Ineligible> {
        let content = self
            .content
            .ok_or(Ineligible("a message has no `content`"))?;
        match self.role.as_deref() {
            Some("system" | "developer") if conversation.turns.is_empty() => {
                let texts = texts(content)?;
                let texts = texts.into_iter().filter(|text| !text.is_blank());
                conversation.system.extend(texts);
            }
            // Instructions in the middle keep their place; no role there stands for them.
            Some("system" | "developer") => {
                let texts = texts(content)?.into_iter().map(Part::Text);
                conversation.say(Role::User, texts);
            }
            Some("user") => conversation.say(Role::User, parts(content)?),
            Some("assistant") => conversation.say(Role::Assistant, parts(content)?),
            _ => return Err(Ineligible("a message has a role the target does not know")),
        }
        Ok(())
    }

    fn call(self) -> Result<Call<'a>, Ineligible> {
        const LACKS: Ineligible = Ineligible("a function call lacks its call_id or name");
        let arguments = object_in(self.arguments.as_deref().unwrap_or_default());
        let arguments = arguments.ok_or(Ineligible(
            "the arguments of a function call are not a JSON object",
        ))?;
        Ok(Call {
            id: self.call_id.ok_or(LACKS)?,
            name: self.name.ok_or(LACKS)?,
            arguments: Cow::Owned(arguments),
        })
    }

    fn outcome(self) -> Result<Outcome<'a>, Ineligible> {
        let id = self.call_id.ok_or(Ineligible(
            "the output of a function call does not say of which one",
        ))?;
        let mut outcome = Outcome {
            id,
            texts: Vec::new(),
            images: Vec::new(),
            failed: false,
        };
        let output = self.output.filter(|output| output.get() != "null");
        for part in output.map_or(Ok(Vec::new()), parts)? {
            match part {
                Part::Text(text) => outcome.texts.push(text),
                Part::Media(media) if media.kind == MediaKind::Image => outcome.images.push(media),
                Part::Media(_) | Part::Call(_) | Part::Outcome(_) => {
                    return Err(Ineligible(
                        "the output of a function call has more than texts and pictures",
                    ));
                }
            }
        }
        Ok(outcome)
    }
}

/// The texts of content that has nothing else.
fn texts(content: &RawValue) -> Result<Vec<Text<'_>>, Ineligible> {
    let texts = parts(content)?.into_iter().map(|part| match part {
        Part::Text(text) => Ok(text),
        Part::Media(_) | Part::Call(_) | Part::Outcome(_) => {
            Err(Ineligible("only texts of instructions are translated"))
        }
    });
    texts.collect()
}

fn parts(content: &RawValue) -> Result<Vec<Part<'_>>, Ineligible> {
    if let Some(text) = Text::new(content) {
        return Ok(vec![Part::Text(text)]);
    }
    let parts: Vec<ContentPart<'_>> = serde_json::from_str(content.get())
        .map_err(|_shape| Ineligible("the content of an item is neither text nor parts"))?;
    parts.into_iter().map(ContentPart::read).collect()
}

impl<'a> ContentPart<'a> {
    fn read(self) -> Result<Part<'a>, Ineligible> {
        let text = match &*self.kind {
            "input_text" | "output_text" | "text" => self.text,
            "refusal" => self.refusal,
            "input_image" => {
                let url = self.image_url.ok_or(Ineligible(
                    "only pictures that come with the request, or are at an address, are \
                     translated",
                ))?;
                return Ok(Part::Media(Media {
                    kind: MediaKind::Image,
                    source: Source::of_address(url)?,
                    name: None,
                    detail: self.detail,
                }));
            }
            "input_file" => return self.file(),
            "input_audio" => return Err(Ineligible("audio is not translated")),
            _ => return Err(Ineligible("a message has a part the target does not know")),
        };
        let text = text.and_then(Text::new);
        text.map(Part::Text)
            .ok_or(Ineligible("a text part has no text"))
    }

    fn file(self) -> Result<Part<'a>, Ineligible> {
        let source = match (self.file_data, self.file_url) {
            (Some(data), _) if data.starts_with("data:") => Source::of_address(data)?,
            // Data alone is what OpenAI takes for a PDF.
            (Some(data), _) => Source::Inline {
                media_type: "application/pdf".into(),
                base64: data,
            },
            (None, Some(url)) => Source::of_address(url)?,
            (None, None) => {
                return Err(Ineligible(
                    "only files that come with the request, or are at an address, are translated",
                ));
            }
        };
        Ok(Part::Media(Media {
            kind: MediaKind::Document,
            source,
            name: self.filename,
            detail: None,
        }))
    }
}
