//! The parts of a content.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::Ineligible;
use crate::dialect::neutral::{Media, Outcome, Part, Source, Text, joined};

/// Stands for the signature of a call that another model made.
const UNSIGNED: &str = "skip_thought_signature_validator";

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Piece<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Inline<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inline<'a> {
    mime_type: Cow<'a, str>,
    data: Cow<'a, str>,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    name: Cow<'a, str>,
    args: Cow<'a, RawValue>,
}

#[derive(Serialize)]
struct FunctionResponse {
    name: String,
    response: Response,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Response {
    Output(Box<RawValue>),
    Error(Box<RawValue>),
}

impl<'a> Piece<'a> {
    pub(super) fn text(text: Text<'a>) -> Self {
        Self {
            text: Some(text),
            ..Self::default()
        }
    }

    /// Writes a part; `names` are those of the tools by their calls.
    pub(super) fn new(
        part: Part<'a>,
        names: &HashMap<String, String>,
        signs: bool,
    ) -> Result<Self, Ineligible> {
        match part {
            Part::Text(text) => Ok(Self::text(text)),
            Part::Media(media) => Self::media(media),
            Part::Call(call) => Ok(Self {
                function_call: Some(FunctionCall {
                    name: call.name,
                    args: call.arguments,
                }),
                thought_signature: signs.then_some(UNSIGNED),
                ..Self::default()
            }),
            Part::Outcome(outcome) => Self::outcome(&outcome, names),
        }
    }

    fn media(media: Media<'a>) -> Result<Self, Ineligible> {
        match media.source {
            Source::Inline { media_type, base64 } => Ok(Self {
                inline_data: Some(Inline {
                    mime_type: media_type,
                    data: base64,
                }),
                ..Self::default()
            }),
            Source::Address(_) => Err(Ineligible(
                "the target takes only files that come with the request",
            )),
        }
    }

    fn outcome(outcome: &Outcome<'_>, names: &HashMap<String, String>) -> Result<Self, Ineligible> {
        if !outcome.images.is_empty() {
            return Err(Ineligible("the target takes no pictures in tools' results"));
        }
        let name = names.get(&*outcome.id).cloned().ok_or(Ineligible(
            "a tool's result belongs to no call of the conversation",
        ))?;
        let said = joined(&outcome.texts, "\\n").ok_or(Ineligible("a tool's result is no text"))?;
        Ok(Self {
            function_response: Some(FunctionResponse {
                name,
                response: if outcome.failed {
                    Response::Error(said)
                } else {
                    Response::Output(said)
                },
            }),
            ..Self::default()
        })
    }
}
