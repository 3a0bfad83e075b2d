//! Simulated embeddings: vectors of unit length that depend on the input and on nothing else.

use std::borrow::Cow;

use agix_core::limits::{SIMULATED_DIMENSIONS, SIMULATED_INPUTS};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::dialect::EmbeddingsRequest;
use crate::dialect::estimate::tokens_of;

/// Length of a vector where the request does not say.
const USUAL_DIMENSIONS: usize = 16;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
    dimensions: Option<usize>,
    #[serde(borrow)]
    encoding_format: Option<Cow<'a, str>>,
}

/// The body of the answer, or what is wrong with the request.
pub(super) fn body(request: &EmbeddingsRequest, model: &str) -> Result<Bytes, &'static str> {
    let body: Body<'_> = serde_json::from_slice(request.body())
        .map_err(|_shape| "an embeddings request needs an `input`")?;
    let dimensions = body.dimensions.unwrap_or(USUAL_DIMENSIONS);
    if !(1..=SIMULATED_DIMENSIONS).contains(&dimensions) {
        return Err("`dimensions` is out of range");
    }
    let in_base64 = body.encoding_format.as_deref() == Some("base64");
    let data: Vec<_> = inputs(body.input)?
        .into_iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(input.get(), dimensions);
            let embedding = if in_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|part| part.to_le_bytes()).collect();
                json!(STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let tokens = tokens_of(body.input.get().len()).get();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    let answer = json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": usage,
        "system_fingerprint": super::FINGERPRINT,
    });
    Ok(answer.to_string().into())
}

/// A text, a list of texts, a list of tokens, or a list of such lists.
fn inputs(input: &RawValue) -> Result<Vec<&RawValue>, &'static str> {
    if input.get().starts_with('"') {
        return Ok(vec![input]);
    }
    let list: Vec<&RawValue> = serde_json::from_str(input.get())
        .map_err(|_shape| "`input` is neither a text nor a list")?;
    match list.first().map(|first| first.get()) {
        None => Err("`input` is empty"),
        Some(first) if !first.starts_with(['"', '[']) => Ok(vec![input]),
        Some(_) if list.len() > SIMULATED_INPUTS => Err("`input` has too many elements"),
        Some(_) => Ok(list),
    }
}

fn vector(input: &str, dimensions: usize) -> Vec<f32> {
    let mut parts = Vec::with_capacity(dimensions);
    for block in 0_u64.. {
        if parts.len() >= dimensions {
            break;
        }
        let digest = Sha256::new()
            .chain_update(block.to_le_bytes())
            .chain_update(input)
            .finalize();
        let room = dimensions - parts.len();
        // Half a step off the integers, so that no vector is zero.
        parts.extend(
            digest
                .iter()
                .take(room)
                .map(|byte| f32::from(*byte) - 127.5),
        );
    }
    let length = parts.iter().map(|part| part * part).sum::<f32>().sqrt();
    parts.iter().map(|part| part / length).collect()
}
