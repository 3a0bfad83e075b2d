//! `Targets`: what proxies tell of failing targets, and how chains are.

use std::sync::Arc;

use agix_core::failover::Reports;
use agix_core::limits::{SYNC_QUEUE, SYNC_SESSIONS};
use agix_proto::v1;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::change::within;
use crate::repository::Repository;
use crate::store::Store;
use crate::targets::{ChainStatus, Reporter, Targets};

/// The service.
#[derive(Debug)]
pub(crate) struct TargetsService<S> {
    repository: Repository<S>,
    targets: Arc<Targets>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

type Said = Result<v1::TargetsResponse, Status>;

impl<S: Store> TargetsService<S> {
    /// The service; its streams run on `tasks` until `stop` is cancelled.
    pub(crate) fn new(
        repository: Repository<S>,
        targets: Arc<Targets>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            repository,
            targets,
            places: Arc::new(Semaphore::new(SYNC_SESSIONS)),
            tasks,
            stop,
        }
    }
}

#[tonic::async_trait]
impl<S: Store> v1::targets_server::Targets for TargetsService<S> {
    type ExchangeStream = ReceiverStream<Said>;

    async fn exchange(
        &self,
        request: Request<Streaming<v1::TargetsRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_full| {
            Status::resource_exhausted(format!(
                "this control plane serves {SYNC_SESSIONS} proxies already"
            ))
        })?;
        let (say, said) = mpsc::channel(SYNC_QUEUE);
        let reporter = self.targets.join();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let talk = talk(reporter, request.into_inner(), say);
            stop.run_until_cancelled(talk).await;
            drop(place);
        });
        Ok(Response::new(ReceiverStream::new(said)))
    }

    async fn list_chains(
        &self,
        _request: Request<v1::ListChainsRequest>,
    ) -> Result<Response<v1::ListChainsResponse>, Status> {
        let current = self.repository.current();
        let policy = current.as_ref().map(|current| &**current.policy());
        let known = self.targets.chains(policy);
        let chains = within(known.iter().map(v1::ChainStatus::from));
        let left_out = known.len().saturating_sub(chains.len());
        Ok(Response::new(v1::ListChainsResponse {
            proxies: u32::try_from(self.targets.proxies()).unwrap_or(u32::MAX),
            left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
            chains,
        }))
    }
}

/// Answers each report, to the end of the stream.
async fn talk(
    reporter: Reporter,
    mut messages: Streaming<v1::TargetsRequest>,
    say: mpsc::Sender<Said>,
) {
    while let Ok(Some(message)) = messages.message().await {
        let answer = match Reports::try_from(message) {
            Ok(reports) => Ok((&reporter.report(reports)).into()),
            Err(invalid) => Err(Status::invalid_argument(invalid.to_string())),
        };
        let is_over = answer.is_err();
        if say.send(answer).await.is_err() || is_over {
            return;
        }
    }
}

impl From<&ChainStatus> for v1::ChainStatus {
    fn from(chain: &ChainStatus) -> Self {
        let targets: Vec<_> = chain
            .targets
            .iter()
            .map(|(target, status)| match target {
                Ok(target) => v1::TargetStatus::from((target, status)),
                Err(model) => v1::TargetStatus {
                    model: model.clone(),
                    ..v1::TargetStatus::default()
                },
            })
            .collect();
        Self {
            model: targets
                .first()
                .map_or_else(String::new, |it| it.model.clone()),
            targets,
        }
    }
}
