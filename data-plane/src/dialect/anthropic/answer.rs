//! A whole message, read as an answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::Report;
use crate::dialect::neutral::{Reply, Text};
use crate::dialect::{BadAnswer, Refused};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    model: Cow<'a, str>,
    #[serde(default, borrow)]
    content: Vec<Block<'a>>,
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) text: Option<&'a RawValue>,
}

/// Reads a message.
pub(in crate::dialect) fn read(body: &[u8]) -> Result<Reply<'_>, BadAnswer> {
    let text = std::str::from_utf8(body)
        .map_err(|_not_text| BadAnswer::Malformed("it is not a JSON object"))?;
    let message: Message<'_> = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(_shape) => {
            return Err(match crate::dialect::openai::answer::error_of(body) {
                Some(refused) => BadAnswer::Refused(refused),
                None => BadAnswer::Malformed("it is not a message"),
            });
        }
    };
    match &*message.kind {
        "message" => {}
        "error" => return Err(BadAnswer::Refused(Refused::inside_answer(text))),
        _ => return Err(BadAnswer::Malformed("it is not a message")),
    }
    let finish = message
        .stop_reason
        .as_deref()
        .ok_or("it does not say why it ended")
        .and_then(super::finish)
        .map_err(BadAnswer::Malformed)?;
    let texts = message
        .content
        .iter()
        .filter_map(|block| block.said().transpose())
        .collect::<Result<_, _>>()
        .map_err(BadAnswer::Malformed)?;
    Ok(Reply {
        texts,
        finish,
        usage: message.usage.and_then(Report::read).and_then(Report::usage),
        model: message.model,
    })
}

impl<'a> Block<'a> {
    /// What the block says to the caller. Thinking is not said; anything else was not asked for.
    pub(super) fn said(&self) -> Result<Option<Text<'a>>, &'static str> {
        match &*self.kind {
            "text" => self
                .text
                .and_then(Text::new)
                .map(Some)
                .ok_or("a text block has no text"),
            "thinking" | "redacted_thinking" => Ok(None),
            _ => Err("it has a block that was not asked for"),
        }
    }
}
