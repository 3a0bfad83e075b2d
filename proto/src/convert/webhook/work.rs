//! The stream between the queue and those who work on it.

use std::sync::Arc;
use std::time::Duration;

use agix_core::limits::WEBHOOK_SLOTS;
use agix_core::webhook::execution::Worker;
use agix_core::webhook::outcome::{BudgetAlert, CallbackResult, Payload, RunResult};
use agix_core::webhook::work::{FromQueue, Step, StepOutcome, ToQueue, Work};

use super::{execution_id, wall, wall_millis};
use crate::convert::error::{At, InvalidMessage};
use crate::convert::field::{entries, name, required, to_millis};
use crate::v1;
use crate::v1::step::Work as WireWork;
use crate::v1::step_done::Outcome as Done;
use crate::v1::work_request::Body as FromProxy;
use crate::v1::work_response::Body as FromServer;

impl From<&ToQueue> for v1::WorkRequest {
    fn from(message: &ToQueue) -> Self {
        let body = match message {
            ToQueue::Hello {
                worker,
                slots,
                claims,
            } => FromProxy::Hello(v1::WorkHello {
                proxy_id: worker.proxy.to_string(),
                incarnation: worker.incarnation,
                slots: *slots,
                claims: claims.clone(),
            }),
            ToQueue::Done { claim, outcome } => FromProxy::Done(v1::StepDone {
                claim: *claim,
                outcome: Some(match outcome {
                    StepOutcome::Ran(result) => Done::Result(result.into()),
                    StepOutcome::CalledBack(result) => Done::Callback(result.into()),
                }),
            }),
            ToQueue::Released { claim } => FromProxy::Released(v1::StepReleased { claim: *claim }),
            ToQueue::Alive => FromProxy::Alive(v1::WorkAlive {}),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<v1::WorkRequest> for ToQueue {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WorkRequest) -> Result<Self, InvalidMessage> {
        let v1::WorkRequest { body } = wire;
        Ok(match required(body).at("body")? {
            FromProxy::Hello(v1::WorkHello {
                proxy_id,
                incarnation,
                slots,
                claims,
            }) => {
                // Those it works on, and as many whose outcome it has not heard to be stored.
                let most = WEBHOOK_SLOTS.saturating_mul(2);
                entries(&claims, 0, most, "claims").at("hello")?;
                Self::Hello {
                    worker: Worker {
                        proxy: name(&proxy_id, "proxy_id").at("hello")?,
                        incarnation,
                    },
                    slots,
                    claims,
                }
            }
            FromProxy::Done(v1::StepDone { claim, outcome }) => Self::Done {
                claim,
                outcome: match required(outcome).at("outcome").at("done")? {
                    Done::Result(result) => {
                        StepOutcome::Ran(RunResult::try_from(result).at("result").at("done")?)
                    }
                    Done::Callback(result) => StepOutcome::CalledBack(
                        CallbackResult::try_from(result).at("callback").at("done")?,
                    ),
                },
            },
            FromProxy::Released(v1::StepReleased { claim }) => Self::Released { claim },
            FromProxy::Alive(v1::WorkAlive {}) => Self::Alive,
        })
    }
}

impl From<&FromQueue> for v1::WorkResponse {
    fn from(message: &FromQueue) -> Self {
        let body = match message {
            FromQueue::Welcome { lease } => FromServer::Welcome(v1::WorkWelcome {
                lease_ms: to_millis(*lease),
            }),
            FromQueue::Step(step) => FromServer::Step(Box::new(step.into())),
            FromQueue::Recorded { claim } => {
                FromServer::Recorded(v1::StepRecorded { claim: *claim })
            }
            FromQueue::Revoked { claim } => FromServer::Revoked(v1::StepRevoked { claim: *claim }),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<v1::WorkResponse> for FromQueue {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WorkResponse) -> Result<Self, InvalidMessage> {
        let v1::WorkResponse { body } = wire;
        Ok(match required(body).at("body")? {
            FromServer::Welcome(v1::WorkWelcome { lease_ms }) => Self::Welcome {
                lease: Duration::from_millis(lease_ms),
            },
            FromServer::Step(step) => Self::Step(Step::try_from(*step).at("step")?),
            FromServer::Recorded(v1::StepRecorded { claim }) => Self::Recorded { claim },
            FromServer::Revoked(v1::StepRevoked { claim }) => Self::Revoked { claim },
        })
    }
}

impl From<&Step> for v1::Step {
    fn from(step: &Step) -> Self {
        let Step {
            claim,
            execution,
            webhook,
            received,
            work,
        } = step;
        let work = match work {
            Work::Run { payload, attempt } => WireWork::Run(v1::RunStep {
                payload: Some(payload.as_ref().into()),
                attempt: *attempt,
            }),
            Work::CallBack {
                result,
                alert,
                attempt,
            } => WireWork::Callback(v1::CallbackStep {
                result: result.as_deref().map(Into::into),
                alert: alert.as_ref().map(Into::into),
                attempt: *attempt,
            }),
        };
        Self {
            claim: *claim,
            execution_id: execution.to_string(),
            webhook: webhook.to_string(),
            received_ms: wall_millis(*received),
            work: Some(work),
        }
    }
}

impl TryFrom<v1::Step> for Step {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Step) -> Result<Self, InvalidMessage> {
        let v1::Step {
            claim,
            execution_id: execution,
            webhook,
            received_ms,
            work,
        } = wire;
        let work = match required(work).at("work")? {
            WireWork::Run(v1::RunStep { payload, attempt }) => {
                let payload = required(payload).at("payload").at("run")?;
                Work::Run {
                    payload: Arc::new(Payload::try_from(payload).at("payload").at("run")?),
                    attempt,
                }
            }
            WireWork::Callback(v1::CallbackStep {
                result,
                alert,
                attempt,
            }) => {
                let result = result.map(RunResult::try_from).transpose();
                let alert = alert.map(BudgetAlert::try_from).transpose();
                Work::CallBack {
                    result: result.at("result").at("callback")?.map(Arc::new),
                    alert: alert.at("alert").at("callback")?,
                    attempt,
                }
            }
        };
        Ok(Self {
            claim,
            execution: execution_id(&execution, "execution_id")?,
            webhook: name(&webhook, "webhook")?,
            received: wall(received_ms),
            work,
        })
    }
}
