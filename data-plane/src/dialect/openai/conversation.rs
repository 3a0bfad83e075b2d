//! A caller's request, read for a target that speaks another dialect.
//!
//! Texts, pictures, documents, tools with their calls and results, and the shape of the answer are
//! carried over. A request that needs more than that makes the target ineligible, with the reason;
//! parameters that merely tune an answer are dropped by name.

mod message;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::message::Message;
use crate::dialect::neutral::{Conversation, Format, Text, Tool, ToolChoice};
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
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    parallel_tool_calls: Option<&'a RawValue>,
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
struct ToolEntry<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    description: Option<&'a RawValue>,
    #[serde(default, borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct Schema<'a> {
    #[serde(default, borrow)]
    name: Option<&'a RawValue>,
    #[serde(rename = "schema", default, borrow)]
    shape: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    json_schema: Option<Schema<'a>>,
}

/// Reads a request.
pub(in crate::dialect) fn read(request: &ChatRequest) -> Result<Conversation<'_>, Ineligible> {
    let body: Body<'_> = serde_json::from_slice(request.body())
        .map_err(|_shape| Ineligible("its messages have a shape that cannot be translated"))?;
    if request.choices() > 1 {
        return Err(Ineligible("the target gives one answer at a time (`n`)"));
    }
    body.refuse_what_is_not_carried_over()?;
    let mut conversation = Conversation {
        system: Vec::new(),
        turns: Vec::new(),
        tools: body.tools()?,
        tool_choice: body.tool_choice.map_or(Ok(None), tool_choice)?,
        one_call: body
            .parallel_tool_calls
            .is_some_and(|parallel| parallel.get() == "false"),
        format: body.format()?,
        max_output: request.max_output_tokens(),
        temperature: body.temperature.map(number).transpose()?,
        top_p: body.top_p.map(number).transpose()?,
        stop: body.stop.map(stop_texts).transpose()?.unwrap_or_default(),
        user: user(&body),
        stream: request.stream(),
        extras: Vec::new(),
        dropped: body.dropped(),
    };
    for message in &body.messages {
        message.add_to(&mut conversation)?;
    }
    conversation.with_a_turn()
}

impl<'a> Body<'a> {
    fn refuse_what_is_not_carried_over(&self) -> Result<(), Ineligible> {
        let given = |member: Option<&RawValue>| member.is_some_and(is_given);
        let more = [
            (
                given(self.functions),
                "`functions` are not translated for this target; `tools` are",
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
        match more.into_iter().find(|(needed, _)| *needed) {
            Some((_, reason)) => Err(Ineligible(reason)),
            None => Ok(()),
        }
    }

    fn format(&self) -> Result<Option<Format<'a>>, Ineligible> {
        const UNKNOWN: Ineligible = Ineligible("the target does not know the `response_format`");
        let Some(format) = self.response_format.filter(|format| is_given(format)) else {
            return Ok(None);
        };
        let format: ResponseFormat<'a> =
            serde_json::from_str(format.get()).map_err(|_shape| UNKNOWN)?;
        match &*format.kind {
            "text" => Ok(None),
            "json_object" => Ok(Some(Format::Object)),
            "json_schema" => {
                let asked = format.json_schema.ok_or(UNKNOWN)?;
                Ok(Some(Format::Schema {
                    name: asked.name.and_then(Text::new),
                    schema: asked.shape.ok_or(UNKNOWN)?,
                    strict: asked.strict == Some(true),
                }))
            }
            _ => Err(UNKNOWN),
        }
    }

    fn tools(&self) -> Result<Vec<Tool<'a>>, Ineligible> {
        let Some(tools) = self.tools.filter(|tools| is_given(tools)) else {
            return Ok(Vec::new());
        };
        let tools: Vec<ToolEntry<'a>> = serde_json::from_str(tools.get())
            .map_err(|_shape| Ineligible("`tools` have a shape that cannot be translated"))?;
        tools
            .into_iter()
            .map(|entry| {
                let function = entry.function.filter(|_| entry.kind == "function");
                let function = function.ok_or(Ineligible(
                    "only tools of the type `function` are translated for this target",
                ))?;
                Ok(Tool {
                    name: function.name,
                    description: function.description.and_then(Text::new),
                    schema: function.parameters.filter(|schema| is_object(schema)),
                    strict: function.strict == Some(true),
                })
            })
            .collect()
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

/// The tools that are to be called, by one word or by name.
fn tool_choice(value: &RawValue) -> Result<Option<ToolChoice<'_>>, Ineligible> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        function: Name<'a>,
    }
    #[derive(Deserialize)]
    struct Name<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    Ok(match value.get() {
        "null" => None,
        "\"auto\"" => Some(ToolChoice::Auto),
        "\"required\"" => Some(ToolChoice::Any),
        "\"none\"" => Some(ToolChoice::None),
        other => {
            let named: Named<'_> = serde_json::from_str(other)
                .map_err(|_shape| Ineligible("the target does not know the `tool_choice`"))?;
            Some(ToolChoice::One(named.function.name))
        }
    })
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// Who the answer is for; the newer name first.
fn user(body: &Body<'_>) -> Option<String> {
    [body.safety_identifier, body.user]
        .into_iter()
        .flatten()
        .filter_map(|name| serde_json::from_str::<String>(name.get()).ok())
        .find(|name| !name.is_empty())
}

/// `temperature` or `top_p`, which must be a number.
pub(in crate::dialect) fn number(value: &RawValue) -> Result<&RawValue, Ineligible> {
    match value.get().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(value),
        _ => Err(Ineligible("`temperature` or `top_p` is not a number")),
    }
}

/// Whether a number is another one than zero.
pub(in crate::dialect) fn is_not_zero(value: &RawValue) -> bool {
    value.get().parse() != Ok(0.0)
}

/// `stop`, one text or a list of them.
pub(in crate::dialect) fn stop_texts(value: &RawValue) -> Result<Vec<String>, Ineligible> {
    let text = value.get();
    if text.starts_with('"') {
        serde_json::from_str(text).map(|text| vec![text])
    } else {
        serde_json::from_str(text)
    }
    .map_err(|_shape| Ineligible("`stop` is neither a text nor a list of texts"))
}
