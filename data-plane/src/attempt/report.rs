//! What is said of an attempt that gave no answer.

use std::borrow::Cow;
use std::time::Duration;

use agix_core::failover::{Failure, Refusal};
use agix_core::lease::Refused as QuotaRefused;
use agix_core::units::NanoUsd;
use agix_core::usage::{Usage, UsageSource};
use agix_core::webhook::outcome::ModelCall;
use bytes::Bytes;
use serde::Serialize;

use crate::dialect::Refused;
use crate::plan::Target;

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) failure: Failure,
    /// For people; names no address and no key.
    pub(crate) message: String,
    /// The provider's own code.
    pub(crate) code: Option<String>,
    /// The provider's error body, where it is in the caller's protocol.
    pub(crate) original: Option<Bytes>,
    /// What the provider bills all the same.
    pub(crate) billed: Option<Box<(Usage, UsageSource)>>,
    /// Nothing failed: a drill says that it did.
    pub(crate) is_drill: bool,
}

/// The agent's limits or budget did not let an attempt begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAllowed {
    pub(crate) refused: QuotaRefused,
    /// The most the attempt could have cost.
    pub(crate) needed: NanoUsd,
}

/// One entry of `attempts[]`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AttemptReport {
    model: String,
    provider: String,
    outcome: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip)]
    configuration: bool,
}

/// Why a target is not even tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Skip {
    /// The request needs what the target cannot do.
    Request(Cow<'static, str>),
    /// The policy or the proxy's environment keeps the target out.
    Configuration(&'static str),
    /// It failed too much lately.
    LeftAlone,
    /// Too many further attempts failed lately.
    RetryBudget,
    /// No money could be set aside for it.
    Budget(&'static str),
}

impl Fault {
    /// A failure that is not the provider's own word.
    pub(crate) fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self {
            failure,
            message: message.into(),
            code: None,
            original: None,
            billed: None,
            is_drill: false,
        }
    }

    /// The same, of a call that is billed.
    pub(crate) fn billed(self, billed: (Usage, UsageSource)) -> Self {
        Self {
            billed: Some(Box::new(billed)),
            ..self
        }
    }

    /// What a drill says of a target.
    pub(crate) fn drilled() -> Self {
        let failure = Failure::Refused {
            status: 503,
            refusal: Refusal::Unavailable,
            retry_after: None,
        };
        Self {
            is_drill: true,
            ..Self::new(failure, "a drill says that it failed")
        }
    }

    /// A provider's refusal.
    pub(crate) fn refused(refused: Refused) -> Self {
        let failure = refused.failure();
        Self {
            failure,
            message: refused.message,
            code: refused.code,
            original: None,
            billed: None,
            is_drill: false,
        }
    }

    /// The word for `attempts[]` and for counters.
    pub(crate) const fn reason(&self) -> &'static str {
        if self.is_drill {
            return "drill";
        }
        reason(self.failure)
    }

    /// The provider's status, if it is what failed.
    pub(crate) const fn own_status(&self) -> Option<u16> {
        match self.failure {
            Failure::Refused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Whether operators have to act: our key or account at the provider is at fault.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(
            self.failure,
            Failure::Refused {
                refusal: Refusal::Credentials | Refusal::QuotaExhausted,
                ..
            }
        )
    }

    /// The provider's status; 502 where there was none.
    pub(crate) const fn status(&self) -> u16 {
        match self.failure {
            Failure::Refused { status, .. } => status,
            Failure::Connect
            | Failure::Reset
            | Failure::FirstTokenTimeout
            | Failure::IdleTimeout
            | Failure::TooSlow
            | Failure::Deadline
            | Failure::Truncated
            | Failure::Malformed
            | Failure::TooLarge => 502,
        }
    }
}

impl NotAllowed {
    /// Why a target was passed over.
    pub(crate) const fn reason(&self) -> &'static str {
        match self.refused {
            QuotaRefused::Budget { .. } => "over budget",
            QuotaRefused::Limit { .. } => "over a limit",
            QuotaRefused::Undecided => "the budget cannot be checked",
            QuotaRefused::Crowded => "too many requests are waiting",
        }
    }

    /// Whether only money is lacking, so that a cheaper target may do.
    pub(crate) const fn is_about_money(&self) -> bool {
        matches!(self.refused, QuotaRefused::Budget { .. })
    }
}

