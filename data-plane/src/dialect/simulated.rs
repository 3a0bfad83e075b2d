//! A provider inside the proxy, for trying things out and for drills.

use std::time::Duration;

use agix_core::policy::{SimulatedOutcome, Simulation};
use bytes::Bytes;

use crate::dialect::{AnswerIds, ChatRequest, EmbeddingsRequest};

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
pub struct SimulatedStream {}

impl Iterator for SimulatedStream {
    type Item = (Duration, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// What a simulated chat model does with one request.
pub fn simulate(
    request: &ChatRequest,
    simulation: &Simulation,
    outcome: SimulatedOutcome,
    model: &str,
    ids: &AnswerIds,
) -> SimulatedReply {
    todo!()
}

/// What a simulated embeddings model does with one request. The vectors are short and depend only
/// on the input.
pub fn simulate_embeddings(
    request: &EmbeddingsRequest,
    simulation: &Simulation,
    outcome: SimulatedOutcome,
    model: &str,
) -> SimulatedReply {
    todo!()
}
