//! Whole answers of an OpenAI-compatible provider. For a caller of the same dialect they pass as they
//! came and are read only to know that they are whole, that they are answers, and what they cost.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::choices::Outline;
use super::usage;
use crate::dialect::neutral::{Call, Part, Reply, Text, object_in};
use crate::dialect::{Answer, BadAnswer, Finish, Refused};

/// The list of vectors of an embeddings answer.
#[derive(Deserialize)]
struct Vectors {
    #[serde(default)]
    data: Vec<IgnoredAny>,
}

/// Reads the answer to a chat request.
pub(in crate::dialect) fn chat(body: Bytes) -> Result<Answer, BadAnswer> {
    let outline = outline(&body)?;
    let choices = outline
        .choices
        .filter(|choices| choices.count > 0)
        .ok_or(BadAnswer::Malformed("it has no choices"))?;
    if choices.failed {
        return Err(BadAnswer::Malformed("a choice ended in an error"));
    }
    Ok(Answer {
        usage: outline.reported().and_then(usage::of_chat),
        output_bytes: choices.bytes,
        model: outline.model(),
        finish: choices.finish,
        body,
    })
}

/// The first choice, for another dialect.
#[derive(Deserialize)]
struct Choices<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default, borrow)]
    message: Option<Message<'a>>,
    /// Of a completion of a text.
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    arguments: Option<Cow<'a, str>>,
}

/// Reads the answer to a chat request for another dialect.
pub(in crate::dialect) fn read(body: &[u8]) -> Result<Reply<'_>, BadAnswer> {
    const SHAPE: BadAnswer = BadAnswer::Malformed("its choices have an unknown shape");
    let outline = outline(body)?;
    if outline.choices.is_some_and(|choices| choices.failed) {
        return Err(BadAnswer::Malformed("a choice ended in an error"));
    }
    let parsed: Choices<'_> = serde_json::from_slice(body).map_err(|_shape| SHAPE)?;
    let first = parsed.choices.into_iter().next();
    let first = first.ok_or(BadAnswer::Malformed("it has no choices"))?;
    let reason = first.finish_reason.filter(|reason| !reason.is_empty());
    let reason = reason.ok_or(BadAnswer::Malformed("it does not say why it ended"))?;
    let message = match (first.message, first.text) {
        (Some(message), _) => message,
        (None, Some(text)) => Message::of_text(text),
        (None, None) => return Err(SHAPE),
    };
    let mut parts: Vec<_> = [message.content, message.refusal]
        .into_iter()
        .flatten()
        .filter_map(Text::new)
        .map(Part::Text)
        .collect();
    for (place, call) in message.tool_calls.into_iter().flatten().enumerate() {
        parts.push(Part::Call(call.read(place)?));
    }
    Ok(Reply {
        parts,
        finish: Finish::from_openai(&reason),
        usage: outline.reported().and_then(usage::of_chat),
        model: outline.model().unwrap_or_default().into(),
    })
}

impl<'a> Message<'a> {
    const fn of_text(text: &'a RawValue) -> Self {
        Self {
            content: Some(text),
            refusal: None,
            tool_calls: None,
        }
    }
}

impl<'a> ToolCall<'a> {
    fn read(self, place: usize) -> Result<Call<'a>, BadAnswer> {
        let arguments = object_in(self.function.arguments.as_deref().unwrap_or_default());
        let arguments = arguments.ok_or(BadAnswer::Malformed(
            "the arguments of a tool call are not a JSON object",
        ))?;
        let id = self.id.filter(|id| !id.is_empty());
        Ok(Call {
            id: id.unwrap_or_else(|| format!("call_{place}").into()),
            name: self.function.name,
            arguments: Cow::Owned(arguments),
        })
    }
}

/// Reads the answer to an embeddings request.
pub(in crate::dialect) fn embeddings(body: Bytes) -> Result<Answer, BadAnswer> {
    let outline = outline(&body)?;
    let has_vectors =
        serde_json::from_slice::<Vectors>(&body).is_ok_and(|vectors| !vectors.data.is_empty());
    if !has_vectors {
        return Err(BadAnswer::Malformed("it has no embeddings"));
    }
    Ok(Answer {
        usage: outline.reported().and_then(usage::of_embeddings),
        output_bytes: 0,
        model: outline.model(),
        finish: None,
        body,
    })
}

