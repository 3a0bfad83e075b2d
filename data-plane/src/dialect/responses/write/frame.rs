//! What every object of one response says besides its output: its name, and what was asked, which
//! this protocol repeats.

use std::borrow::Cow;
use std::collections::BTreeMap;

use agix_core::usage::Usage;
use serde_json::value::RawValue;

use super::{Report, to_json};
use crate::dialect::AnswerIds;

/// The members of a request that its answer repeats, and what they are when they are not given.
const REPEATED: [(&str, &str); 15] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// How a response stands.
#[derive(Debug, Clone)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// With the reason.
    Incomplete(&'static str),
    /// With the error, JSON.
    Failed(String),
}

/// The parts that the objects of one response have in common.
#[derive(Debug)]
pub(super) struct Frame {
    /// What its name says after the prefix.
    number: String,
    /// Up to the status.
    head: String,
    /// From behind the status and its details to the model.
    asked: String,
}

impl Status {
    /// Its name.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
        }
    }
}

impl Frame {
    /// Of the answer with this name to a request with this body.
    pub(super) fn new(ids: &AnswerIds, body: &[u8]) -> Self {
        let given: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_slice(body).unwrap_or_default();
        let mut asked = String::new();
        for (name, default) in REPEATED {
            let value = given.get(name).map(|value| value.get());
            let value = value.filter(|value| *value != "null").unwrap_or(default);
            asked.push_str(r#",""#);
            asked.push_str(name);
            asked.push_str(r#"":"#);
            // No event of a stream may have a line end within; a text of JSON has none.
            asked.push_str(&value.replace(['\n', '\r'], " "));
        }
        let number = ids.id.strip_prefix("resp_").unwrap_or(&ids.id);
        Self {
            number: number.to_owned(),
            head: format!(
                r#"{{"id":{},"object":"response","created_at":{},"background":false,"status":""#,
                to_json(&ids.id),
                ids.created
            ),
            asked,
        }
    }

    /// What the names of its items have in common.
    pub(super) fn number(&self) -> &str {
        &self.number
    }

    /// The response as it stands, with these items; `model` is JSON. Usage is its last member, so
    /// that the cost can be added there.
    pub(super) fn object(
        &self,
        status: &Status,
        model: &str,
        output: &[String],
        usage: Option<&Usage>,
    ) -> String {
        let word = status.word();
        let error = match status {
            Status::Failed(error) => error,
            Status::InProgress | Status::Completed | Status::Incomplete(_) => "null",
        };
        let details = match status {
            Status::Incomplete(reason) => format!(r#"{{"reason":"{reason}"}}"#),
            Status::InProgress | Status::Completed | Status::Failed(_) => "null".to_owned(),
        };
        let usage = usage.map_or_else(|| "null".to_owned(), |usage| to_json(&Report::from(usage)));
        [
            &self.head,
            word,
            r#"","error":"#,
            error,
            r#","incomplete_details":"#,
            &details,
            &self.asked,
            r#","previous_response_id":null,"store":false,"model":"#,
            model,
            r#","output":["#,
            &output.join(","),
            r#"],"usage":"#,
            &usage,
            "}",
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_answer_repeats_what_was_asked_on_one_line() {
        let body = "{\"model\":\"m\",\n\"input\":\"a\",\"tools\":[\n {\"type\":\"function\",\r\n
            \"name\":\"a\"}],\"metadata\":null,\"temperature\":0.5,\"store\":true}";
        let ids = AnswerIds {
            id: "resp_7".to_owned(),
            created: 1,
        };
        let frame = Frame::new(&ids, body.as_bytes());
        let object = frame.object(&Status::InProgress, r#""m""#, &[], None);
        assert!(!object.contains(['\n', '\r']), "{object}");
        let object: Value = serde_json::from_str(&object).unwrap();
        assert_eq!(object["id"], "resp_7");
        assert_eq!(object["tools"], json!([{"type": "function", "name": "a"}]));
        assert_eq!(object["metadata"], json!({}));
        assert_eq!(object["temperature"], 0.5);
        assert_eq!(object["parallel_tool_calls"], true);
        assert_eq!(object["store"], false);
        assert_eq!(frame.number(), "7");
    }
}
