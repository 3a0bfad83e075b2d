//! `POST /v1/webhooks/{name}`.
//!
//! Rules this module keeps:
//! - A signature is looked at before anything else of the body, and a wrong one is told nothing.
//! - 202 means that the queue has stored it.
//! - Credentials and signatures of the sender go no further.

use std::sync::Arc;
use std::time::Duration;

use agix_core::id::{Revision, WebhookName};
use agix_core::limits::{
    HEADERS, WEBHOOK_ACCEPT_TIME, WEBHOOK_HEADER_BYTES, WEBHOOK_RETRY_AFTER, WEBHOOK_WAIT,
};
use agix_core::time::Wall;
use agix_core::webhook::execution::{ExecutionId, State};
use agix_core::webhook::outcome::{Payload, RunResult};
use agix_core::webhook::signature::Delivery;
use agix_proto::v1;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::Code;

use super::{Queue, message};
use crate::front::refusal::Refusal;
use crate::front::{Reply, body};
use crate::snapshot::Hook;
use crate::trail::Trail;
use crate::worker::Worker;

/// Headers with which a sender proves who it is, to agix or to what stands before it.
const SECRET: [&str; 14] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-webhook-signature",
    "x-hub-signature",
    "x-hub-signature-256",
    "stripe-signature",
    "webhook-signature",
    "x-signature",
    "x-gitlab-token",
];

/// A webhook that is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Called<'a> {
    pub(crate) name: &'a str,
    /// How long the sender waits, if it says.
    pub(crate) patience: Option<Duration>,
    pub(crate) trail: Option<&'a Arc<Trail>>,
}

/// Takes a webhook.
pub(crate) async fn receive(
    worker: &Arc<Worker>,
    parts: &Parts,
    incoming: Incoming,
    Called {
        name,
        patience,
        trail,
    }: Called<'_>,
) -> Result<Reply, Refusal> {
    let shared = &worker.shared;
    let compiled = shared.compiled.load_full();
    if compiled.revision == Revision::NONE {
        return Err(Refusal::no_policy());
    }
    let hook = compiled
        .hook(name)
        .filter(|hook| compiled.policy.webhook_settings.enabled && is_received(hook))
        .ok_or_else(Refusal::unknown_webhook)?;
    if let Some(trail) = trail {
        trail.identified(&hook.agent, compiled.revision);
    }
    let most = usize::try_from(hook.definition.max_payload_bytes).unwrap_or(usize::MAX);
    let (bytes, _held) = body::read_up_to(incoming, shared, most).await?;
    let queue = shared.queue.as_ref().ok_or_else(unavailable)?;
    let now = shared.clock.wall();
    let Some(request) = verified(queue, (name, hook), &parts.headers, &bytes, now) else {
        shared.metrics.refused("webhook_signature");
        if let Some(trail) = trail {
            trail.refused("webhook_signature");
        }
        return Ok(Reply::bare(StatusCode::UNAUTHORIZED));
    };
    let accepted = accept(queue, request).await?;
    if parts.uri.query().is_some_and(wants_to_wait)
        && let Some(reply) = result(queue, &accepted, name, patience.unwrap_or(WEBHOOK_WAIT)).await
    {
        return Ok(reply);
    }
    Ok(Reply::json_with(
        StatusCode::ACCEPTED,
        accepted_body(&accepted),
    ))
}

/// One that asks no model is there for alerts only.
const fn is_received(hook: &Hook) -> bool {
    hook.definition.enabled && hook.definition.model.is_some()
}

/// Whether the query has `wait=true`.
fn wants_to_wait(query: &str) -> bool {
    query.split('&').any(|pair| pair == "wait=true")
}

