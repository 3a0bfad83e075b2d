//! What an execution works on, and what comes of its steps.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{AgentName, ModelName, ProviderName};
use crate::ledger::AlertPeriod;
use crate::units::{AlertPercent, NanoUsd, Tokens};

/// What was received, or the alert that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// The body, as it was received.
    pub body: Arc<[u8]>,
    /// Headers, without signatures and credentials.
    pub headers: Vec<(String, String)>,
    /// The alert.
    pub alert: Option<BudgetAlert>,
}

/// The spend of a period has crossed a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetAlert {
    /// Whose spend.
    pub agent: AgentName,
    /// Of which period.
    pub period: AlertPeriod,
    /// The threshold.
    pub percent: AlertPercent,
    /// The limit it is a share of.
    pub limit: NanoUsd,
    /// The spend.
    pub spent: NanoUsd,
}

/// What came of rendering and asking the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// The answer, or why there is none.
    pub outcome: Result<Answer, Failure>,
    /// How long it took.
    pub latency: Duration,
    /// The rendered prompt, if the definition keeps it.
    pub prompt: Option<String>,
    /// The calls of models that were made.
    pub calls: Vec<ModelCall>,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The model.
    pub model: ModelName,
    /// Its text.
    pub output: String,
    /// Tokens in.
    pub input: Tokens,
    /// Tokens out.
    pub output_tokens: Tokens,
    /// What it cost; absent: nobody knows.
    pub cost: Option<NanoUsd>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A word for programs: `render`, `limit`, `budget`, `upstream`, `timeout`, `policy`, `lost`.
    pub kind: String,
    /// What happened, for people.
    pub message: String,
    /// Whether another attempt may do better.
    pub retryable: bool,
    /// Not before so long.
    pub retry_after: Option<Duration>,
}

/// One call of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCall {
    /// The model.
    pub model: ModelName,
    /// Its provider.
    pub provider: ProviderName,
    /// `ok`, or why not.
    pub outcome: String,
}

/// What came of one post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackResult {
    /// The answer, or why there is none.
    pub outcome: CallbackOutcome,
    /// How long it took.
    pub latency: Duration,
}

/// How a post ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackOutcome {
    /// The receiver answered.
    Answered {
        /// The status of its answer.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It did not.
    Failed(String),
    /// The target must not be called; trying again will not help.
    Refused(String),
    /// The definition has no callback.
    NoCallback,
}
