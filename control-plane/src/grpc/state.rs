//! `StateAdmin`: the whole state out of the store, and into an empty one.

use std::pin::Pin;
use std::sync::Arc;

use agix_core::audit::{Act, Kind};
use agix_core::id::Revision;
use agix_core::limits::RESTORE_IDLE;
use agix_proto::v1;
use agix_proto::v1::restore_response::Outcome;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::signature::UNKNOWN;
use super::status;
use crate::access;
use crate::acts;
use crate::backup::{Begun, Restore, Restored, backup};
use crate::clock::Clock;
use crate::store::AnyStore;

/// The service.
#[derive(Debug)]
pub(crate) struct StateAdmin {
    store: AnyStore,
    /// One backup or restore at a time.
    sole: Arc<Semaphore>,
    clock: Clock,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl StateAdmin {
    pub(crate) fn new(
        store: AnyStore,
        clock: Clock,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            store,
            sole: Arc::new(Semaphore::new(1)),
            clock,
            tasks,
            shutdown,
        }
    }

    /// The act that `request` asks for.
    fn act<T>(&self, kind: Kind, request: &Request<T>) -> Act {
        Act {
            id: fastrand::u64(1..),
            time: self.clock.wall(),
            author: access::author(request).unwrap_or_else(|| UNKNOWN.to_owned()),
            kind,
            subject: String::new(),
            old: Revision::NONE,
            new: Revision::NONE,
            message: String::new(),
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = Arc::clone(&self.sole).try_acquire_owned();
        place.map_err(|_taken| {
            Status::resource_exhausted("a backup or a restore is under way; try again later")
        })
    }
}

#[tonic::async_trait]
impl v1::state_admin_server::StateAdmin for StateAdmin {
    type BackupStream = Pin<Box<dyn Stream<Item = Result<v1::BackupPart, Status>> + Send>>;

    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let place = self.place()?;
        let parts = backup(self.store.clone()).await;
        let parts = parts.map_err(|error| status::of_backup(&error))?;
        // Nothing was given out yet.
        let act = self.act(Kind::Backup, &request);
        let recorded = acts::record_first(&self.store, act).await;
        recorded.map_err(|error| status::of_acts(&error))?;
        let parts = parts.map(move |part| {
            let _place = &place;
            part.map(|data| v1::BackupPart { data })
                .map_err(|error| status::of_backup(&error))
        });
        Ok(Response::new(Box::pin(parts)))
    }

    async fn restore(
        &self,
        request: Request<Streaming<v1::RestorePart>>,
    ) -> Result<Response<v1::RestoreResponse>, Status> {
        let place = self.place()?;
        let (store, shutdown) = (self.store.clone(), self.shutdown.clone());
        let act = self.act(Kind::Restore, &request);
        // A task of its own: it clears up also when nobody waits for the answer any more.
        let restoring = self.tasks.spawn(async move {
            let _place = place;
            restore(store, request.into_inner(), act, shutdown).await
        });
        let outcome = restoring.await.map_err(|_ended| status::stopping())??;
        Ok(Response::new(v1::RestoreResponse {
            outcome: Some(outcome),
        }))
    }
}

async fn restore(
    store: AnyStore,
    mut parts: Streaming<v1::RestorePart>,
    act: Act,
    shutdown: CancellationToken,
) -> Result<Outcome, Status> {
    let begun = Restore::begin(store).await;
    let mut restore = match begun.map_err(|error| status::of_restore(&error))? {
        Begun::Restore(restore) => restore,
        Begun::NotEmpty(holds) => return Ok(Outcome::NotEmpty(v1::NotEmpty { holds })),
    };
    let received = receive(&mut restore, &mut parts);
    let received = shutdown.run_until_cancelled(received).await;
    if let Err(refused) = received.unwrap_or_else(|| Err(status::stopping())) {
        restore.abandon().await;
        return Err(refused);
    }
    match restore.finish(Some(act)).await {
        Ok(restored) => Ok(Outcome::Restored(on_wire(&restored))),
        Err((restore, error)) => {
            restore.abandon().await;
            Err(status::of_restore(&error))
        }
    }
}

async fn receive(
    restore: &mut Restore,
    parts: &mut Streaming<v1::RestorePart>,
) -> Result<(), Status> {
    loop {
        let part = timeout(RESTORE_IDLE, parts.message());
        let part = part.await.map_err(|_elapsed| {
            let seconds = RESTORE_IDLE.as_secs();
            Status::deadline_exceeded(format!("nothing of the backup came for {seconds} s"))
        })?;
        let Some(v1::RestorePart { data }) = part? else {
            return Ok(());
        };
        let taken = restore.take(&data).await;
        taken.map_err(|error| status::of_restore(&error))?;
    }
}

fn on_wire(restored: &Restored) -> v1::Restored {
    let Restored {
        revision,
        entries,
        bytes,
    } = restored;
    v1::Restored {
        policy_revision: revision.map_or(0, Revision::number),
        entries: *entries,
        bytes: *bytes,
    }
}
