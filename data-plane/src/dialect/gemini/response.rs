//! What whole and streamed responses have in common: candidates, why they ended, what is billed.
//!
//! Thoughts are billed as output. Some models count them among the tokens of their candidates, others
//! beside; the total tells which.

use std::borrow::Cow;

use agix_core::units::Tokens;
use agix_core::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::openai::Count;
use crate::dialect::splice::is_given;
use crate::dialect::{Finish, Refused};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(default, borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default, borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(default, borrow)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) model_version: Cow<'a, str>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default, borrow)]
    content: Option<Content<'a>>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, borrow)]
    parts: Option<Vec<Said<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said<'a> {
    #[serde(default, borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) thought: bool,
    #[serde(default, borrow)]
    pub(super) function_call: Option<FunctionCall<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(default, borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(default, borrow)]
    block_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<Count>,
    #[serde(rename = "toolUsePromptTokenCount")]
    tools: Option<Count>,
    #[serde(rename = "cachedContentTokenCount")]
    cached: Option<Count>,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<Count>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<Count>,
    #[serde(rename = "totalTokenCount")]
    total: Option<Count>,
}

impl<'a> Response<'a> {
    /// Reads a response.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The refusal it holds instead of an answer, if it does.
    pub(super) fn refused(&self) -> Option<Refused> {
        if let Some(error) = self.error.filter(|error| is_given(error)) {
            return Some(Refused::inside_answer(error.get()));
        }
        let blocked = self.prompt_feedback.as_ref()?.block_reason.as_deref()?;
        let answered = self
            .candidates
            .as_ref()
            .is_some_and(|list| !list.is_empty());
        let message = format!("the prompt was blocked: {blocked}");
        let error = serde_json::json!({ "code": "content_filter", "message": message });
        (!answered).then(|| Refused::inside_answer(&error.to_string()))
    }

    /// The first candidate, taken out.
    pub(super) fn candidate(&mut self) -> Option<Candidate<'a>> {
        let candidates = self.candidates.take()?;
        candidates
            .into_iter()
            .find(|candidate| candidate.index.unwrap_or(0) == 0)
    }

    /// What is billed, if it says so believably.
    pub(super) fn usage(&self) -> Option<Usage> {
        let report: Report = serde_json::from_str(self.usage_metadata?.get()).ok()?;
        report.usage()
    }
}

impl<'a> Candidate<'a> {
    /// What it says.
    pub(super) fn parts(&mut self) -> Vec<Said<'a>> {
        let content = self.content.take();
        content
            .and_then(|content| content.parts)
            .unwrap_or_default()
    }

    /// Why it ended, if it did.
    pub(super) fn finish(&self, called: bool) -> Option<Result<Finish, &'static str>> {
        let reason = self.finish_reason.as_deref()?;
        Some(match reason {
            "" | "FINISH_REASON_UNSPECIFIED" => return None,
            "STOP" if called => Ok(Finish::ToolCalls),
            "STOP" => Ok(Finish::Stop),
            "MAX_TOKENS" => Ok(Finish::Length),
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => Ok(Finish::ContentFilter),
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MISSING_THOUGHT_SIGNATURE"
            | "MALFORMED_RESPONSE" => Err("the model made a call or an answer that is none"),
            _ => Ok(Finish::Other),
        })
    }
}

impl Report {
    fn usage(&self) -> Option<Usage> {
        let count = |part: Option<Count>| part.unwrap_or_default().0;
        let prompt = self.prompt?.0 + count(self.tools);
        let cached = count(self.cached);
        let candidates = count(self.candidates);
        let thoughts = count(self.thoughts);
        let inclusive = self.total.is_some_and(|total| {
            total.0 == prompt + candidates && thoughts > 0 && thoughts <= candidates
        });
        let visible = if inclusive {
            candidates.checked_sub(thoughts)?
        } else {
            candidates
        };
        let reported = prompt + visible + thoughts > 0;
        reported.then_some(Usage {
            input: Tokens::new(prompt.checked_sub(cached)?),
            cached_input: Tokens::new(cached),
            output: Tokens::new(visible),
            reasoning: Tokens::new(thoughts),
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_billed_once_wherever_they_are_counted() {
        for (report, expected) in [
            (
                r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,
                    "thoughtsTokenCount":30,"totalTokenCount":150}"#,
                Some([60, 40, 20, 30]),
            ),
            (
                r#"{"promptTokenCount":100,"candidatesTokenCount":50,"thoughtsTokenCount":30,
                    "totalTokenCount":150}"#,
                Some([100, 0, 20, 30]),
            ),
            (
                r#"{"promptTokenCount":9,"totalTokenCount":9}"#,
                Some([9, 0, 0, 0]),
            ),
            (
                r#"{"promptTokenCount":9,"toolUsePromptTokenCount":5,"candidatesTokenCount":2}"#,
                Some([14, 0, 2, 0]),
            ),
            (
                r#"{"promptTokenCount":9,"cachedContentTokenCount":10}"#,
                None,
            ),
            (r#"{"promptTokenCount":-9,"candidatesTokenCount":2}"#, None),
            (r#"{"promptTokenCount":100000001}"#, None),
            (r#"{"candidatesTokenCount":2}"#, None),
            ("{}", None),
        ] {
            let json = format!(r#"{{"usageMetadata":{report}}}"#);
            let response = Response::read(&json).unwrap();
            let parts = response.usage().map(|usage| {
                [
                    usage.input,
                    usage.cached_input,
                    usage.output,
                    usage.reasoning,
                ]
                .map(Tokens::get)
            });
            assert_eq!(parts, expected, "{report}");
        }
    }
}
