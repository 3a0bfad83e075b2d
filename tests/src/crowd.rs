//! Many callers at once, over several proxies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::caller::Caller;

/// What became of the requests of a crowd.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered with success.
    pub answered: AtomicU64,
    /// Refused with 429.
    pub refused: AtomicU64,
    /// Refused with 503.
    pub unavailable: AtomicU64,
    /// Any other status.
    pub other: AtomicU64,
    /// No answer at all: the proxy was gone.
    pub broken: AtomicU64,
    /// Whether to stop.
    stop: AtomicBool,
}

/// Callers that ask again as soon as they are answered.
#[derive(Debug)]
pub struct Crowd {
    /// What became of their requests.
    pub tally: Arc<Tally>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// `size` callers, each at one of the proxies, who send `request` until they are stopped or
    /// `until` says of an answer's status that it is the last.
    pub fn gather(
        size: usize,
        callers: &[Caller],
        request: &Value,
        until: impl Fn(u16) -> bool + Copy + Send + Sync + 'static,
    ) -> Self {
        let tally = Arc::<Tally>::default();
        let mut tasks = JoinSet::new();
        for caller in callers.iter().cycle().take(size) {
            let (caller, request, tally) = (caller.clone(), request.clone(), Arc::clone(&tally));
            tasks.spawn(async move {
                while !tally.stop.load(Ordering::Relaxed) {
                    let Ok(answer) = caller.chat(&request).await else {
                        tally.broken.fetch_add(1, Ordering::Relaxed);
                        // A proxy that is being started again.
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        continue;
                    };
                    let status = answer.status.as_u16();
                    let count = match status {
                        200 => &tally.answered,
                        429 => &tally.refused,
                        503 => &tally.unavailable,
                        _ => &tally.other,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    if until(status) {
                        return;
                    }
                    if status == 503 {
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
            });
        }
        Self { tally, tasks }
    }

    /// Waits until every caller has had its last answer.
    pub async fn done(mut self) -> Arc<Tally> {
        while self.tasks.join_next().await.is_some() {}
        self.tally
    }

    /// Stops the callers after the request each has under way.
    pub async fn stop(self) -> Arc<Tally> {
        self.tally.stop.store(true, Ordering::Relaxed);
        self.done().await
    }
}

impl Tally {
    /// A count, now.
    pub fn count(of: &AtomicU64) -> u64 {
        of.load(Ordering::Relaxed)
    }
}
