//! The blocks of a message, and the tools it may call.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::Ineligible;
use crate::dialect::anthropic::model::Abilities;
use crate::dialect::neutral::{Call, Media, MediaKind, Outcome, Part, Source, Text, Tool};

/// The pictures the protocol knows.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// The longest name of a tool.
const NAME_LENGTH: usize = 128;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Text<'a>,
    },
    Image {
        source: Place<'a>,
    },
    Document {
        source: Place<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<Cow<'a, str>>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Place<'a> {
    Base64 {
        media_type: Cow<'a, str>,
        data: Cow<'a, str>,
    },
    Url {
        url: Cow<'a, str>,
    },
}

#[derive(Serialize)]
pub(super) struct ToolEntry<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Text<'a>>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Given(&'a RawValue),
    /// Of a tool without arguments.
    Empty {
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

impl<'a> Block<'a> {
    pub(super) fn new(part: Part<'a>) -> Result<Self, Ineligible> {
        match part {
            Part::Text(text) => Ok(Self::Text { text }),
            Part::Media(media) => Self::of_media(media),
            Part::Call(Call {
                id,
                name,
                arguments,
            }) => Ok(Self::ToolUse {
                id: plain(id),
                name: tool_name(name)?,
                input: arguments,
            }),
            Part::Outcome(Outcome {
                id,
                texts,
                images,
                failed,
            }) => {
                let texts = texts.into_iter().filter(|text| !text.is_blank());
                let texts = texts.map(|text| Ok(Self::Text { text }));
                let images = images.into_iter().map(Self::of_media);
                Ok(Self::ToolResult {
                    tool_use_id: plain(id),
                    content: texts.chain(images).collect::<Result<_, _>>()?,
                    is_error: failed,
                })
            }
        }
    }

    fn of_media(media: Media<'a>) -> Result<Self, Ineligible> {
        let known = match media.kind {
            MediaKind::Image => IMAGES.iter().any(|kind| media.is_inline(kind)),
            MediaKind::Document => media.is_inline("application/pdf"),
        };
        if !known && !matches!(media.source, Source::Address(_)) {
            return Err(Ineligible("the target does not know a file's media type"));
        }
        let source = match media.source {
            Source::Inline { media_type, base64 } => Place::Base64 {
                media_type,
                data: base64,
            },
            Source::Address(url) => Place::Url { url },
        };
        Ok(match media.kind {
            MediaKind::Image => Self::Image { source },
            MediaKind::Document => Self::Document {
                source,
                title: media.name,
            },
        })
    }
}

impl<'a> ToolEntry<'a> {
    pub(super) fn new(
        tool: Tool<'a>,
        abilities: Abilities,
        dropped: &mut Vec<&'static str>,
    ) -> Result<Self, Ineligible> {
        let strict = tool.strict && abilities.schemas;
        if tool.strict && !strict && !dropped.contains(&"tools.strict") {
            dropped.push("tools.strict");
        }
        Ok(Self {
            name: tool_name(tool.name)?,
            description: tool.description.filter(|text| !text.is_blank()),
            input_schema: tool
                .schema
                .map_or(Schema::Empty { kind: "object" }, Schema::Given),
            strict,
        })
    }
}

fn tool_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, Ineligible> {
    if name.is_empty() || name.len() > NAME_LENGTH || !name.chars().all(is_plain) {
        return Err(Ineligible("the target takes no tool of such a name"));
    }
    Ok(name)
}

/// The id of a call in the signs that the protocol allows; the same one for the call and its result.
fn plain(id: Cow<'_, str>) -> Cow<'_, str> {
    if !id.is_empty() && id.chars().all(is_plain) {
        return id;
    }
    let signs = id
        .chars()
        .map(|sign| if is_plain(sign) { sign } else { '_' });
    Cow::Owned(std::iter::once('c').chain(signs).collect())
}

fn is_plain(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-')
}
