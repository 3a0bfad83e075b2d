//! A conversation of another dialect, written as a chat request.

mod message;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use self::message::{Message, messages};
use crate::dialect::neutral::{Conversation, Format, Text, Tool, ToolChoice, joined};
use crate::dialect::{Encoded, Ineligible, Target};

/// Texts that may end an answer.
const STOPS: usize = 4;
/// The longest name of a tool.
const NAME_LENGTH: usize = 64;
/// Beginnings of the names of models that think: they take neither sampling parameters nor the older
/// name of the bound on output.
const THINKERS: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(flatten)]
    extras: BTreeMap<&'static str, &'a RawValue>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct ToolEntry<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    One {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Name<'a>,
    },
}

#[derive(Serialize)]
struct Name<'a> {
    name: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<Schema<'a>>,
}

#[derive(Serialize)]
struct Schema<'a> {
    name: SchemaName<'a>,
    #[serde(rename = "schema")]
    shape: &'a RawValue,
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SchemaName<'a> {
    Given(Text<'a>),
    Made(&'static str),
}

/// Writes a request.
pub(in crate::dialect) fn encode(
    conversation: Conversation<'_>,
    target: &Target<'_>,
) -> Result<Encoded, Ineligible> {
    let Conversation {
        system,
        turns,
        tools,
        tool_choice,
        one_call,
        format,
        max_output,
        mut temperature,
        mut top_p,
        stop,
        user,
        stream,
        extras,
        mut dropped,
    } = conversation;
    if stop.len() > STOPS {
        return Err(Ineligible("the target takes four stop texts at most"));
    }
    let most = target.max_output_tokens.map(agix_core::units::Tokens::get);
    let bound = max_output.map(|asked| asked.min(most.unwrap_or(u64::MAX)));
    let thinks = thinks(target.model);
    if thinks {
        dropped.extend(temperature.take().map(|_| "temperature"));
        dropped.extend(top_p.take().map(|_| "top_p"));
    }
    let instructions = joined(&system, "\\n\\n").filter(|_| !system.is_empty());
    let has_tools = !tools.is_empty();
    let body = Body {
        model: target.model,
        messages: messages(instructions, turns)?,
        tools: tools.into_iter().map(tool).collect::<Result<_, _>>()?,
        tool_choice: tool_choice.filter(|_| has_tools).map(choice),
        parallel_tool_calls: (one_call && has_tools).then_some(false),
        response_format: format.as_ref().map(response_format),
        max_tokens: bound.filter(|_| !thinks),
        max_completion_tokens: bound.filter(|_| thinks),
        temperature,
        top_p,
        stop,
        user,
        stream,
        stream_options: stream.then_some(StreamOptions {
            include_usage: true,
        }),
        extras: extras
            .into_iter()
            .map(|extra| (extra.chat, extra.value))
            .collect(),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|_impossible| Ineligible("the request cannot be written for the target"))?;
    Ok(Encoded {
        path: "/chat/completions",
        headers: &[],
        body: body.into(),
        dropped,
    })
}

fn thinks(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    THINKERS.iter().any(|head| name.starts_with(head))
}

fn tool(tool: Tool<'_>) -> Result<ToolEntry<'_>, Ineligible> {
    if tool.name.len() > NAME_LENGTH {
        return Err(Ineligible("the target takes no tool of such a name"));
    }
    Ok(ToolEntry {
        kind: "function",
        function: Function {
            name: tool.name,
            description: tool.description,
            parameters: tool.schema,
            strict: tool.strict,
        },
    })
}

fn choice(choice: ToolChoice<'_>) -> Choice<'_> {
    match choice {
        ToolChoice::Auto => Choice::Word("auto"),
        ToolChoice::Any => Choice::Word("required"),
        ToolChoice::None => Choice::Word("none"),
        ToolChoice::One(name) => Choice::One {
            kind: "function",
            function: Name { name },
        },
    }
}

fn response_format<'a>(format: &Format<'a>) -> ResponseFormat<'a> {
    match format {
        Format::Object => ResponseFormat {
            kind: "json_object",
            json_schema: None,
        },
        Format::Schema {
            name,
            schema,
            strict,
        } => ResponseFormat {
            kind: "json_schema",
            json_schema: Some(Schema {
                name: name.map_or(SchemaName::Made("answer"), SchemaName::Given),
                shape: schema,
                strict: *strict,
            }),
        },
    }
}
