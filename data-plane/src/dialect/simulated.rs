//! A provider inside the proxy, for trying things out and for drills.
//!
//! It speaks OpenAI's dialect as a real provider would, usage always included, so that everything
//! after it is the same as for real traffic. Whatever it says, it says that it is simulated: in the
//! text, and as `system_fingerprint`. A word of its text is a token. It gives one choice, whatever
//! `n` asks, and calls no tools.

mod embeddings;
mod text;

use std::time::Duration;

use agix_core::limits::SIMULATED_TOKENS;
use agix_core::policy::{SimulatedOutcome, Simulation};
use agix_core::units::Tokens;
use agix_core::usage::Usage;
use bytes::{Bytes, BytesMut};
use serde_json::json;
use serde_json::value::RawValue;

use self::text::Words;
use crate::dialect::estimate::tokens_of;
use crate::dialect::neutral::{Part as Said, Reply, Step, Text};
use crate::dialect::openai::relay::DONE;
use crate::dialect::openai::write::{StreamWriter, whole};
use crate::dialect::{AnswerIds, ChatRequest, EmbeddingsRequest, Finish};

/// The mark of an answer that no provider made.
const FINGERPRINT: &str = "simulated";

/// What a simulated provider does, in OpenAI's dialect. The caller of [`simulate`] does the waiting
/// and feeds the bytes through the same decoders as a real provider's.
#[derive(Debug)]
pub enum SimulatedReply {
    /// After this time, an answer with this status and body.
    Answer {
        /// Time to the head of the answer.
        after: Duration,
        /// HTTP status.
        status: u16,
        /// JSON body.
        body: Bytes,
    },
    /// A stream.
    Stream(SimulatedStream),
    /// The connection breaks before anything is sent.
    Reset,
    /// Nothing is ever sent.
    Stall,
    /// After this time, an answer whose body breaks off.
    Truncated {
        /// Time to the head of the answer.
        after: Duration,
        /// What of the body arrives.
        body: Bytes,
    },
}

/// The parts of a simulated stream: the time to wait before each, and its bytes. It ends without a
/// terminator if the outcome says so.
#[derive(Debug)]
pub struct SimulatedStream {
    writer: StreamWriter,
    model: String,
    words: Words,
    first_token: Duration,
    per_token: Duration,
    next: Part,
    /// Words after which it breaks off.
    breaks_after: Option<u32>,
    finish: Finish,
    usage: Usage,
}

/// The parts of a stream, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Begin,
    Words,
    End,
    Over,
}

impl Iterator for SimulatedStream {
    type Item = (Duration, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = BytesMut::new();
        let delay = match self.next {
            Part::Begin => {
                self.writer.begin(&self.model, &mut bytes);
                self.next = Part::Words;
                self.first_token
            }
            Part::Words if self.breaks_after == Some(self.words.said()) => return None,
            Part::Words => {
                let Some(word) = self.words.next() else {
                    self.next = Part::End;
                    return self.next();
                };
                let raw = raw_text(&word)?;
                self.writer.write(&Step::Say(Text::new(&raw)?), &mut bytes);
                self.per_token
            }
            Part::End => {
                self.writer.write(&Step::End(self.finish), &mut bytes);
                let usage = self.writer.usage(&self.usage).unwrap_or_default();
                bytes.extend_from_slice(&usage);
                bytes.extend_from_slice(DONE);
                self.next = Part::Over;
                Duration::ZERO
            }
            Part::Over => return None,
        };
        Some((delay, bytes.freeze()))
    }
}

/// What a simulated chat model does with one request. `model` is the name it gives itself.
pub fn simulate(
    request: &ChatRequest,
    simulation: &Simulation,
    outcome: SimulatedOutcome,
    model: &str,
    ids: &AnswerIds,
) -> SimulatedReply {
    if let Some(reply) = without_answer(simulation, outcome) {
        return reply;
    }
    let (count, finish) = length(request, simulation);
    let words = Words::new(model, count);
    let usage = Usage {
        input: tokens_of(request.body().len()),
        output: Tokens::new(u64::from(count)),
        ..Usage::default()
    };
    let breaks = outcome == SimulatedOutcome::Truncate;
    if request.stream() {
        return SimulatedReply::Stream(SimulatedStream {
            writer: StreamWriter::new(ids, Some(FINGERPRINT), true),
            model: model.to_owned(),
            words,
            first_token: simulation.first_token,
            per_token: simulation.per_token,
            next: Part::Begin,
            breaks_after: breaks.then_some(count / 2),
            finish,
            usage,
        });
    }
    let raw = raw_text(&words.collect::<String>());
    let reply = Reply {
        parts: raw
            .as_deref()
            .and_then(Text::new)
            .map(Said::Text)
            .into_iter()
            .collect(),
        finish,
        usage: Some(usage),
        model: model.into(),
    };
    let after = simulation
        .first_token
        .saturating_add(simulation.per_token.saturating_mul(count));
    answer(after, whole(ids, &reply, Some(FINGERPRINT)), breaks)
}

/// What a simulated embeddings model does with one request. The vectors are short and depend only
/// on the input.
pub fn simulate_embeddings(
    request: &EmbeddingsRequest,
    simulation: &Simulation,
    outcome: SimulatedOutcome,
    model: &str,
) -> SimulatedReply {
    if let Some(reply) = without_answer(simulation, outcome) {
        return reply;
    }
    let after = simulation.first_token;
    match embeddings::body(request, model) {
        Ok(body) => answer(after, body, outcome == SimulatedOutcome::Truncate),
        Err(message) => refusal(after, 400, message),
    }
}

fn answer(after: Duration, body: Bytes, breaks: bool) -> SimulatedReply {
    if breaks {
        let body = body.slice(..body.len() / 2);
        return SimulatedReply::Truncated { after, body };
    }
    SimulatedReply::Answer {
        after,
        status: 200,
        body,
    }
}

fn without_answer(simulation: &Simulation, outcome: SimulatedOutcome) -> Option<SimulatedReply> {
    match outcome {
        SimulatedOutcome::Answer | SimulatedOutcome::Truncate => None,
        SimulatedOutcome::Reset => Some(SimulatedReply::Reset),
        SimulatedOutcome::Stall => Some(SimulatedReply::Stall),
        SimulatedOutcome::Status(status) => Some(refusal(
            simulation.first_token,
            status,
            "the script of this simulated provider says so",
        )),
    }
}

fn refusal(after: Duration, status: u16, message: &str) -> SimulatedReply {
    let (kind, code) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        402 => ("insufficient_quota", Some("insufficient_quota")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", None),
        503 => ("server_error", Some("server_is_overloaded")),
        _ => ("server_error", None),
    };
    let error = json!({ "message": message, "type": kind, "param": null, "code": code });
    SimulatedReply::Answer {
        after,
        status,
        body: json!({ "error": error }).to_string().into(),
    }
}

/// The words of an answer, and why it ends after them.
fn length(request: &ChatRequest, simulation: &Simulation) -> (u32, Finish) {
    let wanted = simulation.output_tokens.min(SIMULATED_TOKENS);
    let bound = request
        .max_output_tokens()
        .map_or(u32::MAX, |bound| u32::try_from(bound).unwrap_or(u32::MAX));
    if bound < wanted {
        (bound, Finish::Length)
    } else {
        (wanted, Finish::Stop)
    }
}

fn raw_text(text: &str) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(text).ok()
}

#[cfg(test)]
mod tests;
