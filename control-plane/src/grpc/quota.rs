//! `Quota`: the streams on which proxies get rights to requests and money.

use agix_core::limits::QUOTA_STREAMS;
use agix_proto::v1;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::conversation::{Conversations, Said};
use crate::ledger::LedgerDesk;

/// The service.
#[derive(Debug)]
pub(crate) struct Quota {
    desk: LedgerDesk,
    streams: Conversations,
}

impl Quota {
    /// The service; its streams run on `tasks` until `stop` is cancelled.
    pub(crate) fn new(desk: LedgerDesk, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            desk,
            streams: Conversations::new(tasks, stop, QUOTA_STREAMS),
        }
    }
}

#[tonic::async_trait]
impl v1::quota_server::Quota for Quota {
    type SessionStream = Said<v1::QuotaResponse>;

    async fn session(
        &self,
        request: Request<Streaming<v1::QuotaRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.streams
            .begin(self.desk.desk(), request.into_inner())
            .await
    }
}
