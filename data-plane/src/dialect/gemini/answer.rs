//! A whole response, read as an answer.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::response::{FunctionCall, Response};
use crate::dialect::neutral::{Call, Part, Reply, Text, object_in};
use crate::dialect::{AnswerIds, BadAnswer};

/// Reads a response. Calls without an id get one that is theirs alone, made of the answer's.
pub(in crate::dialect) fn read<'a>(
    body: &'a [u8],
    ids: &AnswerIds,
) -> Result<Reply<'a>, BadAnswer> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut response =
        Response::read(text).ok_or(BadAnswer::Malformed("it is not a JSON object"))?;
    if let Some(refused) = response.refused() {
        return Err(BadAnswer::Refused(refused));
    }
    let mut candidate = response
        .candidate()
        .ok_or(BadAnswer::Malformed("it has no candidates"))?;
    let mut parts = Vec::new();
    let mut calls = 0;
    for said in candidate.parts() {
        if let Some(call) = said.function_call {
            parts.push(Part::Call(read_call(call, ids, calls)?));
            calls += 1;
        } else if let Some(text) = said.text.and_then(Text::new).filter(|_| !said.thought) {
            parts.push(Part::Text(text));
        }
    }
    let finish = candidate
        .finish(calls > 0)
        .ok_or(BadAnswer::Malformed("it does not say why it ended"))?
        .map_err(BadAnswer::Malformed)?;
    Ok(Reply {
        parts,
        finish,
        usage: response.usage(),
        model: response.model_version,
    })
}

fn read_call<'a>(
    call: FunctionCall<'a>,
    ids: &AnswerIds,
    place: usize,
) -> Result<Call<'a>, BadAnswer> {
    let given = call.args.map_or("", RawValue::get);
    let arguments = object_in(given).ok_or(BadAnswer::Malformed(
        "the arguments of a tool call are not a JSON object",
    ))?;
    Ok(Call {
        id: call_id(call.id, &ids.id, place),
        name: call.name,
        arguments: Cow::Owned(arguments),
    })
}

/// The id of a call. Many models give none, but the caller names the call by it.
pub(super) fn call_id<'a>(given: Option<Cow<'a, str>>, answer: &str, place: usize) -> Cow<'a, str> {
    let own = answer.rsplit(['-', '_']).next().unwrap_or(answer);
    // Ids longer than 40 are refused elsewhere.
    let own = own.get(..24).unwrap_or(own);
    given
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| format!("call_{own}_{place}").into())
}
