//! `Quota`: the streams on which proxies get rights to requests and money.

use std::pin::Pin;
use std::sync::Arc;

use agix_core::limits::QUOTA_STREAMS;
use agix_core::quota::ToLedger;
use agix_proto::v1;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use super::status;
use crate::ledger::{LedgerDesk, Speaker, StreamEnd};

/// The service.
#[derive(Debug)]
pub(crate) struct Quota {
    desk: LedgerDesk,
    tasks: TaskTracker,
    stop: CancellationToken,
    places: Arc<Semaphore>,
}

impl Quota {
    /// The service; its streams run on `tasks` until `stop` is cancelled.
    pub(crate) fn new(desk: LedgerDesk, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            desk,
            tasks,
            stop,
            places: Arc::new(Semaphore::new(QUOTA_STREAMS)),
        }
    }
}

#[tonic::async_trait]
impl v1::quota_server::Quota for Quota {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<v1::QuotaResponse, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::QuotaRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_full| {
                Status::resource_exhausted(format!(
                    "this control plane serves {QUOTA_STREAMS} proxies already"
                ))
            })?;
        let opened = self.desk.open().await;
        let (speaker, listener) = opened.map_err(|error| status::of_not_served(&error))?;
        let messages = request.into_inner();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let reason = tokio::select! {
                reason = hear(&speaker, messages) => reason,
                () = speaker.over() => None,
                () = stop.cancelled() => Some(StreamEnd::Stopping),
            };
            debug!(reason = ?reason.as_ref().map(ToString::to_string), "a quota stream ended");
            speaker.leave(reason).await;
            drop(place);
        });
        let said = listener.map(|message| match message {
            Ok(message) => Ok((&message).into()),
            Err(end) => Err(status::of_stream_end(&end)),
        });
        Ok(Response::new(Box::pin(said)))
    }
}

/// Tells the ledger what the proxy says, to the end of the stream; says why this side ends it.
async fn hear(speaker: &Speaker, mut messages: Streaming<v1::QuotaRequest>) -> Option<StreamEnd> {
    while let Ok(Some(message)) = messages.message().await {
        match ToLedger::try_from(message) {
            Ok(message) => {
                if !speaker.say(message).await {
                    return None;
                }
            }
            Err(invalid) => return Some(StreamEnd::Invalid(invalid.to_string().into())),
        }
    }
    None
}
