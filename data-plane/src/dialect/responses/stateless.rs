//! What no target can do for a caller of responses, since agix stores nothing and runs nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::InvalidRequest;
use crate::dialect::splice::is_given;

/// The longest name of a type that is repeated to the caller, in characters.
const SHOWN_TYPE: usize = 64;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tools: Option<&'a RawValue>,
    #[serde(default, borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    conversation: Option<&'a RawValue>,
    #[serde(default, borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(default, borrow)]
    background: Option<&'a RawValue>,
    #[serde(default, borrow)]
    top_logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<Cow<'a, str>>,
}

/// Refuses what agix does not do for callers of responses.
pub(in crate::dialect) fn check(body: &[u8]) -> Result<(), InvalidRequest> {
    let body: Body<'_> = serde_json::from_slice(body)
        .map_err(|shape| InvalidRequest::body(format!("the body cannot be read: {shape}")))?;
    body.refuse_what_is_not_done()?;
    check_tools(body.tools)?;
    check_input(body.input)
}

impl Body<'_> {
    fn refuse_what_is_not_done(&self) -> Result<(), InvalidRequest> {
        let given = |member: Option<&RawValue>| member.is_some_and(is_given);
        let refused = [
            (
                given(self.previous_response_id),
                "previous_response_id",
                "`previous_response_id` is not supported, since no responses are stored: send the \
                 whole conversation as `input`",
            ),
            (
                given(self.conversation),
                "conversation",
                "`conversation` is not supported, since no conversations are stored: send the \
                 whole conversation as `input`",
            ),
            (
                given(self.prompt),
                "prompt",
                "`prompt` is not supported, since it refers to a template at OpenAI: send \
                 `instructions` and `input`",
            ),
            (
                given(self.background),
                "background",
                "`background` is not supported, since no responses are stored: stream the answer",
            ),
            (
                self.top_logprobs
                    .is_some_and(|count| !matches!(count.get(), "0")),
                "top_logprobs",
                "`top_logprobs` is not supported for responses",
            ),
        ];
        match refused.into_iter().find(|(given, ..)| *given) {
            Some((_, param, message)) => Err(wrong(param, message.to_owned())),
            None => Ok(()),
        }
    }
}

fn check_tools(tools: Option<&RawValue>) -> Result<(), InvalidRequest> {
    let Some(tools) = tools else {
        return Ok(());
    };
    let tools: Vec<Typed<'_>> = serde_json::from_str(tools.get()).map_err(|_shape| {
        wrong(
            "tools",
            "`tools` must be a list of tools, each with a `type`".to_owned(),
        )
    })?;
    let other = tools
        .iter()
        .map(|tool| tool.kind.as_deref().unwrap_or_default())
        .find(|kind| *kind != "function");
    match other {
        None => Ok(()),
        Some("") => Err(wrong("tools", "a tool has no `type`".to_owned())),
        Some(kind) => Err(wrong(
            "tools",
            format!(
                "tools of the type `{}` are not supported, only those of the type `function`",
                shown(kind)
            ),
        )),
    }
}

fn check_input(input: Option<&RawValue>) -> Result<(), InvalidRequest> {
    let shape = || {
        wrong(
            "input",
            "`input` must be a text or a list of items".to_owned(),
        )
    };
    let input = input.ok_or_else(shape)?.get();
    if input.starts_with('"') {
        return Ok(());
    }
    let items: Vec<Typed<'_>> = serde_json::from_str(input).map_err(|_shape| shape())?;
    let kinds = items.iter().filter_map(|item| item.kind.as_deref());
    for kind in kinds {
        match kind {
            "message" | "function_call" | "function_call_output" | "reasoning" => {}
            "item_reference" => {
                let message = "`input` refers to an item of a response (`item_reference`), but no \
                               responses are stored: send the item itself, as client libraries \
                               do with `store: false`";
                return Err(wrong("input", message.to_owned()));
            }
            other => {
                let kind = shown(other);
                let message = format!("items of the type `{kind}` are not supported in `input`");
                return Err(wrong("input", message));
            }
        }
    }
    Ok(())
}

fn shown(kind: &str) -> String {
    kind.chars().take(SHOWN_TYPE).collect()
}

fn wrong(param: &'static str, message: String) -> InvalidRequest {
    InvalidRequest {
        message,
        param: Some(param),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_memory_or_is_run_elsewhere_is_refused_by_name() {
        for (more, param) in [
            (r#""previous_response_id":"resp_1""#, "previous_response_id"),
            (r#""conversation":"conv_1""#, "conversation"),
            (r#""conversation":{"id":"conv_1"}"#, "conversation"),
            (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
            (r#""background":true"#, "background"),
            (r#""top_logprobs":3"#, "top_logprobs"),
            (r#""tools":[{"type":"web_search"}]"#, "tools"),
            (
                r#""tools":[{"type":"function","name":"a"},{"type":"mcp"}]"#,
                "tools",
            ),
            (r#""tools":[{"type":"custom","name":"a"}]"#, "tools"),
            (r#""tools":[{}]"#, "tools"),
            (r#""tools":{}"#, "tools"),
        ] {
            let body = format!(r#"{{"model":"m","input":"Hi",{more}}}"#);
            let refused = check(body.as_bytes()).expect_err(more);
            assert_eq!(refused.param, Some(param), "{more}");
            assert!(refused.message.contains("tool") || refused.message.contains(param));
        }
        for input in [
            "{}",
            "1",
            "null",
            r#"[{"type":"item_reference","id":"msg_1"}]"#,
            r#"[{"type":"computer_call_output"}]"#,
        ] {
            let body = format!(r#"{{"model":"m","input":{input}}}"#);
            let refused = check(body.as_bytes()).expect_err(input);
            assert_eq!(refused.param, Some("input"), "{input}");
        }
        assert!(check(br#"{"model":"m"}"#).is_err());
        assert!(check(br#"{"model":"m","input":"a","input":"b"}"#).is_err());
    }

    #[test]
    fn what_asks_for_nothing_is_not_refused() {
        for more in [
            "",
            r#","previous_response_id":null,"conversation":null,"background":false,"prompt":null"#,
            r#","store":true,"tools":[],"top_logprobs":0"#,
            r#","tools":null,"tools_":1,"truncation":"auto""#,
        ] {
            let body = format!(r#"{{"model":"m","input":"Hi"{more}}}"#);
            assert_eq!(check(body.as_bytes()), Ok(()), "{more}");
        }
    }

    #[test]
    fn a_long_name_of_a_type_is_not_repeated_whole() {
        let kind = "x".repeat(10_000);
        let body = format!(r#"{{"input":"Hi","tools":[{{"type":"{kind}"}}]}}"#);
        assert!(check(body.as_bytes()).unwrap_err().message.len() < 200);
    }
}
