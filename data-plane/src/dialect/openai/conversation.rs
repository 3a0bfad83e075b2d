//! A caller's request, read for a target that speaks another dialect.
//!
//! Only conversations in text are carried over. A request that needs more than that makes the
//! target ineligible, with the reason; parameters that merely tune an answer are dropped by name.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::neutral::{Conversation, Role, Text};
use crate::dialect::splice::is_given;
use crate::dialect::{ChatRequest, Ineligible};

/// The members of a request that another dialect may have to know.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    top_p: Option<&'a RawValue>,
    #[serde(borrow)]
    stop: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    safety_identifier: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    top_logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    modalities: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    web_search_options: Option<&'a RawValue>,
    #[serde(borrow)]
    frequency_penalty: Option<&'a RawValue>,
    #[serde(borrow)]
    presence_penalty: Option<&'a RawValue>,
    #[serde(borrow)]
    logit_bias: Option<&'a RawValue>,
    #[serde(borrow)]
    seed: Option<&'a RawValue>,
    #[serde(borrow)]
    prediction: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow)]
    verbosity: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    store: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    moderation: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_cache_key: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

/// Reads a request.
pub(in crate::dialect) fn read(request: &ChatRequest) -> Result<Conversation<'_>, Ineligible> {
    let body: Body<'_> = serde_json::from_slice(request.body())
        .map_err(|_shape| Ineligible("its messages have a shape that cannot be translated"))?;
    if request.choices() > 1 {
        return Err(Ineligible("the target gives one answer at a time (`n`)"));
    }
    body.refuse_what_is_more_than_text()?;
    let mut dropped = body.dropped();
    let stop = body.stop.map(stop_texts).transpose()?.unwrap_or_default();
    let (stop, blank): (Vec<_>, Vec<_>) =
        stop.into_iter().partition(|text| !text.trim().is_empty());
    // No other dialect takes a blank one.
    dropped.extend((!blank.is_empty()).then_some("stop"));
    let mut conversation = Conversation {
        system: Vec::new(),
        turns: Vec::new(),
        max_output: request.max_output_tokens(),
        temperature: body.temperature.map(number).transpose()?,
        top_p: body.top_p.map(number).transpose()?,
        stop,
        user: user(&body),
        stream: request.stream(),
        dropped,
    };
    for message in &body.messages {
        message.add_to(&mut conversation)?;
    }
    conversation.with_a_turn()
}

