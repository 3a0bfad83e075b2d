//! A caller's request for a response, read for a target that speaks another dialect.
//!
//! Messages, pictures, documents, functions with their calls and results, and the shape of the
//! answer are carried over. Reasoning of earlier answers is not: no other model can go on with it.
//! What chat completions know under a name of their own is handed to targets that speak them, and
//! dropped by name for others.

mod item;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::item::Item;
use crate::dialect::neutral::{Conversation, Extra, Format, Part, Role, Text, Tool, ToolChoice};
use crate::dialect::openai::conversation::number;
use crate::dialect::splice::is_given;
use crate::dialect::{ChatRequest, Ineligible};

/// The members of a request that another dialect may have to know.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(default, borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tools: Option<Vec<ToolEntry<'a>>>,
    #[serde(default, borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(default)]
    parallel_tool_calls: Option<bool>,
    #[serde(default, borrow)]
    text: Option<TextOptions<'a>>,
    #[serde(default, borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(default, borrow)]
    top_p: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<Reasoning<'a>>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    safety_identifier: Option<String>,
    #[serde(default, borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(default, borrow)]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(default, borrow)]
    prompt_cache_retention: Option<&'a RawValue>,
    #[serde(default, borrow)]
    truncation: Option<&'a RawValue>,
    #[serde(default, borrow)]
    include: Option<&'a RawValue>,
    #[serde(default, borrow)]
    context_management: Option<&'a RawValue>,
    #[serde(default, borrow)]
    moderation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolEntry<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    description: Option<&'a RawValue>,
    #[serde(default, borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct TextOptions<'a> {
    #[serde(default, borrow)]
    format: Option<TextFormat<'a>>,
    #[serde(default, borrow)]
    verbosity: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TextFormat<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    name: Option<&'a RawValue>,
    #[serde(default, borrow)]
    schema: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(default, borrow)]
    effort: Option<&'a RawValue>,
    #[serde(default, borrow)]
    summary: Option<&'a RawValue>,
    #[serde(default, borrow)]
    generate_summary: Option<&'a RawValue>,
}

/// Reads a request.
pub(in crate::dialect) fn read(request: &ChatRequest) -> Result<Conversation<'_>, Ineligible> {
    let mut body: Body<'_> = serde_json::from_slice(request.body())
        .map_err(|_shape| Ineligible("the request has a shape that cannot be translated"))?;
    let mut conversation = Conversation {
        system: body.instructions()?,
        turns: Vec::new(),
        tools: tools(body.tools.take())?,
        tool_choice: body.tool_choice.map_or(Ok(None), tool_choice)?,
        one_call: body.parallel_tool_calls == Some(false),
        format: body.format()?,
        max_output: request.max_output_tokens(),
        temperature: body.temperature.map(number).transpose()?,
        top_p: body.top_p.map(number).transpose()?,
        stop: Vec::new(),
        user: [body.safety_identifier.take(), body.user.take()]
            .into_iter()
            .flatten()
            .find(|name| !name.is_empty()),
        stream: request.stream(),
        extras: body.extras(),
        dropped: body.dropped(),
    };
    if let Some(text) = Text::new(body.input) {
        conversation.say(Role::User, [Part::Text(text)]);
        return conversation.with_a_turn();
    }
    let items: Vec<Item<'_>> = serde_json::from_str(body.input.get())
        .map_err(|_shape| Ineligible("an item of `input` has a shape that cannot be translated"))?;
    for item in items {
        item.add_to(&mut conversation)?;
    }
    conversation.with_a_turn()
}

impl<'a> Body<'a> {
    fn instructions(&self) -> Result<Vec<Text<'a>>, Ineligible> {
        let Some(raw) = self.instructions else {
            return Ok(Vec::new());
        };
        let text = Text::new(raw).ok_or(Ineligible("`instructions` are not a text"))?;
        Ok([text].into_iter().filter(|text| !text.is_blank()).collect())
    }

    fn format(&self) -> Result<Option<Format<'a>>, Ineligible> {
        const UNKNOWN: Ineligible = Ineligible("the target does not know the `text.format`");
        let Some(format) = self.text.as_ref().and_then(|text| text.format.as_ref()) else {
            return Ok(None);
        };
        match &*format.kind {
            "text" => Ok(None),
            "json_object" => Ok(Some(Format::Object)),
            "json_schema" => Ok(Some(Format::Schema {
                name: format.name.and_then(Text::new),
                schema: format.schema.ok_or(UNKNOWN)?,
                strict: format.strict == Some(true),
            })),
            _ => Err(UNKNOWN),
        }
    }

    /// What chat completions know by other names. One at its default changes nothing.
    fn extras(&self) -> Vec<Extra<'a>> {
        let effort = self.reasoning.as_ref().and_then(|thinks| thinks.effort);
        let verbosity = self.text.as_ref().and_then(|text| text.verbosity);
        let tier = self.service_tier.filter(|tier| tier.get() != "\"auto\"");
        [
            ("reasoning.effort", "reasoning_effort", effort),
            ("text.verbosity", "verbosity", verbosity),
            ("service_tier", "service_tier", tier),
            (
                "prompt_cache_key",
                "prompt_cache_key",
                self.prompt_cache_key,
            ),
            (
                "prompt_cache_retention",
                "prompt_cache_retention",
                self.prompt_cache_retention,
            ),
        ]
        .into_iter()
        .filter_map(|(asked_as, chat, value)| {
            value.filter(|value| is_given(value)).map(|value| Extra {
                asked_as,
                chat,
                value,
            })
        })
        .collect()
    }

    /// Parameters that were given and that no other dialect has.
    fn dropped(&self) -> Vec<&'static str> {
        let given = |member: Option<&RawValue>| member.is_some_and(is_given);
        let reasoning = self.reasoning.as_ref();
        let summary = reasoning.and_then(|asked| asked.summary.or(asked.generate_summary));
        [
            ("reasoning.summary", given(summary)),
            (
                "truncation",
                self.truncation
                    .is_some_and(|how| how.get() != "\"disabled\""),
            ),
            ("include", given(self.include)),
            ("context_management", given(self.context_management)),
            ("moderation", given(self.moderation)),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

fn tools(entries: Option<Vec<ToolEntry<'_>>>) -> Result<Vec<Tool<'_>>, Ineligible> {
    entries
        .unwrap_or_default()
        .into_iter()
        .map(|entry| {
            let name = entry.name.filter(|_| entry.kind == "function");
            Ok(Tool {
                name: name.ok_or(Ineligible("a tool is no function with a name"))?,
                description: entry.description.and_then(Text::new),
                schema: entry
                    .parameters
                    .filter(|schema| schema.get().starts_with('{')),
                strict: entry.strict == Some(true),
            })
        })
        .collect()
}

/// The tools that are to be called, by one word or by name.
fn tool_choice(value: &RawValue) -> Result<Option<ToolChoice<'_>>, Ineligible> {
    const UNKNOWN: Ineligible = Ineligible("the target does not know the `tool_choice`");
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    Ok(match value.get() {
        "null" => None,
        "\"auto\"" => Some(ToolChoice::Auto),
        "\"required\"" => Some(ToolChoice::Any),
        "\"none\"" => Some(ToolChoice::None),
        other => {
            let named: Named<'_> = serde_json::from_str(other).map_err(|_shape| UNKNOWN)?;
            if named.kind != "function" {
                return Err(UNKNOWN);
            }
            Some(ToolChoice::One(named.name))
        }
    })
}
