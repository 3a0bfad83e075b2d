//! `WebhookAdmin`: the history of webhooks, and replaying them.

use agix_core::audit::{Act, Kind};
use agix_core::id::{Revision, WebhookName};
use agix_core::limits::{GRPC_LIST_BYTES, WEBHOOK_PAGE};
use agix_core::time::Wall;
use agix_core::webhook::execution::{Execution, State};
use agix_core::webhook::queue::{Answer, Queue};
use agix_proto::v1;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::signature::UNKNOWN;
use super::status;
use super::webhooks::{execution, full, unknown};
use crate::access;
use crate::acts;
use crate::clock::Clock;
use crate::store::Store;
use crate::webhooks::{ReplayError, WebhookDesk};

/// The service.
#[derive(Debug)]
pub(crate) struct WebhookAdmin<S> {
    desk: WebhookDesk<S>,
    store: S,
    clock: Clock,
}

/// What is wanted of the history.
struct Wanted {
    webhook: Option<WebhookName>,
    states: Vec<State>,
    since: Wall,
    most: usize,
}

impl<S: Store> WebhookAdmin<S> {
    pub(crate) const fn new(desk: WebhookDesk<S>, store: S, clock: Clock) -> Self {
        Self { desk, store, clock }
    }

    async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Queue) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let looked = self.desk.look(question).await;
        looked.map_err(|error| status::of_not_served(&error))
    }
}

#[tonic::async_trait]
impl<S: Store> v1::webhook_admin_server::WebhookAdmin for WebhookAdmin<S> {
    async fn list_executions(
        &self,
        request: Request<v1::ListExecutionsRequest>,
    ) -> Result<Response<v1::ListExecutionsResponse>, Status> {
        let wanted = Wanted::read(request.into_inner())?;
        let response = self.look(move |queue| wanted.list(queue)).await?;
        Ok(Response::new(response))
    }

    async fn get_execution(
        &self,
        request: Request<v1::GetExecutionRequest>,
    ) -> Result<Response<v1::GetExecutionResponse>, Status> {
        let id = execution(&request.into_inner().id)?;
        let found = self.look(move |queue| queue.get(id).cloned()).await?;
        let found = found.ok_or_else(|| unknown(id))?;
        let payload = self.desk.payload(id).await;
        let payload = payload.map_err(|error| status::of_webhook_load(&error))?;
        let result = self.desk.result(id).await;
        let result = result.map_err(|error| status::of_webhook_load(&error))?;
        Ok(Response::new(v1::GetExecutionResponse {
            execution: Some((&found).into()),
            payload: payload.as_ref().map(Into::into),
            result: result.as_ref().map(Into::into),
        }))
    }

    async fn replay(
        &self,
        request: Request<v1::ReplayRequest>,
    ) -> Result<Response<v1::ReplayResponse>, Status> {
        let author = access::author(&request).unwrap_or_else(|| UNKNOWN.to_owned());
        let of = execution(&request.into_inner().id)?;
        // Whoever does not own the queue writes nothing down either.
        if self.look(move |queue| queue.get(of).is_some()).await? {
            let act = Act {
                id: fastrand::u64(..),
                time: self.clock.wall(),
                author,
                kind: Kind::ReplayWebhook,
                subject: of.to_string(),
                old: Revision::NONE,
                new: Revision::NONE,
                message: String::new(),
            };
            let recorded = acts::record_first(&self.store, act).await;
            recorded.map_err(|error| status::of_acts(&error))?;
        }
        let answer = self.desk.replay(of).await.map_err(|error| match error {
            ReplayError::NotServed(error) => status::of_not_served(&error),
            ReplayError::Load(error) => status::of_webhook_load(&error),
        })?;
        match answer {
            Answer::Accepted { id, .. } => Ok(Response::new(v1::ReplayResponse {
                execution_id: id.to_string(),
            })),
            Answer::Full => Err(full()),
            Answer::Unknown => Err(unknown(of)),
            Answer::Open => Err(Status::failed_precondition(format!(
                "{of} has not come to its end; it is tried again by itself"
            ))),
        }
    }

    async fn get_queue(
        &self,
        _request: Request<v1::GetQueueRequest>,
    ) -> Result<Response<v1::GetQueueResponse>, Status> {
        let standing = self.look(Queue::standing).await?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let webhooks = standing
            .webhooks
            .into_iter()
            .map(|(name, of)| v1::WebhookCount {
                webhook: name.to_string(),
                open: of.open,
                succeeded: of.succeeded,
                failed: of.failed,
                dead: of.dead,
            });
        Ok(Response::new(v1::GetQueueResponse {
            open: count(standing.open),
            open_bytes: u64::try_from(standing.open_bytes).unwrap_or(u64::MAX),
            workers: count(standing.workers),
            waiting: count(standing.waiting),
            kept: count(standing.kept),
            webhooks: webhooks.collect(),
        }))
    }
}

impl Wanted {
    fn read(request: v1::ListExecutionsRequest) -> Result<Self, Status> {
        let v1::ListExecutionsRequest {
            webhook,
            states,
            since_ms,
            most,
        } = request;
        let webhook = match webhook.as_str() {
            "" => None,
            name => Some(
                WebhookName::new(name)
                    .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?,
            ),
        };
        let states = states.into_iter().map(|state| {
            let state = v1::ExecutionState::try_from(state);
            let state = state.ok().and_then(|state| State::try_from(state).ok());
            state.ok_or_else(|| Status::invalid_argument("there is no such state"))
        });
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(Self {
            webhook,
            states: states.collect::<Result<_, _>>()?,
            since: Wall::from_millis(i64::try_from(since_ms).unwrap_or(i64::MAX)),
            most: if most == 0 {
                WEBHOOK_PAGE
            } else {
                most.min(WEBHOOK_PAGE)
            },
        })
    }

    fn has(&self, execution: &Execution) -> bool {
        let is_named = |name: &WebhookName| *name == execution.webhook;
        self.webhook.as_ref().is_none_or(is_named)
            && (self.states.is_empty() || self.states.contains(&execution.state))
            && execution.received >= self.since
    }

    fn list(&self, queue: &Queue) -> v1::ListExecutionsResponse {
        let mut response = v1::ListExecutionsResponse::default();
        let mut bytes = 0_usize;
        for execution in queue.newest().filter(|execution| self.has(execution)) {
            let one = v1::WebhookExecution::from(execution);
            bytes = bytes.saturating_add(one.encoded_len());
            if response.executions.len() >= self.most || bytes > GRPC_LIST_BYTES {
                response.more = true;
                break;
            }
            response.executions.push(one);
        }
        response
    }
}
