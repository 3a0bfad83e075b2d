//! The messages of a chat request.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::Ineligible;
use crate::dialect::neutral::{Media, MediaKind, Outcome, Part, Role, Text, Turn, joined};
use crate::dialect::openai::write::ToolCall;

#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Text<'a>),
    Joined(Box<RawValue>),
    Parts(Vec<ContentPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentPart<'a> {
    Text { text: Text<'a> },
    ImageUrl { image_url: Image<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct Image<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct File<'a> {
    filename: Cow<'a, str>,
    file_data: String,
}

/// The messages of a conversation, instructions first.
pub(super) fn messages(
    instructions: Option<Box<RawValue>>,
    turns: Vec<Turn<'_>>,
) -> Result<Vec<Message<'_>>, Ineligible> {
    let mut messages: Vec<_> = instructions
        .into_iter()
        .map(|text| Message::of("system", Content::Joined(text)))
        .collect();
    for turn in turns {
        match turn.role {
            Role::User => user(turn.parts, &mut messages)?,
            Role::Assistant => messages.push(assistant(&turn.parts)?),
        }
    }
    Ok(messages)
}

/// What came of calls is said first, each in a message of its own.
fn user<'a>(parts: Vec<Part<'a>>, messages: &mut Vec<Message<'a>>) -> Result<(), Ineligible> {
    let mut said = Vec::new();
    for part in parts {
        match part {
            Part::Outcome(outcome) => messages.push(result(outcome)?),
            Part::Text(text) => said.push(ContentPart::Text { text }),
            Part::Media(media) => said.push(ContentPart::of_media(media)?),
            Part::Call(_) => return Err(Ineligible("a user's message calls a tool")),
        }
    }
    match said.as_slice() {
        [] => {}
        [ContentPart::Text { text }] => {
            messages.push(Message::of("user", Content::Text(*text)));
        }
        _ => messages.push(Message::of("user", Content::Parts(said))),
    }
    Ok(())
}

fn assistant<'a>(parts: &[Part<'a>]) -> Result<Message<'a>, Ineligible> {
    let mut texts = Vec::new();
    let mut tool_calls = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => texts.push(*text),
            Part::Call(call) => {
                let written = serde_json::value::to_raw_value(&ToolCall::from(call));
                tool_calls.extend(written);
            }
            Part::Media(_) | Part::Outcome(_) => {
                return Err(Ineligible(
                    "an assistant's message has more than texts and tool calls",
                ));
            }
        }
    }
    let content = match texts.as_slice() {
        [] => None,
        [text] => Some(Content::Text(*text)),
        _ => joined(&texts, "").map(Content::Joined),
    };
    Ok(Message {
        role: "assistant",
        tool_call_id: None,
        content,
        tool_calls,
    })
}

fn result(outcome: Outcome<'_>) -> Result<Message<'_>, Ineligible> {
    let Outcome {
        id,
        texts,
        images,
        failed: _,
    } = outcome;
    if !images.is_empty() {
        return Err(Ineligible("the target takes no pictures in tools' results"));
    }
    let content = match texts.as_slice() {
        [text] => Some(Content::Text(*text)),
        _ => joined(&texts, "\\n").map(Content::Joined),
    };
    Ok(Message {
        role: "tool",
        tool_call_id: Some(id),
        content,
        tool_calls: Vec::new(),
    })
}

impl<'a> Message<'a> {
    const fn of(role: &'static str, content: Content<'a>) -> Self {
        Self {
            role,
            tool_call_id: None,
            content: Some(content),
            tool_calls: Vec::new(),
        }
    }
}

impl<'a> ContentPart<'a> {
    fn of_media(media: Media<'a>) -> Result<Self, Ineligible> {
        let url = media.source.to_address();
        match media.kind {
            MediaKind::Image => Ok(Self::ImageUrl {
                image_url: Image {
                    url,
                    detail: media.detail,
                },
            }),
            MediaKind::Document if url.starts_with("data:") => Ok(Self::File {
                file: File {
                    filename: media.name.unwrap_or(Cow::Borrowed("document.pdf")),
                    file_data: url,
                },
            }),
            MediaKind::Document => Err(Ineligible(
                "the target takes only documents that come with the request",
            )),
        }
    }
}
