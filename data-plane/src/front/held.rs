//! Answers that are held back: a stream is told once it is whole, so that a target that fails midway
//! is replaced by the next one, and the caller sees nothing of it.
//!
//! While the caller waits it gets signs of life. The first of them commits to a status, so it comes
//! late: what is over by then is answered as any other request, errors with their own status.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use agix_core::limits::HELD_KEEP_ALIVE;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::{Sleep, timeout};

use crate::attempt::{Answered, Failed, Gain};
use crate::clock::runtime_now;
use crate::front::Reply;
use crate::front::chat::{self, Asked};
use crate::front::refusal::Refusal;
use crate::front::reply::Content;
use crate::record::{Ending, Record};
use crate::shared::Held as BodyHeld;

/// An answer that is still being made.
pub(crate) struct Waiting {
    asked: Arc<Asked>,
    /// Absent once it is over.
    work: Option<Work>,
    timer: Pin<Box<Sleep>>,
    /// What comes next.
    ready: Option<Bytes>,
}

type Work = Pin<Box<dyn Future<Output = Finished> + Send>>;

/// What became of the attempts.
struct Finished {
    outcome: Result<Answered, Failed>,
    record: Record,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

/// Answers a request whose stream is held back. `body` is the right to hold the request's.
pub(super) async fn answer(
    asked: Asked,
    mut record: Record,
    body: BodyHeld,
) -> Result<Reply, Refusal> {
    let asked = Arc::new(asked);
    let mine = Arc::clone(&asked);
    let mut work: Work = Box::pin(async move {
        let _body = body;
        let outcome = mine.exchange().run(&mut record).await;
        Finished { outcome, record }
    });
    let Ok(Finished { outcome, record }) = timeout(HELD_KEEP_ALIVE, &mut work).await else {
        let mut headers = HeaderMap::with_capacity(16);
        chat::stream_headers(&mut headers);
        chat::announce(&mut headers, &asked.gate, asked.limits.as_ref());
        let waiting = Waiting {
            work: Some(work),
            timer: Box::pin(tokio::time::sleep(HELD_KEEP_ALIVE)),
            ready: Some(asked.voice.alive()),
            asked,
        };
        return Ok(Reply {
            status: StatusCode::OK,
            headers,
            content: Content::Waiting(Box::new(waiting)),
        });
    };
    asked.reply(outcome, record)
}

impl Asked {
    /// What the caller is told in the end, the head of the answer being sent.
    fn told(&self, Finished { outcome, record }: Finished) -> Bytes {
        match outcome {
            Ok(answered) => self.answer(answered, record),
            Err(failed) => {
                let refusal = self.refusal(failed, record);
                self.worker.shared.metrics.refused(refusal.reason);
                self.voice.event(refusal.message(), refusal.reason)
            }
        }
    }

    fn answer(&self, answered: Answered, record: Record) -> Bytes {
        let place = answered.target;
        match (answered.gain, self.plan.targets.get(place)) {
            (Gain::Held(held), Some(target)) => {
                let (bytes, _bill) = held.settled((place, target), record);
                bytes
            }
            (Gain::Whole(_) | Gain::Stream(_) | Gain::Held(_), _) => {
                record.end(Ending::Failed);
                self.voice.event("The answer is no stream.", "malformed")
            }
        }
    }
}

impl Waiting {
    /// The next bytes for the caller; none at the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.ready.take() {
            return Poll::Ready(Some(bytes));
        }
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(finished) = work.as_mut().poll(cx) {
            self.work = None;
            return Poll::Ready(Some(self.asked.told(finished)));
        }
        ready!(self.timer.as_mut().poll(cx));
        self.timer.as_mut().reset(runtime_now() + HELD_KEEP_ALIVE);
        Poll::Ready(Some(self.asked.voice.alive()))
    }
}
