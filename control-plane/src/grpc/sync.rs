//! `PolicySync`: the streams that keep the proxies' policy current.

mod outgoing;
mod session;

use std::sync::Arc;

use agix_core::limits::{SYNC_QUEUE, SYNC_SESSIONS};
use agix_proto::v1;
use agix_proto::v1::policy_sync_server::PolicySync;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use self::session::Session;
use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::repository::Repository;
use crate::store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct Sync<S> {
    shared: Shared<S>,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
}

/// What every stream uses.
#[derive(Debug, Clone)]
struct Shared<S> {
    repository: Repository<S>,
    fleet: Arc<Fleet>,
    clock: Clock,
    stop: CancellationToken,
}

impl<S: Store> Sync<S> {
    /// The service; its streams run on `tasks` until `stop` is cancelled.
    pub(crate) fn new(
        repository: Repository<S>,
        fleet: Arc<Fleet>,
        clock: Clock,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            shared: Shared {
                repository,
                fleet,
                clock,
                stop,
            },
            tasks,
            places: Arc::new(Semaphore::new(SYNC_SESSIONS)),
        }
    }
}

#[tonic::async_trait]
impl<S: Store> PolicySync for Sync<S> {
    type WatchStream = ReceiverStream<Result<v1::ServerMessage, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::ProxyMessage>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_full| {
                Status::resource_exhausted(format!(
                    "this control plane serves {SYNC_SESSIONS} proxies already"
                ))
            })?;
        let (sender, receiver) = mpsc::channel(SYNC_QUEUE);
        let session = Session::new(self.shared.clone(), sender);
        let messages = request.into_inner();
        self.tasks.spawn(async move {
            session.run(messages).await;
            drop(place);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
