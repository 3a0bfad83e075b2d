//! Answers of another dialect, written for a caller of this one.

use agix_core::units::Tokens;
use agix_core::usage::Usage;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::relay::DONE;
use crate::dialect::neutral::{Reply, Step, Text};
use crate::dialect::{AnswerIds, Finish};

/// Writes the events of one stream.
#[derive(Debug)]
pub(in crate::dialect) struct StreamWriter {
    /// Every event up to its choices.
    head: String,
    /// Whether the caller wants usage.
    usage_asked: bool,
}

/// The head that answers and events have in common.
#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a str>,
}

/// How a stream calls itself, as its events say.
#[derive(Serialize, Deserialize)]
struct Name<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    object: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    created: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    model: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a RawValue>,
}

/// A report of usage.
#[derive(Debug, Serialize)]
pub(in crate::dialect) struct Report {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl From<&Usage> for Report {
    fn from(usage: &Usage) -> Self {
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        let total = usage.total_input().saturating_add(usage.total_output());
        Self {
            prompt_tokens: usage.total_input().get(),
            completion_tokens: usage.total_output().get(),
            total_tokens: total.get(),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached_input.get(),
                cache_write_tokens: (written > Tokens::ZERO).then_some(written.get()),
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning.get(),
            },
        }
    }
}

impl StreamWriter {
    /// A writer of a stream with this name and model. `fingerprint` is for answers that no provider
    /// made.
    pub(in crate::dialect) fn new(
        ids: &AnswerIds,
        model: &str,
        fingerprint: Option<&str>,
        usage_asked: bool,
    ) -> Self {
        Self {
            head: head("chat.completion.chunk", ids, model, fingerprint),
            usage_asked,
        }
    }

    /// A writer that goes on with a stream that has begun.
    pub(in crate::dialect) const fn resumed(head: String, usage_asked: bool) -> Self {
        Self { head, usage_asked }
    }

    /// How a stream calls itself, by the data of one of its events.
    pub(in crate::dialect) fn head_of(data: &str) -> Option<String> {
        let name: Name<'_> = serde_json::from_str(data).ok()?;
        let mut head = to_json(&name);
        head.pop();
        // An event that says nothing of all that is not one of this protocol.
        (head.len() > 1).then_some(head)
    }

    /// Appends the event that ends these choices, a bit for each index, by the bound on their
    /// length.
    pub(in crate::dialect) fn cut(&self, choices: u128, out: &mut BytesMut) {
        let ends: Vec<_> = (0..u128::BITS)
            .filter(|index| choices & 1_u128.checked_shl(*index).unwrap_or(0) != 0)
            .map(|index| {
                format!(
                    r#"{{"index":{index},"delta":{{}},"logprobs":null,"finish_reason":"length"}}"#
                )
            })
            .collect();
        if ends.is_empty() {
            return;
        }
        let usage = if self.usage_asked {
            r#","usage":null"#
        } else {
            ""
        };
        let event = [
            "data: ",
            &self.head,
            r#","choices":["#,
            &ends.join(","),
            "]",
            usage,
            "}\n\n",
        ];
        out.extend_from_slice(event.concat().as_bytes());
    }

    /// Appends the event of one step.
    pub(in crate::dialect) fn write(&self, step: &Step<'_>, out: &mut BytesMut) {
        match step {
            Step::Begin => self.choice(
                &[r#"{"role":"assistant","content":"","refusal":null}"#],
                None,
                out,
            ),
            Step::Say(text) => self.choice(&[r#"{"content":""#, text.inner(), r#""}"#], None, out),
            Step::End(finish) => self.choice(&["{}"], Some(*finish), out),
            Step::Done => out.extend_from_slice(DONE),
        }
    }

    /// The event that carries only usage, if the caller wants it.
    pub(in crate::dialect) fn usage(&self, usage: &Usage) -> Option<Bytes> {
        if !self.usage_asked {
            return None;
        }
        let report = to_json(&Report::from(usage));
        let event = [
            "data: ",
            &self.head,
            r#","choices":[],"usage":"#,
            &report,
            "}\n\n",
        ];
        Some(event.concat().into())
    }

    fn choice(&self, delta: &[&str], finish: Option<Finish>, out: &mut BytesMut) {
        let pieces = ["data: ", &self.head, r#","choices":[{"index":0,"delta":"#];
        for piece in pieces.iter().chain(delta) {
            out.extend_from_slice(piece.as_bytes());
        }
        let end = [
            r#","logprobs":null,"finish_reason":"#,
            finish.map_or("null", Finish::as_openai_json),
            if self.usage_asked {
                r#"}],"usage":null}"#
            } else {
                "}]}"
            },
            "\n\n",
        ];
        for piece in end {
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

/// A whole answer.
pub(in crate::dialect) fn whole(
    ids: &AnswerIds,
    reply: &Reply<'_>,
    fingerprint: Option<&str>,
) -> Bytes {
    let head = head("chat.completion", ids, &reply.model, fingerprint);
    let report = reply
        .usage
        .as_ref()
        .map(|usage| to_json(&Report::from(usage)));
    let mut body = BytesMut::with_capacity(head.len() + 512);
    let before = [
        head.as_str(),
        r#","choices":[{"index":0,"message":{"role":"assistant","content":""#,
    ];
    let after = [
        r#"","refusal":null},"logprobs":null,"finish_reason":"#,
        reply.finish.as_openai_json(),
        "}]",
    ];
    let usage = report.as_ref().map(|report| [r#","usage":"#, report]);
    let pieces = before
        .into_iter()
        .chain(reply.texts.iter().map(|text| Text::inner(*text)))
        .chain(after)
        .chain(usage.into_iter().flatten())
        .chain(["}"]);
    for piece in pieces {
        body.extend_from_slice(piece.as_bytes());
    }
    body.freeze()
}

/// The head of an answer or event, without the brace that would close it.
fn head(object: &'static str, ids: &AnswerIds, model: &str, fingerprint: Option<&str>) -> String {
    let mut head = to_json(&Head {
        id: &ids.id,
        object,
        created: ids.created,
        model,
        system_fingerprint: fingerprint,
    });
    head.pop();
    head
}

/// JSON of a structure of numbers and texts, which always has one.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl Finish {
    /// The reason as JSON. One that agix does not know ended the answer all the same.
    const fn as_openai_json(self) -> &'static str {
        match self {
            Self::Stop | Self::Other => r#""stop""#,
            Self::Length => r#""length""#,
            Self::ToolCalls => r#""tool_calls""#,
            Self::ContentFilter => r#""content_filter""#,
        }
    }
}
