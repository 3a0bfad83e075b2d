//! A caller's request for the completion of a text, read for a target that only chats: the prompt is
//! what the user says.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::neutral::{Conversation, Extra, Part, Role, Text};
use crate::dialect::openai::conversation::{is_not_zero, number, stop_texts};
use crate::dialect::splice::is_given;
use crate::dialect::{ChatRequest, Ineligible, InvalidRequest};

/// The bound on output where a request has none, as the protocol wants it.
const USUAL_OUTPUT: u64 = 16;

/// The members of a request that another dialect may have to know.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(default, borrow)]
    suffix: Option<&'a RawValue>,
    #[serde(default, borrow)]
    echo: Option<&'a RawValue>,
    #[serde(default, borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(default, borrow)]
    best_of: Option<&'a RawValue>,
    #[serde(default, borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(default, borrow)]
    top_p: Option<&'a RawValue>,
    #[serde(default, borrow)]
    stop: Option<&'a RawValue>,
    #[serde(default, borrow)]
    frequency_penalty: Option<&'a RawValue>,
    #[serde(default, borrow)]
    presence_penalty: Option<&'a RawValue>,
    #[serde(default, borrow)]
    logit_bias: Option<&'a RawValue>,
    #[serde(default, borrow)]
    seed: Option<&'a RawValue>,
    #[serde(default)]
    user: Option<String>,
}

/// Refuses what agix does not do for callers of completions: a call is one prompt, and is billed as
/// many answers as it gets.
pub(in crate::dialect) fn check(body: &[u8]) -> Result<(), InvalidRequest> {
    let wrong = |param, message: &str| InvalidRequest {
        message: message.to_owned(),
        param: Some(param),
    };
    let body: Body<'_> = serde_json::from_slice(body)
        .map_err(|shape| InvalidRequest::body(format!("the body cannot be read: {shape}")))?;
    if body.best_of.is_some_and(|best_of| best_of.get() != "1") {
        let message = "`best_of` is not supported: its other answers would be billed unseen";
        return Err(wrong("best_of", message));
    }
    let message = match body.prompts() {
        Some(Prompts::One(_)) => return Ok(()),
        Some(Prompts::Several) => "several prompts at once are not supported: send each by itself",
        Some(Prompts::Tokens) => "a `prompt` of tokens is not supported: send it as a text",
        None => "`prompt` must be a text",
    };
    Err(wrong("prompt", message))
}

/// Reads a request.
pub(in crate::dialect) fn read(request: &ChatRequest) -> Result<Conversation<'_>, Ineligible> {
    let mut body: Body<'_> = serde_json::from_slice(request.body())
        .map_err(|_shape| Ineligible("the request has a shape that cannot be translated"))?;
    body.refuse_what_is_not_carried_over(request.choices())?;
    let Some(Prompts::One(prompt)) = body.prompts() else {
        return Err(Ineligible("the request has no prompt"));
    };
    let mut conversation = Conversation {
        system: Vec::new(),
        turns: Vec::new(),
        tools: Vec::new(),
        tool_choice: None,
        one_call: false,
        format: None,
        max_output: Some(request.max_output_tokens().unwrap_or(USUAL_OUTPUT)),
        temperature: body.temperature.map(number).transpose()?,
        top_p: body.top_p.map(number).transpose()?,
        stop: body.stop.map(stop_texts).transpose()?.unwrap_or_default(),
        user: body.user.take().filter(|user| !user.is_empty()),
        stream: request.stream(),
        extras: body.extras(),
        dropped: Vec::new(),
    };
    conversation.say(Role::User, [Part::Text(prompt)]);
    conversation.with_a_turn()
}

/// What a prompt holds.
enum Prompts<'a> {
    One(Text<'a>),
    Several,
    Tokens,
}

impl<'a> Body<'a> {
    fn prompts(&self) -> Option<Prompts<'a>> {
        let prompt = self.prompt?;
        if let Some(text) = Text::new(prompt) {
            return Some(Prompts::One(text));
        }
        let list: Vec<&'a RawValue> = serde_json::from_str(prompt.get()).ok()?;
        match list.as_slice() {
            [] => None,
            [one] => Some(Text::new(one).map_or(Prompts::Tokens, Prompts::One)),
            [first, ..] if Text::new(first).is_some() => Some(Prompts::Several),
            [..] => Some(Prompts::Tokens),
        }
    }

    fn refuse_what_is_not_carried_over(&self, choices: u32) -> Result<(), Ineligible> {
        let given = |member: Option<&RawValue>| member.is_some_and(is_given);
        let more = [
            (choices > 1, "the target gives one answer at a time (`n`)"),
            (
                given(self.suffix),
                "the target does not complete a text up to a `suffix`",
            ),
            (given(self.echo), "the target does not repeat the prompt"),
            (given(self.logprobs), "the target reports no logprobs"),
        ];
        match more.into_iter().find(|(needed, _)| *needed) {
            Some((_, reason)) => Err(Ineligible(reason)),
            None => Ok(()),
        }
    }

    /// What chat completions have as well. One at its default changes nothing.
    fn extras(&self) -> Vec<Extra<'a>> {
        let not_zero = |value: Option<&'a RawValue>| value.filter(|value| is_not_zero(value));
        [
            ("frequency_penalty", not_zero(self.frequency_penalty)),
            ("presence_penalty", not_zero(self.presence_penalty)),
            (
                "logit_bias",
                self.logit_bias.filter(|value| is_given(value)),
            ),
            ("seed", self.seed),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            value.map(|value| Extra {
                asked_as: name,
                chat: name,
                value,
            })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_prompt() {
        for (members, param) in [
            (r#""prompt":["a","b"]"#, "prompt"),
            (r#""prompt":[1,2]"#, "prompt"),
            (r#""prompt":[[1,2]]"#, "prompt"),
            (r#""prompt":[]"#, "prompt"),
            (r#""prompt":1"#, "prompt"),
            (r#""prompt":null"#, "prompt"),
            (r#""prompt":"a","best_of":2"#, "best_of"),
        ] {
            let body = format!("{{{members}}}");
            let refused = check(body.as_bytes()).expect_err(members);
            assert_eq!(refused.param, Some(param), "{members}");
        }
        assert!(check(b"{}").is_err());
        for members in [
            r#""prompt":"a""#,
            r#""prompt":["a"]"#,
            r#""prompt":"a","best_of":1"#,
            r#""prompt":"a","best_of":null,"echo":true"#,
        ] {
            assert_eq!(check(format!("{{{members}}}").as_bytes()), Ok(()));
        }
    }
}
