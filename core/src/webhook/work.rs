//! What the queue and the proxies that work on it say to each other.
//!
//! A claim is the right to carry out one step. It is stored before its proxy hears of it, so that a
//! proxy that dies has used up an attempt; its outcome is said until the queue has stored it.

use std::sync::Arc;
use std::time::Duration;

use super::execution::{ExecutionId, Worker};
use super::outcome::{BudgetAlert, CallbackResult, Payload, RunResult};
use crate::id::WebhookName;
use crate::time::Wall;

/// What a proxy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToQueue {
    /// First message of a stream.
    Hello {
        /// Who speaks.
        worker: Worker,
        /// Steps it works on at one moment.
        slots: u32,
        /// Claims of earlier streams that it still works on, or whose outcome is not confirmed.
        claims: Vec<u64>,
    },
    /// A step is over.
    Done {
        /// The claim.
        claim: u64,
        /// What came of it.
        outcome: StepOutcome,
    },
    /// A step was not begun; it costs no attempt.
    Released {
        /// The claim.
        claim: u64,
    },
    /// The proxy is there.
    Alive,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Of rendering and asking the model.
    Ran(RunResult),
    /// Of a post.
    CalledBack(CallbackResult),
}

/// What the queue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromQueue {
    /// Answer to the first message.
    Welcome {
        /// A proxy that says nothing for so long loses its claims.
        lease: Duration,
    },
    /// Something is to be done.
    Step(Step),
    /// An outcome is stored.
    Recorded {
        /// The claim.
        claim: u64,
    },
    /// A claim is not the proxy's; its outcome is not wanted.
    Revoked {
        /// The claim.
        claim: u64,
    },
}

/// One step of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The right to carry it out.
    pub claim: u64,
    /// The execution.
    pub execution: ExecutionId,
    /// Its definition.
    pub webhook: WebhookName,
    /// When it was accepted.
    pub received: Wall,
    /// What is to be done.
    pub work: Work,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Render and ask the model, once.
    Run {
        /// What was received.
        payload: Arc<Payload>,
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// Post the result, once.
    CallBack {
        /// The result; absent: an alert is sent as it is.
        result: Option<Arc<RunResult>>,
        /// The alert.
        alert: Option<BudgetAlert>,
        /// Which attempt this is, from 1.
        attempt: u32,
    },
}
