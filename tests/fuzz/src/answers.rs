//! Whole answers of providers.

use agix_core::limits::USAGE_TOKENS;
use agix_core::usage::Usage;
use agix_proxy::dialect::{self, Answer, AnswerIds, BadAnswer, Caller, Dialect, Finish};
use bytes::Bytes;
use serde_json::Value;

use crate::requests::is_json;
use crate::streams::request;

/// What answers are called.
pub(crate) fn ids() -> AnswerIds {
    AnswerIds {
        id: "chatcmpl-7".to_owned(),
        created: 1_795_435_200,
    }
}

/// Reads an answer for callers of every dialect.
pub(crate) fn whole(dialect: Dialect, bytes: &[u8]) {
    for caller in Caller::ALL {
        let Ok(answer) = decode(dialect, caller, Bytes::copy_from_slice(bytes)) else {
            continue;
        };
        is_believable(answer.usage);
        assert!(answer.billed(330).0.total_output().get() <= 2 * USAGE_TOKENS);
        if caller.native() == Some(dialect) {
            assert_eq!(answer.body, bytes);
            continue;
        }
        is_read_as_the_same(caller, &answer);
    }
}

/// Reads an answer to a request for embeddings.
pub(crate) fn embeddings(bytes: &[u8]) {
    for dialect in Dialect::ALL {
        let body = Bytes::copy_from_slice(bytes);
        if let Ok(answer) = dialect::decode_embeddings(dialect, body) {
            is_believable(answer.usage);
            assert_eq!(answer.body, bytes);
        }
    }
}

/// Reads the answer of a provider that counted tokens.
pub(crate) fn count(bytes: &[u8]) {
    if let Ok(answer) = dialect::decode_count(Bytes::copy_from_slice(bytes)) {
        let body = serde_json::from_slice::<Value>(&answer.body);
        assert!(body.is_ok_and(|body| body["input_tokens"].is_number()));
    }
}

fn decode(dialect: Dialect, caller: Caller, body: Bytes) -> Result<Answer, BadAnswer> {
    dialect::decode_answer(dialect, &request(caller, true), &ids(), body)
}

/// What was translated is an answer of its dialect that says the same.
fn is_read_as_the_same(caller: Caller, answer: &Answer) {
    assert!(is_json(&answer.body));
    let Some(native) = caller.native() else {
        return is_a_response(answer);
    };
    let again = decode(native, caller, answer.body.clone());
    let again = again.unwrap_or_else(|bad| panic!("{bad}: {}", answer.body.escape_ascii()));
    let totals = |usage: Usage| (usage.total_input(), usage.total_output());
    if let Some(usage) = answer.usage {
        assert_eq!(again.usage.map(totals), Some(totals(usage)));
    }
    assert!(
        finishes_alike(answer.finish, again.finish),
        "{answer:?} {again:?}"
    );
}

/// What no provider could have sent says the same by itself.
fn is_a_response(answer: &Answer) {
    // Some JSON is no text: half of a pair of surrogates.
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return;
    };
    let incomplete = matches!(answer.finish, Some(Finish::Length | Finish::ContentFilter));
    let status = if incomplete {
        "incomplete"
    } else {
        "completed"
    };
    assert_eq!(body["status"], status);
    if let Some(usage) = answer.usage {
        assert_eq!(body["usage"]["input_tokens"], usage.total_input().get());
        assert_eq!(body["usage"]["output_tokens"], usage.total_output().get());
    }
}

/// Whether an answer that ended for the first reason may be told to have ended for the second. A
/// reason that agix does not know is told as another, and some providers call tools and say `stop`.
pub(crate) fn finishes_alike(was: Option<Finish>, told: Option<Finish>) -> bool {
    let is_vague = was == Some(Finish::Other);
    let called = (was, told) == (Some(Finish::Stop), Some(Finish::ToolCalls));
    was == told || is_vague || called
}

/// No count is more than any call comes to.
pub(crate) fn is_believable(usage: Option<Usage>) {
    let Some(usage) = usage else { return };
    for tokens in [usage.total_input(), usage.total_output()] {
        assert!(tokens.get() <= 3 * USAGE_TOKENS, "{usage:?}");
    }
}
