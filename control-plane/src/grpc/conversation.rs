//! A stream of a proxy, between gRPC and the owner of what it speaks about.

use std::pin::Pin;
use std::sync::Arc;

use agix_proto::convert::InvalidMessage;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Response, Status, Streaming};
use tracing::debug;

use super::status;
use crate::owned::{Desk, Request, Speaker, StreamEnd};

/// What is said to a proxy.
pub(super) type Said<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// Where the streams of one kind run.
#[derive(Debug)]
pub(super) struct Conversations {
    tasks: TaskTracker,
    stop: CancellationToken,
    places: Arc<Semaphore>,
    most: usize,
}

impl Conversations {
    /// At most `most` streams, on `tasks`, until `stop` is cancelled.
    pub(super) fn new(tasks: TaskTracker, stop: CancellationToken, most: usize) -> Self {
        Self {
            tasks,
            stop,
            places: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// Lets a proxy and the owner speak with each other.
    pub(super) async fn begin<R, In, Out>(
        &self,
        desk: &Desk<R>,
        messages: Streaming<In>,
    ) -> Result<Response<Said<Out>>, Status>
    where
        R: Request,
        R::Heard: TryFrom<In, Error = InvalidMessage>,
        In: Send + 'static,
        Out: for<'a> From<&'a R::Told> + 'static,
    {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_full| {
                let most = self.most;
                Status::resource_exhausted(format!(
                    "this control plane serves {most} proxies already"
                ))
            })?;
        let opened = desk.open().await;
        let (speaker, listener) = opened.map_err(|error| status::of_not_served(&error))?;
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let reason = tokio::select! {
                reason = hear(&speaker, messages) => reason,
                () = speaker.over() => None,
                () = stop.cancelled() => Some(StreamEnd::Stopping),
            };
            debug!(reason = ?reason.as_ref().map(ToString::to_string), "a stream ended");
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

/// Tells the owner what the proxy says, to the end of the stream; says why this side ends it.
async fn hear<R, In>(speaker: &Speaker<R>, mut messages: Streaming<In>) -> Option<StreamEnd>
where
    R: Request,
    R::Heard: TryFrom<In, Error = InvalidMessage>,
{
    while let Ok(Some(message)) = messages.message().await {
        match R::Heard::try_from(message) {
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
