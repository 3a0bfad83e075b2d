//! A conversation written as contents.

mod part;

use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use self::part::Piece;
use crate::dialect::neutral::{Conversation, Format, Part, Role, Text, Tool, ToolChoice, Turn};
use crate::dialect::{Encoded, Ineligible, Target};

/// Texts that may end an answer.
const STOPS: usize = 5;
/// The longest name of a tool.
const NAME_LENGTH: usize = 64;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Instruction<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: Generation<'a>,
}

#[derive(Serialize)]
struct Instruction<'a> {
    parts: Vec<Piece<'a>>,
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: Vec<Piece<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_function_names: Vec<std::borrow::Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Generation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
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
        temperature,
        top_p,
        stop,
        user,
        stream,
        extras: _,
        mut dropped,
    } = conversation;
    if stop.len() > STOPS {
        return Err(Ineligible("the target takes five stop texts at most"));
    }
    dropped.extend(user.map(|_| "user"));
    let has_tools = !tools.is_empty();
    dropped.extend((one_call && has_tools).then_some("parallel_tool_calls"));
    let most = target.max_output_tokens.map(agix_core::units::Tokens::get);
    let (response_mime_type, response_json_schema) = match format {
        None => (None, None),
        Some(Format::Object) => (Some("application/json"), None),
        Some(Format::Schema { schema, .. }) => (Some("application/json"), Some(schema)),
    };
    let instructions: Vec<_> = system.into_iter().map(Piece::text).collect();
    let body = Body {
        system_instruction: (!instructions.is_empty()).then_some(Instruction {
            parts: instructions,
        }),
        contents: contents(turns, signs_calls(target.model))?,
        tools: if has_tools {
            let declarations = tools.into_iter().map(declaration);
            vec![Tools {
                function_declarations: declarations.collect::<Result<_, _>>()?,
            }]
        } else {
            Vec::new()
        },
        tool_config: tool_choice.filter(|_| has_tools).map(tool_config),
        generation_config: Generation {
            temperature,
            top_p,
            max_output_tokens: max_output.map(|asked| asked.min(most.unwrap_or(u64::MAX))),
            stop_sequences: stop,
            response_mime_type,
            response_json_schema,
        },
    };
    let body = serde_json::to_vec(&body)
        .map_err(|_impossible| Ineligible("the request cannot be written for the target"))?;
    Ok(Encoded {
        path: if stream {
            ":streamGenerateContent"
        } else {
            ":generateContent"
        },
        headers: &[],
        body: body.into(),
        dropped,
    })
}

/// Whether the model wants the signatures that it gave its own calls, and takes calls of another
/// model's only with the mark that they have none.
fn signs_calls(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gemini-3")
}

/// The turns. What came of a call is named by the tool here, so that every call must be there, too.
fn contents(turns: Vec<Turn<'_>>, signs: bool) -> Result<Vec<Content<'_>>, Ineligible> {
    let mut names: HashMap<String, String> = HashMap::new();
    let mut contents = Vec::with_capacity(turns.len());
    for turn in turns {
        let mut parts = Vec::with_capacity(turn.parts.len());
        for part in turn.parts {
            if let Part::Call(call) = &part {
                names.insert(call.id.to_string(), call.name.to_string());
            }
            parts.push(Piece::new(part, &names, signs)?);
        }
        contents.push(Content {
            role: match turn.role {
                Role::User => "user",
                Role::Assistant => "model",
            },
            parts,
        });
    }
    Ok(contents)
}

fn declaration(tool: Tool<'_>) -> Result<Declaration<'_>, Ineligible> {
    let legal = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.');
    if tool.name.is_empty() || tool.name.len() > NAME_LENGTH || !tool.name.chars().all(legal) {
        return Err(Ineligible("the target takes no tool of such a name"));
    }
    Ok(Declaration {
        name: tool.name,
        description: tool.description,
        parameters_json_schema: tool.schema,
    })
}

fn tool_config(choice: ToolChoice<'_>) -> ToolConfig<'_> {
    let (mode, allowed_function_names) = match choice {
        ToolChoice::Auto => ("AUTO", Vec::new()),
        ToolChoice::Any => ("ANY", Vec::new()),
        ToolChoice::None => ("NONE", Vec::new()),
        ToolChoice::One(name) => ("ANY", vec![name]),
    };
    ToolConfig {
        function_calling_config: Calling {
            mode,
            allowed_function_names,
        },
    }
}
