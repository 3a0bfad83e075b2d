//! `Webhooks`: what proxies receive, wait for and work on.

use agix_core::id::{ProxyId, WebhookName};
use agix_core::limits::{STORE_VALUE_BYTES, WEBHOOK_OPEN, WEBHOOK_STREAMS};
use agix_core::webhook::execution::{DeliveryKey, ExecutionId};
use agix_core::webhook::outcome::Payload;
use agix_core::webhook::queue::Answer;
use agix_proto::v1;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::conversation::{Conversations, Said};
use super::status;
use crate::store::Store;
use crate::webhooks::{Awaited, Received, WebhookDesk};

/// The service.
#[derive(Debug)]
pub(crate) struct Webhooks<S> {
    desk: WebhookDesk<S>,
    streams: Conversations,
    stop: CancellationToken,
}

impl<S: Store> Webhooks<S> {
    /// The service; its streams run on `tasks` until `stop` is cancelled.
    pub(crate) fn new(desk: WebhookDesk<S>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            desk,
            streams: Conversations::new(tasks, stop.clone(), WEBHOOK_STREAMS),
            stop,
        }
    }
}

#[tonic::async_trait]
impl<S: Store> v1::webhooks_server::Webhooks for Webhooks<S> {
    type WorkStream = Said<v1::WorkResponse>;

    async fn accept(
        &self,
        request: Request<v1::AcceptRequest>,
    ) -> Result<Response<v1::AcceptResponse>, Status> {
        let received = received(request.into_inner())?;
        let answer = self.desk.accept(received).await;
        match answer.map_err(|error| status::of_not_served(&error))? {
            Answer::Accepted {
                id,
                state,
                repeated,
            } => Ok(Response::new(v1::AcceptResponse {
                execution_id: id.to_string(),
                state: v1::ExecutionState::from(state).into(),
                repeated,
            })),
            Answer::Full => Err(full()),
            Answer::Unknown | Answer::Open => Err(Status::internal("not an answer to this")),
        }
    }

    async fn r#await(
        &self,
        request: Request<v1::AwaitRequest>,
    ) -> Result<Response<v1::AwaitResponse>, Status> {
        let id = execution(&request.into_inner().execution_id)?;
        let awaited = self.desk.result_of(id).await;
        let execution = match awaited.map_err(|error| status::of_not_served(&error))? {
            None => return Err(unknown(id)),
            Some(Awaited::There(execution)) => *execution,
            Some(Awaited::TooMany) => {
                return Err(Status::resource_exhausted(
                    "too many wait for results already",
                ));
            }
            Some(Awaited::Coming(coming)) => {
                let coming = self.stop.run_until_cancelled(coming).await;
                match coming.ok_or_else(status::stopping)? {
                    Ok(execution) => execution,
                    Err(_lost) => {
                        return Err(Status::unavailable("the queue starts over; ask again"));
                    }
                }
            }
        };
        let result = self.desk.result(id).await;
        let result = result.map_err(|error| status::of_webhook_load(&error))?;
        Ok(Response::new(v1::AwaitResponse {
            execution: Some((&execution).into()),
            result: result.as_ref().map(Into::into),
        }))
    }

    async fn work(
        &self,
        request: Request<Streaming<v1::WorkRequest>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        self.streams
            .begin(self.desk.desk(), request.into_inner())
            .await
    }
}

fn received(request: v1::AcceptRequest) -> Result<Received, Status> {
    let v1::AcceptRequest {
        webhook,
        delivery_key,
        payload,
        proxy_id,
    } = request;
    let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
    let payload = payload.ok_or_else(|| Status::invalid_argument("field payload: missing"))?;
    if payload.encoded_len() > STORE_VALUE_BYTES {
        return Err(Status::invalid_argument(format!(
            "body and headers have at most {STORE_VALUE_BYTES} bytes together"
        )));
    }
    let key = <[u8; 32]>::try_from(delivery_key.as_slice())
        .map_err(|_length| Status::invalid_argument("field delivery_key: must have 32 bytes"))?;
    let payload = Payload::try_from(payload).map_err(|error| invalid(&error))?;
    Ok(Received {
        webhook: WebhookName::new(&webhook).map_err(|error| invalid(&error))?,
        delivery: DeliveryKey::new(key),
        hash: Sha256::digest(&payload.body).into(),
        payload,
        proxy: ProxyId::new(&proxy_id).map_err(|error| invalid(&error))?,
    })
}

/// Reads the id of an execution.
pub(super) fn execution(text: &str) -> Result<ExecutionId, Status> {
    ExecutionId::parse(text).ok_or_else(|| {
        Status::invalid_argument(format!(
            "`{text}` is no execution id; one looks like exec_ and 26 letters and digits"
        ))
    })
}

/// There is no such execution.
pub(super) fn unknown(id: ExecutionId) -> Status {
    Status::not_found(format!(
        "there is no execution {id}, or it is too old to be kept"
    ))
}

/// There is no room.
pub(super) fn full() -> Status {
    Status::resource_exhausted(format!(
        "the queue of webhooks is full: {WEBHOOK_OPEN} executions, or as many bytes as it may hold"
    ))
}
