//! What a caller asks, read no further than routing needs.

use agix_core::id::ModelName;
use bytes::Bytes;

/// A chat request in OpenAI's dialect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChatRequest {}

/// An embeddings request in OpenAI's dialect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EmbeddingsRequest {}

/// Why a body is no request. The text is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// What is wrong.
    pub message: String,
    /// The field at fault.
    pub param: Option<&'static str>,
}

impl ChatRequest {
    /// Reads the body of a request.
    pub fn read(body: Bytes) -> Result<Self, InvalidRequest> {
        todo!()
    }

    /// The model asked for.
    pub fn model(&self) -> &ModelName {
        todo!()
    }

    /// Whether the answer is to be a stream.
    pub fn stream(&self) -> bool {
        todo!()
    }

    /// Whether the caller wants usage at the end of a stream.
    pub fn include_usage(&self) -> bool {
        todo!()
    }

    /// Answers asked for at once; at least one.
    pub fn choices(&self) -> u32 {
        todo!()
    }

    /// The caller's bound on output tokens: the larger one where it gives both spellings.
    pub fn output_bound(&self) -> Option<u64> {
        todo!()
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        todo!()
    }
}

impl EmbeddingsRequest {
    /// Reads the body of a request.
    pub fn read(body: Bytes) -> Result<Self, InvalidRequest> {
        todo!()
    }

    /// The model asked for.
    pub fn model(&self) -> &ModelName {
        todo!()
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        todo!()
    }
}
