//! A whole message of a provider: read as an answer for another dialect, or looked through and
//! passed on as it came.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::Report;
use crate::dialect::neutral::{Call, Part, Reply, Text, model_name};
use crate::dialect::{Answer, BadAnswer, Refused};

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
    #[serde(default, borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    thinking: Option<&'a RawValue>,
}

/// Reads a message for another dialect.
pub(in crate::dialect) fn read(body: &[u8]) -> Result<Reply<'_>, BadAnswer> {
    let message = message(body)?;
    let parts = message.content.iter();
    let parts = parts
        .filter_map(|block| block.said().transpose())
        .collect::<Result<_, _>>()
        .map_err(BadAnswer::Malformed)?;
    Ok(Reply {
        parts,
        finish: message.finish()?,
        usage: message.usage(),
        model: message.model,
    })
}

/// Looks through a message that passes as it came.
pub(in crate::dialect) fn pass(body: Bytes) -> Result<Answer, BadAnswer> {
    let message = message(&body)?;
    let bytes = message.content.iter().map(Block::bytes);
    Ok(Answer {
        usage: message.usage(),
        output_bytes: bytes.fold(0, u64::saturating_add),
        finish: Some(message.finish()?),
        model: model_name(&message.model),
        body,
    })
}

fn message(body: &[u8]) -> Result<Message<'_>, BadAnswer> {
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
        "message" => Ok(message),
        "error" => Err(BadAnswer::Refused(Refused::inside_answer(text))),
        _ => Err(BadAnswer::Malformed("it is not a message")),
    }
}

impl Message<'_> {
    fn finish(&self) -> Result<crate::dialect::Finish, BadAnswer> {
        let reason = self.stop_reason.as_deref();
        reason
            .map(super::finish)
            .ok_or(BadAnswer::Malformed("it does not say why it ended"))
    }

    fn usage(&self) -> Option<agix_core::usage::Usage> {
        self.usage.and_then(Report::read).and_then(Report::usage)
    }
}

impl<'a> Block<'a> {
    /// What the block says to the caller. Thinking is not said; other blocks were not asked for.
    fn said(&self) -> Result<Option<Part<'a>>, &'static str> {
        match &*self.kind {
            "text" => self
                .text
                .and_then(Text::new)
                .map(|text| Some(Part::Text(text)))
                .ok_or("a text block has no text"),
            "tool_use" => {
                let input = self.input.filter(|input| input.get().starts_with('{'));
                let call = self.id.clone().zip(self.name.clone()).zip(input);
                call.map(|((id, name), arguments)| {
                    Some(Part::Call(Call {
                        id,
                        name,
                        arguments: Cow::Borrowed(arguments),
                    }))
                })
                .ok_or("a tool call lacks its id, name or input")
            }
            "thinking" | "redacted_thinking" => Ok(None),
            _ => Err("it has a block that was not asked for"),
        }
    }

    /// Bytes of what it says, thinks or calls.
    fn bytes(&self) -> u64 {
        let text = |raw: Option<&'a RawValue>| raw.and_then(Text::new).map_or(0, Text::bytes);
        let input = self.input.map_or(0, |input| input.get().len());
        text(self.text)
            .saturating_add(text(self.thinking))
            .saturating_add(u64::try_from(input).unwrap_or(u64::MAX))
    }
}
