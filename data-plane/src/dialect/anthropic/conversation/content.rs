//! The blocks of a caller's messages.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Ineligible;
use crate::dialect::neutral::{
    Call, Conversation, Media, MediaKind, Outcome, Part, Role, Source, Text,
};

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    source: Option<Place<'a>>,
    #[serde(default, borrow)]
    title: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    is_error: Option<bool>,
}

#[derive(Deserialize)]
struct Place<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    media_type: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    url: Option<Cow<'a, str>>,
}

/// Adds what a message says.
pub(super) fn add_message<'a>(
    role: &str,
    content: &'a RawValue,
    conversation: &mut Conversation<'a>,
) -> Result<(), Ineligible> {
    match role {
        "user" => conversation.say(Role::User, parts(content)?),
        "assistant" => conversation.say(Role::Assistant, parts(content)?),
        "system" => conversation.say(Role::User, texts(content)?.into_iter().map(Part::Text)),
        _ => return Err(Ineligible("a message has a role the target does not know")),
    }
    Ok(())
}

/// The texts of content that has nothing else.
pub(super) fn texts(content: &RawValue) -> Result<Vec<Text<'_>>, Ineligible> {
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
    let blocks: Vec<Block<'_>> = serde_json::from_str(content.get())
        .map_err(|_shape| Ineligible("a message's content is neither text nor blocks"))?;
    blocks
        .into_iter()
        .filter_map(|block| block.read().transpose())
        .collect()
}

impl<'a> Block<'a> {
    /// What the block says; thinking says nothing to another model.
    fn read(self) -> Result<Option<Part<'a>>, Ineligible> {
        let part = match &*self.kind {
            "text" => {
                let text = self.text.and_then(Text::new);
                Part::Text(text.ok_or(Ineligible("a text block has no text"))?)
            }
            "image" => Part::Media(self.image()?),
            "document" => self.document()?,
            "tool_use" => Part::Call(self.call()?),
            "tool_result" => Part::Outcome(self.outcome()?),
            "thinking" | "redacted_thinking" => return Ok(None),
            _ => {
                return Err(Ineligible(
                    "a message has a block that is not translated for this target",
                ));
            }
        };
        Ok(Some(part))
    }

    fn image(self) -> Result<Media<'a>, Ineligible> {
        let place = self.source.ok_or(Ineligible("a picture is missing"))?;
        Ok(Media {
            kind: MediaKind::Image,
            source: place.read()?,
            name: None,
            detail: None,
        })
    }

    fn document(self) -> Result<Part<'a>, Ineligible> {
        let place = self.source.ok_or(Ineligible("a document is missing"))?;
        // A plain text needs no file around it.
        if place.kind == "text" {
            let text = place.data.and_then(Text::new);
            return text
                .map(Part::Text)
                .ok_or(Ineligible("a document is missing"));
        }
        Ok(Part::Media(Media {
            kind: MediaKind::Document,
            source: place.read()?,
            name: self.title,
            detail: None,
        }))
    }

    fn call(self) -> Result<Call<'a>, Ineligible> {
        const LACKS: Ineligible = Ineligible("a tool call lacks its id, name or input");
        let input = self.input.filter(|input| input.get().starts_with('{'));
        Ok(Call {
            id: self.id.ok_or(LACKS)?,
            name: self.name.ok_or(LACKS)?,
            arguments: Cow::Borrowed(input.ok_or(LACKS)?),
        })
    }

    fn outcome(self) -> Result<Outcome<'a>, Ineligible> {
        let id = self
            .tool_use_id
            .ok_or(Ineligible("a tool's result does not say of which call"))?;
        let mut outcome = Outcome {
            id,
            texts: Vec::new(),
            images: Vec::new(),
            failed: self.is_error == Some(true),
        };
        let content = self.content.filter(|content| content.get() != "null");
        for part in content.map_or(Ok(Vec::new()), parts)? {
            match part {
                Part::Text(text) => outcome.texts.push(text),
                Part::Media(media) if media.kind == MediaKind::Image => outcome.images.push(media),
                Part::Media(_) | Part::Call(_) | Part::Outcome(_) => {
                    return Err(Ineligible(
                        "a tool's result has more than texts and pictures",
                    ));
                }
            }
        }
        Ok(outcome)
    }
}

impl<'a> Place<'a> {
    fn read(self) -> Result<Source<'a>, Ineligible> {
        const LACKS: Ineligible = Ineligible("a file lacks its data or media type");
        match &*self.kind {
            "base64" => Ok(Source::Inline {
                media_type: self.media_type.ok_or(LACKS)?,
                base64: self
                    .data
                    .and_then(|data| serde_json::from_str(data.get()).ok())
                    .map(|Borrowable(data)| data)
                    .ok_or(LACKS)?,
            }),
            "url" => Ok(Source::Address(self.url.ok_or(LACKS)?)),
            _ => Err(Ineligible(
                "only files that come with the request, or are at an address, are translated",
            )),
        }
    }
}

/// A text that is not copied unless it has escapes.
#[derive(Deserialize)]
struct Borrowable<'a>(#[serde(borrow)] Cow<'a, str>);
