//! Whole answers of an OpenAI-compatible provider. They pass as they came; they are read only to
//! know that they are whole, that they are answers, and what they cost.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::choices::Outline;
use super::usage;
use crate::dialect::{Answer, BadAnswer, Refused};

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