impl Skip {
    /// The words for `attempts[]`.
    pub(crate) fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Request(reason) => reason.clone(),
            Self::Budget(reason) | Self::Configuration(reason) => Cow::Borrowed(reason),
            Self::LeftAlone => Cow::Borrowed("it failed too much lately and is left alone"),
            Self::RetryBudget => Cow::Borrowed("too many further attempts failed lately"),
        }
    }
}

impl AttemptReport {
    pub(crate) fn skipped(target: &Target, skip: &Skip) -> Self {
        Self {
            model: target.model.to_string(),
            provider: target.provider.name.to_string(),
            outcome: "skipped",
            reason: skip.reason().into_owned(),
            status: None,
            message: None,
            duration_ms: None,
            // That a target is left alone is no fault of the request either.
            configuration: matches!(skip, Skip::LeftAlone | Skip::Configuration(_)),
        }
    }

    /// The target gave the answer.
    pub(crate) fn answered(target: &Target) -> Self {
        Self {
            model: target.model.to_string(),
            provider: target.provider.name.to_string(),
            outcome: "answered",
            reason: String::new(),
            status: None,
            message: None,
            duration_ms: None,
            configuration: false,
        }
    }

    pub(crate) fn failed(target: &Target, fault: &Fault, lasted: Duration) -> Self {
        Self {
            model: target.model.to_string(),
            provider: target.provider.name.to_string(),
            outcome: "failed",
            reason: fault.reason().to_owned(),
            status: fault.own_status(),
            message: Some(fault.message.clone()),
            duration_ms: Some(u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX)),
            configuration: false,
        }
    }

    /// Whether the target was passed over for what the policy or the environment lacks.
    pub(crate) const fn is_configuration(&self) -> bool {
        self.configuration
    }

    /// One target and its reason, for a message.
    pub(crate) fn summary(&self) -> String {
        format!("{} ({})", self.model, self.reason)
    }

    /// The call of a model, if one was made.
    pub(crate) fn call(&self) -> Option<ModelCall> {
        self.duration_ms?;
        Some(ModelCall {
            model: self.model.parse().ok()?,
            provider: self.provider.parse().ok()?,
            outcome: self.reason.clone(),
        })
    }

    /// Whether a provider was called.
    pub(crate) fn was_made(&self) -> bool {
        self.duration_ms.is_some()
    }
}

/// A failure in a word.
const fn reason(failure: Failure) -> &'static str {
    match failure {
        Failure::Connect => "connect",
        Failure::Reset => "reset",
        Failure::FirstTokenTimeout => "first_token_timeout",
        Failure::IdleTimeout => "idle_timeout",
        Failure::TooSlow => "too_slow",
        Failure::Deadline => "deadline",
        Failure::Truncated => "truncated",
        Failure::Malformed => "malformed",
        Failure::TooLarge => "too_large",
        Failure::Refused { refusal, .. } => match refusal {
            Refusal::RateLimited => "rate_limited",
            Refusal::QuotaExhausted => "quota_exhausted",
            Refusal::Credentials => "credentials",
            Refusal::ModelMissing => "model_missing",
            Refusal::ContextLength => "context_length",
            Refusal::ContentFilter => "content_filter",
            Refusal::Unavailable => "unavailable",
            Refusal::Request => "bad_request",
        },
    }
}

/// A failure in a few words: `unavailable (503)`.
pub(crate) fn words_of(failure: Failure) -> String {
    match failure {
        Failure::Refused { status, .. } => format!("{} ({status})", reason(failure)),
        _ => reason(failure).to_owned(),
    }
}
