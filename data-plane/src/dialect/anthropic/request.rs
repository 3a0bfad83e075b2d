//! A conversation written as a request for a message.

mod block;

use std::fmt::Write;

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::block::{Block, ToolEntry};
use super::HEADERS;
use super::model::{Abilities, Sampling};
use crate::dialect::neutral::{Conversation, Format, Part, Role, Text, ToolChoice, Turn};
use crate::dialect::{Encoded, Ineligible, Target};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    format: OutputFormat<'a>,
}

#[derive(Serialize)]
struct OutputFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'a RawValue,
}

#[derive(Serialize)]
struct Metadata {
    user_id: String,
}

/// Writes a request.
pub(in crate::dialect) fn encode(
    conversation: Conversation<'_>,
    target: &Target<'_>,
) -> Result<Encoded, Ineligible> {
    let abilities = Abilities::of(target.model);
    check_ends(&conversation.turns, abilities)?;
    check_tools(&conversation)?;
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
    let policy_bound = target.max_output_tokens.map(agix_core::units::Tokens::get);
    let hottest = RawValue::from_string("1".to_owned()).ok();
    let (temperature, top_p) = sampling(
        abilities.sampling,
        (temperature, top_p),
        hottest.as_deref(),
        &mut dropped,
    );
    let tool_choice = (!tools.is_empty())
        .then(|| choice(tool_choice, one_call))
        .flatten();
    let entry = |tool| ToolEntry::new(tool, abilities, &mut dropped);
    let body = Body {
        model: target.model,
        max_tokens: abilities.output_bound(max_output, policy_bound),
        system: system
            .into_iter()
            .map(|text| Block::Text { text })
            .collect(),
        messages: turns
            .into_iter()
            .map(Message::new)
            .collect::<Result<_, _>>()?,
        tools: tools.into_iter().map(entry).collect::<Result<_, _>>()?,
        tool_choice,
        output_config: format
            .map(|format| output_config(&format, abilities))
            .transpose()?,
        temperature,
        top_p,
        stop_sequences: stop,
        metadata: user.map(|user| Metadata {
            user_id: pseudonym(&user),
        }),
        stream,
    };
    let body = serde_json::to_vec(&body)
        .map_err(|_impossible| Ineligible("the request cannot be written for the target"))?;
    Ok(Encoded {
        path: "/v1/messages",
        headers: HEADERS,
        body: body.into(),
        dropped,
    })
}

/// A conversation must begin with the user, and end with the user or with the beginning of an
/// answer that the model is able to go on with.
fn check_ends(turns: &[Turn<'_>], abilities: Abilities) -> Result<(), Ineligible> {
    if turns
        .first()
        .is_some_and(|turn| turn.role == Role::Assistant)
    {
        return Err(Ineligible("the target's conversations begin with the user"));
    }
    let Some(last) = turns.last().filter(|turn| turn.role == Role::Assistant) else {
        return Ok(());
    };
    if !abilities.prefill {
        return Err(Ineligible(
            "the target does not go on with an answer begun for it",
        ));
    }
    let ends_in_space = |text: &Text<'_>| {
        let inner = text.inner();
        inner.ends_with(' ') || inner.ends_with("\\n") || inner.ends_with("\\t")
    };
    if let Some(Part::Text(text)) = last.parts.last()
        && ends_in_space(text)
    {
        return Err(Ineligible(
            "the target takes no begun answer that ends in space",
        ));
    }
    Ok(())
}

/// Earlier calls make sense to the target only beside the tools they called.
fn check_tools(conversation: &Conversation<'_>) -> Result<(), Ineligible> {
    let mut parts = conversation.turns.iter().flat_map(|turn| &turn.parts);
    let used = parts.any(|part| matches!(part, Part::Call(_) | Part::Outcome(_)));
    if used && conversation.tools.is_empty() {
        return Err(Ineligible(
            "the target takes tool calls only together with the `tools` they called",
        ));
    }
    Ok(())
}

fn choice(choice: Option<ToolChoice<'_>>, one_call: bool) -> Option<Choice<'_>> {
    let (kind, name) = match choice {
        None if !one_call => return None,
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::Any) => ("any", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::One(name)) => ("tool", Some(name)),
    };
    Some(Choice {
        kind,
        name,
        disable_parallel_tool_use: one_call && kind != "none",
    })
}

fn output_config<'a>(
    format: &Format<'a>,
    abilities: Abilities,
) -> Result<OutputConfig<'a>, Ineligible> {
    match format {
        Format::Object => Err(Ineligible(
            "json_object answers are not translated for this target",
        )),
        Format::Schema { .. } if !abilities.schemas => {
            Err(Ineligible("the target gives no json_schema answers"))
        }
        Format::Schema { schema, .. } => Ok(OutputConfig {
            format: OutputFormat {
                kind: "json_schema",
                schema,
            },
        }),
    }
}

/// The sampling parameters the model takes. A temperature above what the protocol allows is its
/// hottest one; what is not taken, or not taken as it is, is named.
fn sampling<'a>(
    takes: Sampling,
    (temperature, top_p): (Option<&'a RawValue>, Option<&'a RawValue>),
    hottest: Option<&'a RawValue>,
    dropped: &mut Vec<&'static str>,
) -> (Option<&'a RawValue>, Option<&'a RawValue>) {
    let value = |raw: &RawValue| raw.get().parse::<f64>().unwrap_or_default();
    // One is the default of both and changes nothing.
    let set = |raw: Option<&'a RawValue>| raw.filter(|raw| value(raw).total_cmp(&1.0).is_ne());
    let (mut temperature, mut top_p) = (set(temperature), set(top_p));
    if takes == Sampling::Neither && temperature.take().is_some() {
        dropped.push("temperature");
    }
    if temperature.is_some_and(|raw| value(raw) > 1.0) {
        temperature = hottest;
        dropped.push("temperature");
    }
    let no_top_p = match takes {
        Sampling::Both => false,
        Sampling::One => temperature.is_some(),
        Sampling::Neither => true,
    };
    if no_top_p && top_p.take().is_some() {
        dropped.push("top_p");
    }
    (temperature, top_p)
}

/// A name that stands for the user and does not say who it is: the provider forbids addresses.
fn pseudonym(user: &str) -> String {
    let mut name = String::with_capacity(64);
    for byte in Sha256::digest(user.as_bytes()) {
        // Writing to a string cannot fail.
        write!(name, "{byte:02x}").unwrap_or_default();
    }
    name
}

impl<'a> Message<'a> {
    fn new(turn: Turn<'a>) -> Result<Self, Ineligible> {
        let (outcomes, others): (Vec<_>, Vec<_>) = turn
            .parts
            .into_iter()
            .partition(|part| matches!(part, Part::Outcome(_)));
        Ok(Self {
            role: match turn.role {
                Role::User => "user",
                Role::Assistant => "assistant",
            },
            // What came of calls must stand first and together.
            content: outcomes
                .into_iter()
                .chain(others)
                .map(Block::new)
                .collect::<Result<_, _>>()?,
        })
    }
}
