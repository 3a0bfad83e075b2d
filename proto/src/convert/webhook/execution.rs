//! Executions.

use std::time::Duration;

use agix_core::limits::{WEBHOOK_TRIES, WEBHOOK_TRY_TEXT};
use agix_core::units::NanoUsd;
use agix_core::webhook::execution::{Claim, Execution, Origin, State, Summary, Try, Worker};

use super::{execution_id, wall, wall_millis};
use crate::convert::error::{At, InvalidMessage};
use crate::convert::field::{
    Enumeration as _, bounded, digest, enum_value, enumeration, list, name, to_millis,
};
use crate::v1;

enumeration!(State, v1::ExecutionState:
    Pending = Pending,
    Running = Running,
    CallingBack = CallingBack,
    Succeeded = Succeeded,
    Failed = Failed,
    Dead = Dead,
);

impl From<State> for v1::ExecutionState {
    fn from(state: State) -> Self {
        Self::try_from(state.number()).unwrap_or(Self::Unspecified)
    }
}

impl TryFrom<v1::ExecutionState> for State {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ExecutionState) -> Result<Self, InvalidMessage> {
        enum_value(wire.into(), "state")
    }
}

impl From<&Execution> for v1::WebhookExecution {
    fn from(execution: &Execution) -> Self {
        let Execution {
            id,
            webhook,
            received,
            origin,
            payload_hash,
            payload_bytes,
            state,
            due,
            claim,
            runs,
            callbacks,
            tries,
            summary,
            finished,
        } = execution;
        let (proxy_id, replay_of, is_alert) = match origin {
            Origin::Received(proxy) => (Some(proxy.to_string()), None, false),
            Origin::Replay(of) => (None, Some(of.to_string()), false),
            Origin::Alert => (None, None, true),
        };
        Self {
            id: id.to_string(),
            webhook: webhook.to_string(),
            received_ms: wall_millis(*received),
            proxy_id,
            payload_sha256: payload_hash.to_vec(),
            payload_bytes: *payload_bytes,
            replay_of,
            state: v1::ExecutionState::from(*state).into(),
            due_ms: due.map(wall_millis),
            claim: claim.as_ref().map(Into::into),
            runs: *runs,
            callbacks: *callbacks,
            tries: tries.iter().map(Into::into).collect(),
            summary: summary.as_ref().map(Into::into),
            finished_ms: finished.map(wall_millis),
            is_alert,
        }
    }
}

impl TryFrom<v1::WebhookExecution> for Execution {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookExecution) -> Result<Self, InvalidMessage> {
        let v1::WebhookExecution {
            id,
            webhook,
            received_ms,
            proxy_id,
            payload_sha256,
            payload_bytes,
            replay_of,
            state,
            due_ms,
            claim,
            runs,
            callbacks,
            tries,
            summary,
            finished_ms,
            is_alert,
        } = wire;
        let origin = match (proxy_id, replay_of, is_alert) {
            (_, Some(of), _) => Origin::Replay(execution_id(&of, "replay_of")?),
            (Some(proxy), None, _) => Origin::Received(name(&proxy, "proxy_id")?),
            (None, None, _) => Origin::Alert,
        };
        Ok(Self {
            id: execution_id(&id, "id")?,
            webhook: name(&webhook, "webhook")?,
            received: wall(received_ms),
            origin,
            payload_hash: digest(&payload_sha256).at("payload_sha256")?,
            payload_bytes,
            state: enum_value(state, "state")?,
            due: due_ms.map(wall),
            claim: claim.map(Claim::try_from).transpose().at("claim")?,
            runs,
            callbacks,
            tries: list(tries, WEBHOOK_TRIES, "tries")?,
            summary: summary.map(Summary::try_from).transpose().at("summary")?,
            finished: finished_ms.map(wall),
        })
    }
}

impl From<&Claim> for v1::WebhookClaim {
    fn from(claim: &Claim) -> Self {
        let Claim { number, worker } = claim;
        Self {
            number: *number,
            proxy_id: worker.proxy.to_string(),
            incarnation: worker.incarnation,
        }
    }
}

impl TryFrom<v1::WebhookClaim> for Claim {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookClaim) -> Result<Self, InvalidMessage> {
        let v1::WebhookClaim {
            number,
            proxy_id,
            incarnation,
        } = wire;
        Ok(Self {
            number,
            worker: Worker {
                proxy: name(&proxy_id, "proxy_id")?,
                incarnation,
            },
        })
    }
}

impl From<&Try> for v1::WebhookTry {
    fn from(one: &Try) -> Self {
        let Try {
            at,
            is_callback,
            proxy,
            outcome,
            latency,
        } = one;
        Self {
            at_ms: wall_millis(*at),
            is_callback: *is_callback,
            proxy_id: proxy.to_string(),
            outcome: outcome.clone(),
            latency_ms: to_millis(*latency),
        }
    }
}

impl TryFrom<v1::WebhookTry> for Try {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookTry) -> Result<Self, InvalidMessage> {
        let v1::WebhookTry {
            at_ms,
            is_callback,
            proxy_id,
            outcome,
            latency_ms,
        } = wire;
        Ok(Self {
            at: wall(at_ms),
            is_callback,
            proxy: name(&proxy_id, "proxy_id")?,
            outcome: bounded(outcome, WEBHOOK_TRY_TEXT, "outcome")?,
            latency: Duration::from_millis(latency_ms),
        })
    }
}

impl From<&Summary> for v1::WebhookSummary {
    fn from(summary: &Summary) -> Self {
        let Summary {
            model,
            latency,
            cost,
            error,
        } = summary;
        Self {
            model: model.as_ref().map(ToString::to_string),
            latency_ms: to_millis(*latency),
            cost_nano_usd: cost.map(NanoUsd::as_nanos),
            error: error.clone(),
        }
    }
}

impl TryFrom<v1::WebhookSummary> for Summary {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookSummary) -> Result<Self, InvalidMessage> {
        let v1::WebhookSummary {
            model,
            latency_ms,
            cost_nano_usd,
            error,
        } = wire;
        let error = error.map(|error| bounded(error, WEBHOOK_TRY_TEXT, "error"));
        Ok(Self {
            model: model.map(|model| name(&model, "model")).transpose()?,
            latency: Duration::from_millis(latency_ms),
            cost: cost_nano_usd.map(NanoUsd::from_nanos),
            error: error.transpose()?,
        })
    }
}