impl Body<'_> {
    fn refuse_what_is_more_than_text(&self) -> Result<(), Ineligible> {
        let given = |member: Option<&RawValue>| member.is_some_and(is_given);
        let more = [
            (
                given(self.tools) || given(self.functions),
                "tools are not translated for this target",
            ),
            (
                given(self.logprobs) || self.top_logprobs.is_some_and(is_not_zero),
                "the target reports no logprobs",
            ),
            (
                given(self.audio)
                    || self
                        .modalities
                        .is_some_and(|list| list.get().contains("\"audio\"")),
                "the target gives no audio",
            ),
            (
                given(self.web_search_options),
                "web search is not translated for this target",
            ),
        ];
        if let Some((_, reason)) = more.into_iter().find(|(needed, _)| *needed) {
            return Err(Ineligible(reason));
        }
        let Some(format) = self.response_format.filter(|format| is_given(format)) else {
            return Ok(());
        };
        let format: Option<ResponseFormat<'_>> = serde_json::from_str(format.get()).ok();
        match format.as_ref().map(|format| &*format.kind) {
            Some("text") => Ok(()),
            Some("json_schema") => Err(Ineligible(
                "json_schema answers are not translated for this target",
            )),
            Some("json_object") => Err(Ineligible(
                "json_object answers are not translated for this target",
            )),
            _ => Err(Ineligible("the target does not know the `response_format`")),
        }
    }

    /// Parameters that were given and that other dialects do not have. One at its default changes
    /// nothing and is not named.
    fn dropped(&self) -> Vec<&'static str> {
        let named = self.messages.iter().any(|message| message.name.is_some());
        [
            (
                "frequency_penalty",
                self.frequency_penalty.is_some_and(is_not_zero),
            ),
            (
                "presence_penalty",
                self.presence_penalty.is_some_and(is_not_zero),
            ),
            ("logit_bias", self.logit_bias.is_some_and(is_given)),
            ("seed", self.seed.is_some()),
            ("prediction", self.prediction.is_some()),
            ("reasoning_effort", self.reasoning_effort.is_some()),
            ("verbosity", self.verbosity.is_some()),
            (
                "service_tier",
                self.service_tier
                    .is_some_and(|tier| tier.get() != "\"auto\""),
            ),
            ("store", self.store.is_some_and(is_given)),
            ("metadata", self.metadata.is_some_and(is_given)),
            ("moderation", self.moderation.is_some_and(is_given)),
            ("prompt_cache_key", self.prompt_cache_key.is_some()),
            ("messages.name", named),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

impl<'a> Message<'a> {
    fn add_to(&self, conversation: &mut Conversation<'a>) -> Result<(), Ineligible> {
        let calls = [self.tool_calls, self.function_call];
        if calls.into_iter().flatten().any(is_given) {
            return Err(Ineligible("tool calls are not translated for this target"));
        }
        if self.audio.is_some_and(is_given) {
            return Err(Ineligible("audio is not translated for this target"));
        }
        let texts = self.texts()?;
        match &*self.role {
            "system" | "developer" if conversation.turns.is_empty() => {
                let texts = texts.into_iter().filter(|text| !text.is_blank());
                conversation.system.extend(texts);
            }
            // Instructions in the middle keep their place; no role there stands for them.
            "system" | "developer" | "user" => conversation.say(Role::User, texts),
            "assistant" => conversation.say(Role::Assistant, texts),
            "tool" | "function" => {
                return Err(Ineligible(
                    "tool results are not translated for this target",
                ));
            }
            _ => return Err(Ineligible("a message has a role the target does not know")),
        }
        Ok(())
    }

    fn texts(&self) -> Result<Vec<Text<'a>>, Ineligible> {
        let Some(content) = self.content else {
            return Ok(Vec::new());
        };
        if let Some(text) = Text::new(content) {
            return Ok(vec![text]);
        }
        let parts: Vec<Part<'a>> = serde_json::from_str(content.get())
            .map_err(|_shape| Ineligible("a message's content is neither text nor parts"))?;
        parts.iter().map(Part::text).collect()
    }
}

impl<'a> Part<'a> {
    fn text(&self) -> Result<Text<'a>, Ineligible> {
        let text = match &*self.kind {
            "text" => self.text,
            "refusal" => self.refusal,
            "image_url" => return Err(Ineligible("images are not translated for this target")),
            "input_audio" => return Err(Ineligible("audio is not translated for this target")),
            "file" => return Err(Ineligible("files are not translated for this target")),
            _ => return Err(Ineligible("a message has a part the target does not know")),
        };
        text.and_then(Text::new)
            .ok_or(Ineligible("a text part has no text"))
    }
}

/// Who the answer is for; the newer name first.
fn user(body: &Body<'_>) -> Option<String> {
    [body.safety_identifier, body.user]
        .into_iter()
        .flatten()
        .filter_map(|name| serde_json::from_str::<String>(name.get()).ok())
        .find(|name| !name.is_empty())
}

fn number(value: &RawValue) -> Result<&RawValue, Ineligible> {
    match value.get().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(value),
        _ => Err(Ineligible("`temperature` or `top_p` is not a number")),
    }
}

fn is_not_zero(value: &RawValue) -> bool {
    value.get().parse() != Ok(0.0)
}

/// `stop`, one text or a list of them.
fn stop_texts(value: &RawValue) -> Result<Vec<String>, Ineligible> {
    let text = value.get();
    if text.starts_with('"') {
        serde_json::from_str(text).map(|text| vec![text])
    } else {
        serde_json::from_str(text)
    }
    .map_err(|_shape| Ineligible("`stop` is neither a text nor a list of texts"))
}
