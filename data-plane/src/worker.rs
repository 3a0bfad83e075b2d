//! Worker threads: each runs its own single-threaded runtime with its own provider connections and
//! plan cache, so that requests on different workers share no lock.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use agix_core::limits::CONNECTIONS;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::listener::{self, Accepted};
use crate::plan::PlanCache;
use crate::shared::Shared;
use crate::upstream::Clients;

/// What the requests of one worker thread use.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clients: Clients,
    pub(crate) plans: PlanCache,
    /// Tasks that outlive their request: reading a finished stream's last bytes.
    pub(crate) tasks: TaskTracker,
    open: AtomicUsize,
}

impl Worker {
    /// A worker that has called nobody yet.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            clients: Clients::default(),
            plans: PlanCache::default(),
            tasks: TaskTracker::new(),
            open: AtomicUsize::new(0),
        }
    }
}

/// The workers, as seen by the listener.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    lanes: Arc<[Lane]>,
}

#[derive(Debug)]
struct Lane {
    worker: Arc<Worker>,
    inbox: mpsc::Sender<Accepted>,
}

/// The threads of a pool; joined when the proxy stops.
#[derive(Debug)]
pub(crate) struct Threads(Vec<thread::JoinHandle<()>>);

impl Pool {
    /// Starts `count` workers. Each ends once `drain` is cancelled and its connections are over,
    /// or when `stop` is cancelled.
    pub(crate) fn start(
        count: NonZeroUsize,
        shared: &Arc<Shared>,
        drain: &CancellationToken,
        stop: &CancellationToken,
    ) -> std::io::Result<(Self, Threads)> {
        let mut lanes = Vec::new();
        let mut threads = Vec::new();
        for index in 0..count.get() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let worker = Arc::new(Worker::new(shared));
            let (inbox, arrivals) = mpsc::channel(CONNECTIONS);
            let work = run(Arc::clone(&worker), arrivals, drain.clone(), stop.clone());
            let thread = thread::Builder::new()
                .name(format!("agix-worker-{index}"))
                .spawn(move || runtime.block_on(work))?;
            threads.push(thread);
            lanes.push(Lane { worker, inbox });
        }
        Ok((
            Self {
                lanes: lanes.into(),
            },
            Threads(threads),
        ))
    }

    /// Hands a connection to the worker with the fewest.
    pub(crate) fn dispatch(&self, accepted: Accepted) {
        let quietest = self
            .lanes
            .iter()
            .min_by_key(|lane| lane.worker.open.load(Ordering::Relaxed));
        let Some(lane) = quietest else { return };
        lane.worker.open.fetch_add(1, Ordering::Relaxed);
        if lane.inbox.try_send(accepted).is_err() {
            lane.worker.open.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("a worker takes no more connections; one was closed");
        }
    }
}

impl Threads {
    /// Waits until every worker has ended.
    pub(crate) fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a worker thread ended by panic");
            }
        }
    }
}

async fn run(
    worker: Arc<Worker>,
    mut arrivals: mpsc::Receiver<Accepted>,
    drain: CancellationToken,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => break,
            accepted = arrivals.recv() => accepted,
        };
        let Some(accepted) = accepted else { break };
        let worker = Arc::clone(&worker);
        let drain = drain.clone();
        connections.spawn(async move {
            listener::serve(Arc::clone(&worker), accepted, drain).await;
            worker.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = stop.cancelled() => {}
    }
}
