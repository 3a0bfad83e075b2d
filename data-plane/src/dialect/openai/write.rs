//! Answers of another dialect, written for a caller of this one.

use agix_core::units::Tokens;
use agix_core::usage::Usage;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::neutral::{Call, Part, Reply, Step, Text};
use crate::dialect::{AnswerIds, Finish};

/// Writes the events of one stream.
#[derive(Debug)]
pub(in crate::dialect) struct StreamWriter {
    name: AnswerIds,
    fingerprint: Option<&'static str>,
    /// Every event up to its choices; empty until the model is known.
    head: String,
    /// How many calls there were.
    calls: usize,
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
    /// A writer of a stream with this name. `fingerprint` is for answers that no provider made.
    pub(in crate::dialect) fn new(
        ids: &AnswerIds,
        fingerprint: Option<&'static str>,
        usage_asked: bool,
    ) -> Self {
        Self {
            name: ids.clone(),
            fingerprint,
            head: String::new(),
            calls: 0,
            usage_asked,
        }
    }

    /// A writer that goes on with a stream that has begun.
    pub(in crate::dialect) const fn resumed(head: String, usage_asked: bool) -> Self {
        Self {
            name: AnswerIds {
                id: String::new(),
                created: 0,
            },
            fingerprint: None,
            head,
            calls: 0,
            usage_asked,
        }
    }

    /// Appends the event that begins the answer of this model.
    pub(in crate::dialect) fn begin(&mut self, model: &str, out: &mut BytesMut) {
        self.head = head("chat.completion.chunk", &self.name, model, self.fingerprint);
        self.choice(
            &[r#"{"role":"assistant","content":"","refusal":null}"#],
            None,
            out,
        );
    }

    /// Appends a sign of life.
    pub(in crate::dialect) fn alive(out: &mut BytesMut) {
        out.extend_from_slice(b": keep-alive\n\n");
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
    /// length. `empty` is the member that says nothing more.
    pub(in crate::dialect) fn cut(&self, choices: u128, empty: &str, out: &mut BytesMut) {
        let ends: Vec<_> = (0..u128::BITS)
            .filter(|index| choices & 1_u128.checked_shl(*index).unwrap_or(0) != 0)
            .map(|index| {
                format!(r#"{{"index":{index},{empty},"logprobs":null,"finish_reason":"length"}}"#)
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

    /// Appends the event of one step of an answer that has begun.
    pub(in crate::dialect) fn write(&mut self, step: &Step<'_>, out: &mut BytesMut) {
        match step {
            Step::Say(text) => self.choice(&[r#"{"content":""#, text.inner(), r#""}"#], None, out),
            Step::Call { id, name } => {
                let index = self.calls.to_string();
                self.calls = self.calls.saturating_add(1);
                let (id, name) = (to_json(id), to_json(name));
                let delta = [
                    r#"{"tool_calls":[{"index":"#,
                    &index,
                    r#","id":"#,
                    &id,
                    r#","type":"function","function":{"name":"#,
                    &name,
                    r#","arguments":""}}]}"#,
                ];
                self.choice(&delta, None, out);
            }
            Step::Arguments { call, piece } => {
                let index = call.to_string();
                let delta = [
                    r#"{"tool_calls":[{"index":"#,
                    &index,
                    r#","function":{"arguments":""#,
                    piece.inner(),
                    r#""}}]}"#,
                ];
                self.choice(&delta, None, out);
            }
            Step::End(finish) => self.choice(&["{}"], Some(*finish), out),
            Step::Begin { .. } | Step::Think | Step::Alive => {}
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
    let texts: Vec<_> = reply.parts.iter().filter_map(text).collect();
    let calls: Vec<_> = reply.parts.iter().filter_map(tool_call).collect();
    let mut body = BytesMut::with_capacity(head.len() + 512);
    let before = [
        head.as_str(),
        r#","choices":[{"index":0,"message":{"role":"assistant","content":"#,
    ];
    // An answer that only calls tools says nothing, which is not the same as an empty text.
    let said = !texts.is_empty() || calls.is_empty();
    let quote = if said { "\"" } else { "null" };
    let after = [r#","refusal":null"#];
    let calls = (!calls.is_empty()).then(|| format!(r#","tool_calls":[{}]"#, calls.join(",")));
    let end = [
        r#"},"logprobs":null,"finish_reason":"#,
        reply.finish.as_openai_json(),
        "}]",
    ];
    let usage = report.as_ref().map(|report| [r#","usage":"#, report]);
    let pieces = before
        .into_iter()
        .chain([quote])
        .chain(texts)
        .chain(said.then_some(quote))
        .chain(after)
        .chain(calls.as_deref())
        .chain(end)
        .chain(usage.into_iter().flatten())
        .chain(["}"]);
    for piece in pieces {
        body.extend_from_slice(piece.as_bytes());
    }
    body.freeze()
}

fn text<'a>(part: &Part<'a>) -> Option<&'a str> {
    match part {
        Part::Text(text) => Some(Text::inner(*text)),
        Part::Call(_) | Part::Media(_) | Part::Outcome(_) => None,
    }
}

/// A call as an answer has it.
fn tool_call(part: &Part<'_>) -> Option<String> {
    match part {
        Part::Call(call) => Some(to_json(&ToolCall::from(call))),
        Part::Text(_) | Part::Media(_) | Part::Outcome(_) => None,
    }
}

/// A call of a tool.
#[derive(Serialize)]
pub(super) struct ToolCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    /// JSON in a text.
    arguments: &'a str,
}

impl<'a> From<&'a Call<'_>> for ToolCall<'a> {
    fn from(call: &'a Call<'_>) -> Self {
        Self {
            id: &call.id,
            kind: "function",
            function: Function {
                name: &call.name,
                arguments: call.arguments.get(),
            },
        }
    }
}

/// The head of an answer or event, without the brace that would close it.
pub(in crate::dialect) fn head(
    object: &'static str,
    ids: &AnswerIds,
    model: &str,
    fingerprint: Option<&str>,
) -> String {
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
pub(in crate::dialect) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl Finish {
    /// The reason as JSON. One that agix does not know ended the answer all the same.
    pub(in crate::dialect) const fn as_openai_json(self) -> &'static str {
        match self {
            Self::Stop | Self::Other => r#""stop""#,
            Self::Length => r#""length""#,
            Self::ToolCalls => r#""tool_calls""#,
            Self::ContentFilter => r#""content_filter""#,
        }
    }
}
