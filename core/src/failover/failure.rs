//! How an attempt can fail, in terms the decision needs.

use std::time::Duration;

/// Why an attempt gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The provider could not be reached: name, connection or TLS.
    Connect,
    /// The connection broke before anything of the answer arrived.
    Reset,
    /// Nothing of the answer arrived in time.
    FirstTokenTimeout,
    /// The answer stopped arriving.
    IdleTimeout,
    /// The answer arrived more slowly than the policy puts up with.
    TooSlow,
    /// The request's deadline passed.
    Deadline,
    /// The provider refused, by status or by an error event inside a 200.
    Refused {
        /// The HTTP status, or the one an error event stands for.
        status: u16,
        /// What kind of refusal it is.
        refusal: Refusal,
        /// How long the provider asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The answer ended before it was whole.
    Truncated,
    /// The answer was not of the provider's protocol.
    Malformed,
    /// The answer, or a part of it, was larger than agix takes.
    TooLarge,
}

/// What a provider's refusal means, read from its status and error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many requests for now (429).
    RateLimited,
    /// Credit or spend limit used up (402, or 429 with such a code).
    QuotaExhausted,
    /// Our own key was refused (401, 403).
    Credentials,
    /// The model does not exist there (404).
    ModelMissing,
    /// The request does not fit the model's context.
    ContextLength,
    /// The content was refused by policy.
    ContentFilter,
    /// The provider is overloaded or broken (408, 409, 425, 5xx, 529).
    Unavailable,
    /// The request itself was at fault (other 4xx).
    Request,
}