/// What the queue is asked to take, if the sender knows a secret.
fn verified(
    queue: &Queue,
    (name, hook): (&str, &Hook),
    headers: &HeaderMap,
    body: &Bytes,
    now: Wall,
) -> Option<v1::AcceptRequest> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let delivery = Delivery {
        header: &header,
        body,
        now,
    };
    let definition = &hook.definition;
    let secrets: Vec<&str> = hook.secrets().collect();
    if let Err(reason) = delivery.verify(definition.scheme, &secrets, definition.tolerance) {
        tracing::debug!(webhook = name, %reason, "a webhook was refused");
        return None;
    }
    let key = delivery.key(definition.scheme, &WebhookName::new(name).ok()?);
    let payload = Payload {
        body: body.as_ref().into(),
        headers: kept(headers),
        alert: None,
    };
    Some(v1::AcceptRequest {
        webhook: name.to_owned(),
        delivery_key: key.as_bytes().to_vec(),
        payload: Some((&payload).into()),
        proxy_id: queue.proxy.to_string(),
    })
}

/// The headers that a template may speak of.
fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        let is_kept = !SECRET.contains(&name.as_str()) && value.len() <= WEBHOOK_HEADER_BYTES;
        is_kept.then(|| (name.as_str().to_owned(), value.to_owned()))
    });
    text.take(HEADERS).collect()
}

async fn accept(queue: &Queue, request: v1::AcceptRequest) -> Result<v1::AcceptResponse, Refusal> {
    // It has the key of its delivery, so that it is stored once however often it is asked for.
    let accept = queue.ask(|mut client| {
        let request = request.clone();
        async move { client.accept(request).await }
    });
    let answered = timeout(WEBHOOK_ACCEPT_TIME, accept);
    match answered.await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) if status.code() == Code::InvalidArgument => {
            Err(Refusal::bad_webhook(status.message()))
        }
        Ok(Err(status)) => {
            tracing::warn!(code = ?status.code(), message = status.message(), "a webhook was not taken");
            Err(unavailable())
        }
        Err(_elapsed) => {
            tracing::warn!("a webhook was not taken in time");
            queue.look_elsewhere();
            Err(unavailable())
        }
    }
}

fn unavailable() -> Refusal {
    Refusal::webhook_not_taken(WEBHOOK_RETRY_AFTER)
}

fn accepted_body(accepted: &v1::AcceptResponse) -> Bytes {
    let state = v1::ExecutionState::try_from(accepted.state).ok();
    let state = state.and_then(|state| State::try_from(state).ok());
    let status = state.unwrap_or(State::Pending).as_str();
    let mut body = serde_json::json!({
        "execution_id": accepted.execution_id,
        "status": status,
    });
    if accepted.repeated {
        body["repeated"] = true.into();
    }
    Bytes::from(body.to_string())
}

/// The result, if it is there in time.
async fn result(
    queue: &Queue,
    accepted: &v1::AcceptResponse,
    name: &str,
    patience: Duration,
) -> Option<Reply> {
    let request = v1::AwaitRequest {
        execution_id: accepted.execution_id.clone(),
    };
    let wait = queue.ask(|mut client| {
        let request = request.clone();
        async move { client.r#await(request).await }
    });
    let answered = timeout(patience, wait);
    let response = answered.await.ok()?.ok()?.into_inner();
    let result = RunResult::try_from(response.result?).ok()?;
    let id = ExecutionId::parse(&accepted.execution_id)?;
    let body = message::report(id, name, &result, None);
    Some(Reply::json(body))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn what_proves_who_the_sender_is_is_not_kept() {
        let mut headers = HeaderMap::new();
        for name in SECRET {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static("secret"),
            );
        }
        let long = "x".repeat(WEBHOOK_HEADER_BYTES + 1);
        headers.insert("x-long", HeaderValue::from_str(&long).unwrap());
        headers.insert("x-odd", HeaderValue::from_bytes(b"\xff").unwrap());
        headers.insert("X-Event", HeaderValue::from_static("opened"));
        assert_eq!(
            kept(&headers),
            [("x-event".to_owned(), "opened".to_owned())]
        );
    }

    #[test]
    fn waiting_is_asked_for_in_one_way() {
        for (query, waits) in [
            ("wait=true", true),
            ("a=b&wait=true&c", true),
            ("wait=false", false),
            ("await=true", false),
            ("", false),
        ] {
            assert_eq!(wants_to_wait(query), waits, "{query}");
        }
    }
}