/// The refusal in a body that is an error and nothing else.
pub(in crate::dialect) fn error_of(body: &[u8]) -> Option<Refused> {
    let body = std::str::from_utf8(body).ok()?;
    let error = Outline::read(body)?.error(body)?;
    Some(Refused::inside_answer(error))
}

fn outline(body: &[u8]) -> Result<Outline<'_>, BadAnswer> {
    let body = std::str::from_utf8(body).unwrap_or_default();
    let outline = Outline::read(body).ok_or(BadAnswer::Malformed("it is not a JSON object"))?;
    match outline.error(body) {
        Some(error) => Err(BadAnswer::Refused(Refused::inside_answer(error))),
        None => Ok(outline),
    }
}

#[cfg(test)]
mod tests {
    use agix_core::failover::Refusal;
    use agix_core::units::Tokens;

    use super::*;
    use crate::dialect::Finish;

    const ANSWER: &str = r#"{ "id":"chatcmpl-1","object":"chat.completion","created":1,
        "model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant",
        "content":"Hi there","refusal":null},"logprobs":null,"finish_reason":"stop"}],
        "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11},"unknown":[{}]}"#;

    fn read(body: &'static str) -> Result<Answer, BadAnswer> {
        chat(Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn an_answer_passes_as_it_came() {
        let answer = read(ANSWER).unwrap();
        assert_eq!(answer.body.as_ptr(), ANSWER.as_ptr());
        assert_eq!(answer.usage.unwrap().input, Tokens::new(9));
        assert_eq!(answer.output_bytes, 8);
        assert_eq!(answer.model.as_deref(), Some("gpt-4o-2024-08-06"));
        assert_eq!(answer.finish, Some(Finish::Stop));
    }

    #[test]
    fn an_answer_without_a_believable_report_is_still_an_answer() {
        let answer =
            read(r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":-1}}"#)
                .unwrap();
        assert_eq!(answer.usage, None);
        assert_eq!(answer.finish, None);
    }

    #[test]
    fn what_is_no_answer_is_never_a_success() {
        for body in [
            "",
            "null",
            "<html>",
            "[]",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":null}"#,
            r#"{"choices":{}}"#,
            r#"{"choices":[{"message":"Hi"}]}"#,
            r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"error"}]}"#,
            "{\"choices\":[{}],\"x\":\"\u{0}\"}",
        ] {
            assert!(matches!(read(body), Err(BadAnswer::Malformed(_))), "{body}");
        }
        for end in 0..ANSWER.len() {
            let cut = chat(Bytes::from_static(&ANSWER.as_bytes()[..end]));
            assert!(matches!(cut, Err(BadAnswer::Malformed(_))), "cut at {end}");
        }
    }

    #[test]
    fn an_error_inside_a_success_is_a_refusal() {
        let Err(BadAnswer::Refused(refused)) = read(
            r#"{"error":{"message":"The server is overloaded","code":"server_is_overloaded"},"choices":[{}]}"#,
        ) else {
            panic!("it was taken for an answer");
        };
        assert_eq!(refused.status, 503);
        assert_eq!(refused.refusal, Refusal::Unavailable);
    }

    #[test]
    fn embeddings_pass_as_they_came() {
        let body = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],
            "model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        let answer = embeddings(Bytes::from_static(body.as_bytes())).unwrap();
        assert_eq!(answer.body.as_ptr(), body.as_ptr());
        assert_eq!(answer.usage.unwrap().input, Tokens::new(8));
        for body in [
            "{}",
            r#"{"data":[]}"#,
            r#"{"data":null}"#,
            r#"{"choices":[{}]}"#,
        ] {
            assert!(
                embeddings(Bytes::from_static(body.as_bytes())).is_err(),
                "{body}"
            );
        }
    }
}
