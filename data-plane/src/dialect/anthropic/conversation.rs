//! A caller's request for a message, read for a target that speaks another dialect.
//!
//! Texts, pictures, documents, tools with their calls and results, and the shape of the answer are
//! carried over. Thinking is not: another maker's model cannot go on with it. What else a request
//! needs makes the target ineligible, with the reason; parameters that merely tune an answer are
//! dropped by name.

mod content;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::content::{add_message, texts};
use crate::dialect::neutral::{Conversation, Format, Text, Tool, ToolChoice};
use crate::dialect::splice::is_given;
use crate::dialect::{ChatRequest, Ineligible};

/// The members of a request that another dialect may have to know.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(default, borrow)]
    system: Option<&'a RawValue>,
    #[serde(default, borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(default, borrow)]
    top_p: Option<&'a RawValue>,
    #[serde(default, borrow)]
    top_k: Option<&'a RawValue>,
    #[serde(default)]
    stop_sequences: Option<Vec<String>>,
    #[serde(default, borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(default, borrow)]
    tools: Option<Vec<ToolEntry<'a>>>,
    #[serde(default, borrow)]
    tool_choice: Option<Choice<'a>>,
    #[serde(default, borrow)]
    thinking: Option<Kind<'a>>,
    #[serde(default, borrow)]
    output_config: Option<OutputConfig<'a>>,
    #[serde(default, borrow)]
    output_format: Option<&'a RawValue>,
    #[serde(default, borrow)]
    mcp_servers: Option<&'a RawValue>,
    #[serde(default, borrow)]
    container: Option<&'a RawValue>,
    #[serde(default, borrow)]
    context_management: Option<&'a RawValue>,
    #[serde(default, borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(default, borrow)]
    speed: Option<&'a RawValue>,
    #[serde(default, borrow)]
    inference_geo: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(default, borrow)]
    user_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ToolEntry<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    description: Option<&'a RawValue>,
    #[serde(default, borrow)]
    input_schema: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(default, borrow)]
    format: Option<&'a RawValue>,
    #[serde(default, borrow)]
    effort: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OutputFormat<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    schema: Option<&'a RawValue>,
}

/// Reads a request.
pub(in crate::dialect) fn read(request: &ChatRequest) -> Result<Conversation<'_>, Ineligible> {
    let mut body: Body<'_> = serde_json::from_slice(request.body())
        .map_err(|_shape| Ineligible("its messages have a shape that cannot be translated"))?;
    body.refuse_what_is_not_carried_over()?;
    let dropped = body.dropped();
    let choice = body.tool_choice.take();
    let one_call = choice
        .as_ref()
        .is_some_and(|choice| choice.disable_parallel_tool_use == Some(true));
    let mut conversation = Conversation {
        system: body.system.map_or(Ok(Vec::new()), texts)?,
        turns: Vec::new(),
        tools: tools(body.tools.take())?,
        tool_choice: choice.map(Choice::read).transpose()?,
        one_call,
        format: body.format()?,
        max_output: request.max_output_tokens(),
        temperature: body.temperature.filter(|value| value.get() != "null"),
        top_p: body.top_p.filter(|value| value.get() != "null"),
        stop: body.stop_sequences.take().unwrap_or_default(),
        user: body
            .metadata
            .take()
            .and_then(|metadata| metadata.user_id)
            .map(Cow::into_owned),
        stream: request.stream(),
        extras: Vec::new(),
        dropped,
    };
    conversation.system.retain(|text| !text.is_blank());
    for message in &body.messages {
        add_message(&message.role, message.content, &mut conversation)?;
    }
    conversation.with_a_turn()
}

impl<'a> Body<'a> {
    fn refuse_what_is_not_carried_over(&self) -> Result<(), Ineligible> {
        let given = |member: Option<&RawValue>| member.is_some_and(is_given);
        if given(self.mcp_servers) {
            return Err(Ineligible("MCP servers are not translated for this target"));
        }
        if given(self.container) {
            return Err(Ineligible("the target has no containers"));
        }
        Ok(())
    }

    /// Parameters that were given and that other dialects do not have.
    fn dropped(&self) -> Vec<&'static str> {
        let given = |member: Option<&RawValue>| member.is_some_and(is_given);
        let thinks = self.thinking.as_ref();
        let effort = self.output_config.as_ref().and_then(|config| config.effort);
        [
            ("top_k", given(self.top_k)),
            (
                "thinking",
                thinks.is_some_and(|thinking| thinking.kind != "disabled"),
            ),
            ("output_config.effort", given(effort)),
            ("context_management", given(self.context_management)),
            (
                "service_tier",
                self.service_tier
                    .is_some_and(|tier| tier.get() != "\"auto\"" && is_given(tier)),
            ),
            ("speed", given(self.speed)),
            ("inference_geo", given(self.inference_geo)),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }

    fn format(&self) -> Result<Option<Format<'a>>, Ineligible> {
        const UNKNOWN: Ineligible = Ineligible("the target does not know the output format");
        let newer = self.output_config.as_ref().and_then(|config| config.format);
        let Some(format) = newer.or(self.output_format).filter(|raw| is_given(raw)) else {
            return Ok(None);
        };
        let format: OutputFormat<'a> =
            serde_json::from_str(format.get()).map_err(|_shape| UNKNOWN)?;
        let schema = format.schema.filter(|_| format.kind == "json_schema");
        Ok(Some(Format::Schema {
            name: None,
            schema: schema.ok_or(UNKNOWN)?,
            strict: true,
        }))
    }
}

impl<'a> Choice<'a> {
    fn read(self) -> Result<ToolChoice<'a>, Ineligible> {
        const UNKNOWN: Ineligible = Ineligible("the target does not know the `tool_choice`");
        Ok(match &*self.kind {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Any,
            "none" => ToolChoice::None,
            "tool" => ToolChoice::One(self.name.ok_or(UNKNOWN)?),
            _ => return Err(UNKNOWN),
        })
    }
}

fn tools(entries: Option<Vec<ToolEntry<'_>>>) -> Result<Vec<Tool<'_>>, Ineligible> {
    entries
        .unwrap_or_default()
        .into_iter()
        .map(|entry| {
            let ToolEntry {
                kind,
                name,
                description,
                input_schema,
                strict,
            } = entry;
            if !matches!(kind.as_deref(), None | Some("custom")) {
                return Err(Ineligible(
                    "tools that the provider runs or defines are not translated for this target",
                ));
            }
            Ok(Tool {
                name,
                description: description.and_then(Text::new),
                schema: input_schema.filter(|schema| schema.get().starts_with('{')),
                strict: strict == Some(true),
            })
        })
        .collect()
}
