//! Errors the proxy answers itself. The only place that fixes their status, type, code and whether a
//! client library should try again; [`Voice`] gives them the shape of the caller's protocol.

mod quota;
mod voice;

use std::time::Duration;

use agix_core::failover::{Failure, Stop};
use agix_core::id::AgentName;
use agix_core::policy::RateLimits;
use agix_core::time::Wall;
use agix_core::units::Tokens;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub(crate) use self::voice::Voice;
use self::voice::{Details, ErrorBody};
use crate::attempt::{AttemptReport, Failed, Fault};
use crate::dialect::InvalidRequest;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An error on its way to the caller.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: Option<String>,
    param: Option<&'static str>,
    message: String,
    /// What a client library is told about trying again; absent: as its own rules say.
    should_retry: Option<bool>,
    retry_after_seconds: Option<u32>,
    /// Whether the rest of the request cannot be read and the connection must end.
    close: bool,
    more: Option<Box<More>>,
    /// The word for the counter of refusals.
    pub(crate) reason: &'static str,
    /// Whether a provider was called before.
    pub(crate) was_tried: bool,
}

/// What only some errors say.
#[derive(Debug, Default)]
struct More {
    attempts: Vec<AttemptReport>,
    /// The provider's own error body, passed on as it is.
    original: Option<Bytes>,
    /// The limit that refused.
    quota: Option<quota::Details>,
    headers: HeaderMap,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, reason: &'static str, message: String) -> Self {
        Self {
            status,
            kind,
            code: Some(reason.to_owned()),
            param: None,
            message,
            should_retry: None,
            retry_after_seconds: None,
            close: false,
            more: None,
            reason,
            was_tried: false,
        }
    }

    fn invalid(reason: &'static str, message: String) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            reason,
            message,
        )
    }

    /// A header is wrong.
    pub(crate) fn bad_header(message: &str) -> Self {
        Self::invalid("invalid_header", message.to_owned())
    }

    /// It is not certain where the request goes; nothing that follows it can be trusted.
    pub(crate) fn ambiguous(message: &str) -> Self {
        Self {
            close: true,
            ..Self::bad_header(message)
        }
    }

    /// The head is larger than agix takes.
    pub(crate) fn head_too_large() -> Self {
        let kilobytes = agix_core::limits::HEADER_BYTES / 1024;
        let message = format!("The request's headers are larger than {kilobytes} KiB.");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self {
            close: true,
            ..Self::new(
                status,
                "invalid_request_error",
                "headers_too_large",
                message,
            )
        }
    }

    /// The body is no request.
    pub(crate) fn bad_request(error: &InvalidRequest) -> Self {
        let refusal = Self::invalid("invalid_request", error.message.clone());
        let code = match error.param {
            Some("thread") => Some(voice::NO_THREADS.to_owned()),
            _ => refusal.code.clone(),
        };
        Self {
            param: error.param,
            code,
            ..refusal
        }
    }

    /// The path names another agent than the header, or none that can be one.
    pub(crate) fn bad_path(message: &str) -> Self {
        Self::invalid("invalid_path", message.to_owned())
    }

    /// No key, or none that is known.
    pub(crate) fn no_key() -> Self {
        let message = "A valid API key is needed: send `Authorization: Bearer <key>` or \
                       `x-api-key: <key>`."
            .to_owned();
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "invalid_api_key",
            message,
        )
    }

    /// The key belongs to another agent than the one named.
    pub(crate) fn key_of_another(named: &AgentName) -> Self {
        let message = format!("This API key does not belong to the agent {named}.");
        Self::new(
            StatusCode::FORBIDDEN,
            "permission_error",
            "wrong_agent",
            message,
        )
    }

    /// The agent's list of models does not have this one.
    pub(crate) fn model_not_allowed(agent: &AgentName, model: &str) -> Self {
        let message = format!("The agent {agent} may not use the model `{model}`.");
        Self {
            param: Some("model"),
            ..Self::new(
                StatusCode::FORBIDDEN,
                "permission_error",
                "model_not_allowed",
                message,
            )
        }
    }

    /// Nobody knows what the model costs, and the policy does not let that pass.
    pub(crate) fn model_unpriced(agent: &AgentName, model: &str) -> Self {
        let message = format!(
            "The model `{model}` has no known price, so the agent {agent} may not use it. Give it \
             a price under `models.{model}.price`, or set `pricing.unknown_model`."
        );
        Self {
            param: Some("model"),
            ..Self::new(
                StatusCode::FORBIDDEN,
                "permission_error",
                "model_unpriced",
                message,
            )
        }
    }

    /// No provider serves the model.
    pub(crate) fn unknown_model(message: &str) -> Self {
        let kind = "invalid_request_error";
        Self {
            param: Some("model"),
            should_retry: Some(false),
            ..Self::new(
                StatusCode::NOT_FOUND,
                kind,
                "model_not_found",
                message.to_owned(),
            )
        }
    }

    /// No such endpoint.
    pub(crate) fn unknown_path(path: &str) -> Self {
        let shown: String = path.chars().take(128).collect();
        let message = if path.starts_with("/v1/v1") {
            format!("There is no endpoint {shown}: the base URL already ends in /v1.")
        } else {
            format!(
                "There is no endpoint {shown}. Chat completions are at /v1/chat/completions, \
                 responses at /v1/responses, messages at /v1/messages."
            )
        };
        Self::new(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            "unknown_endpoint",
            message,
        )
    }

    /// Something is wanted of a response that was given before.
    pub(crate) fn not_stored() -> Self {
        let message = "agix stores no responses, so there is nothing to be had of one that was \
                       given before."
            .to_owned();
        Self {
            should_retry: Some(false),
            ..Self::new(
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                "response_not_stored",
                message,
            )
        }
    }

    /// The endpoint exists, but not for this method.
    pub(crate) fn wrong_method(allow: &'static str) -> Self {
        let message = format!("This endpoint takes {allow} only.");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(
            status,
            "invalid_request_error",
            "method_not_allowed",
            message,
        )
    }

    /// The body is larger than agix takes.
    pub(crate) fn body_too_large(most: usize) -> Self {
        const MEBIBYTE: usize = 1024 * 1024;
        let message = if most.is_multiple_of(MEBIBYTE) {
            format!("The request's body is larger than {} MiB.", most / MEBIBYTE)
        } else {
            format!("The request's body is larger than {most} bytes.")
        };
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self {
            close: true,
            ..Self::new(
                status,
                "invalid_request_error",
                "request_too_large",
                message,
            )
        }
    }

    /// The body did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        let message = "The request's body did not arrive in time.".to_owned();
        let status = StatusCode::REQUEST_TIMEOUT;
        Self {
            close: true,
            ..Self::new(status, "invalid_request_error", "request_timeout", message)
        }
    }

    /// The body broke off.
    pub(crate) fn body_broken() -> Self {
        let message = "The request's body broke off.".to_owned();
        Self {
            close: true,
            ..Self::invalid("incomplete_body", message)
        }
    }

    /// There is no webhook of that name, or it is switched off.
    pub(crate) fn unknown_webhook() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            "unknown_webhook",
            "There is no such webhook.".to_owned(),
        )
    }

    /// The queue does not take a webhook as it is.
    pub(crate) fn bad_webhook(message: &str) -> Self {
        Self::invalid("invalid_webhook", message.to_owned())
    }

    /// The queue has not stored a webhook, or it is not known whether it has.
    pub(crate) fn webhook_not_taken(retry_after: Duration) -> Self {
        let message = "The webhook could not be stored; send it again.".to_owned();
        Self {
            retry_after_seconds: u32::try_from(retry_after.as_secs()).ok(),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "webhook_not_taken",
                message,
            )
        }
    }

    /// The proxy holds as many request bodies as it may.
    pub(crate) fn overloaded() -> Self {
        let message =
            "The proxy is holding as many requests as it may; try again shortly.".to_owned();
        Self {
            retry_after_seconds: Some(1),
            close: true,
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "overloaded",
                message,
            )
        }
    }

    /// The proxy has no policy and so no right to let anything pass.
    pub(crate) fn no_policy() -> Self {
        let message = "The proxy has no policy yet: apply one with `agixctl apply -f FILE`, or \
                       see whether it reaches its control plane."
            .to_owned();
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "no_policy",
                message,
            )
        }
    }

    /// The proxy is shutting down.
    pub(crate) fn draining() -> Self {
        let message = "The proxy is shutting down.".to_owned();
        Self {
            retry_after_seconds: Some(1),
            close: true,
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "shutting_down",
                message,
            )
        }
    }

    /// No attempt gave an answer. If limits or budget kept a target out that might have, that is said.
    pub(crate) fn failed(
        failed: Failed,
        agent: &AgentName,
        limits: Option<&RateLimits>,
        at: Wall,
    ) -> Self {
        let Failed {
            stop,
            last,
            attempts,
            not_allowed,
        } = failed;
        let was_tried = attempts.iter().any(AttemptReport::was_made);
        if let Some(no) = not_allowed.as_ref().filter(|_| stop != Stop::CallerFault) {
            let mut refusal = Self::not_allowed(agent, no, limits, at);
            refusal.was_tried = was_tried;
            if attempts.len() > 1 {
                refusal.more.get_or_insert_default().attempts = attempts;
            }
            return refusal;
        }
        let mut refusal = match &last {
            None if stop == Stop::Deadline => Self::out_of_time(),
            None => Self::no_target(&attempts),
            Some(fault) if stop == Stop::CallerFault => Self::callers_fault(fault),
            Some(fault) => Self::upstream_failed(stop, fault, &attempts),
        };
        refusal.was_tried = was_tried;
        let original = last
            .filter(|_| stop == Stop::CallerFault)
            .and_then(|fault| fault.original);
        refusal.should_retry = Some(false);
        refusal.more = Some(Box::new(More {
            attempts,
            original,
            ..More::default()
        }));
        refusal
    }

    /// The caller's time was up before its request could begin.
    fn out_of_time() -> Self {
        let message = "The request's time was up before it could begin.".to_owned();
        let status = StatusCode::GATEWAY_TIMEOUT;
        Self::new(status, "server_error", "deadline", message)
    }

    /// Every target was passed over: for what the request asks, or for what the policy lacks.
    fn no_target(attempts: &[AttemptReport]) -> Self {
        let reasons: Vec<_> = attempts.iter().map(AttemptReport::summary).collect();
        let message = format!("No model can serve this request: {}.", reasons.join("; "));
        if attempts.iter().any(AttemptReport::is_configuration) {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Self::new(status, "server_error", "no_target", message);
        }
        Self::invalid("no_target", message)
    }

    fn callers_fault(fault: &Fault) -> Self {
        let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let message = fault.message.clone();
        let refusal = Self::new(
            status,
            "invalid_request_error",
            "refused_by_provider",
            message,
        );
        Self {
            code: fault.code.clone(),
            ..refusal
        }
    }

    fn upstream_failed(stop: Stop, fault: &Fault, attempts: &[AttemptReport]) -> Self {
        let why = match stop {
            Stop::Deadline => "The request's time is used up",
            Stop::RetriesUsed => "Every allowed attempt failed",
            Stop::RetryBudget => "Too many further attempts failed lately to make another",
            Stop::Exhausted | Stop::CallerFault => "Every model of the chain failed",
        };
        let tried = attempts.iter().filter(|attempt| attempt.was_made()).count();
        let plural = if tried == 1 { "attempt" } else { "attempts" };
        let message = format!("{why} ({tried} {plural}). Last: {}", fault.message);
        let status = upstream_status(stop, fault.failure);
        let refusal = Self::new(status, "upstream_error", "upstream_failed", message);
        Self {
            code: fault.code.clone(),
            ..refusal
        }
    }

    /// What happened, for people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The status, for records.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers and body of the answer.
    pub(crate) fn into_parts(self, voice: &Voice) -> (StatusCode, HeaderMap, Bytes) {
        let More {
            attempts,
            original,
            quota,
            mut headers,
        } = self.more.map(|more| *more).unwrap_or_default();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(retry) = self.should_retry {
            let value = if retry { "true" } else { "false" };
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(value));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let quota = quota.as_ref();
        let agix = (quota.is_some() || !attempts.is_empty()).then_some(Details {
            quota,
            attempts: &attempts,
        });
        let body = original.unwrap_or_else(|| {
            let error = ErrorBody {
                message: &self.message,
                kind: self.kind,
                param: self.param,
                code: self.code.as_deref(),
                agix,
            };
            voice.body(self.status, error)
        });
        (self.status, headers, body)
    }
}

/// What a chain's failure means to the caller. A refusal of our own key or account is never shown
/// as the caller's.
fn upstream_status(stop: Stop, last: Failure) -> StatusCode {
    if stop == Stop::Deadline {
        return StatusCode::GATEWAY_TIMEOUT;
    }
    match last {
        Failure::FirstTokenTimeout
        | Failure::IdleTimeout
        | Failure::TooSlow
        | Failure::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Failure::Refused { status, .. } => match status {
            429 => StatusCode::TOO_MANY_REQUESTS,
            503 | 529 => StatusCode::SERVICE_UNAVAILABLE,
            504 => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        },
        Failure::Connect
        | Failure::Reset
        | Failure::Truncated
        | Failure::Malformed
        | Failure::TooLarge => StatusCode::BAD_GATEWAY,
    }
}

/// Tokens for a header.
pub(crate) fn tokens_value(tokens: Tokens) -> HeaderValue {
    HeaderValue::from(tokens.get())
}

#[cfg(test)]
mod tests;
