//! Starting a proxy, and stopping it without breaking a request.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agix_core::id::{ProxyId, Revision};
use agix_core::policy::{Policy, Problem};
use agix_core::price::Catalogue;
use agix_core::webhook::execution::Worker as Identity;
use agix_proto::tls::{Acceptor, Clients, ServerTls, TlsError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin;
use crate::audit;
use crate::breakers;
use crate::clock;
use crate::config::Config;
use crate::listener;
use crate::policy_sync::{self, Load, SyncConfig, SyncStatus};
use crate::quota;
use crate::shared::Shared;
use crate::snapshot::Compiled;
use crate::traffic;
use crate::trail::Tracer;
use crate::upstream;
use crate::webhook;
use crate::worker::{Pool, Threads};

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}")]
    Listen {
        /// What it is for: `callers` or `the admin port`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The threads could not be started.
    #[error("cannot start the worker threads")]
    Workers(#[source] std::io::Error),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] quota::JournalError),
    /// Audit records cannot be written.
    #[error("cannot write audit records")]
    Audit(#[source] std::io::Error),
    /// The certificates of its ports cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS is not usable here.
    #[error("cannot call providers from here")]
    Client(#[from] upstream::ClientError),
}

/// A running proxy.
#[derive(Debug)]
pub struct Running {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
    drain: CancellationToken,
    stop: CancellationToken,
    /// Cancelled when no request is left.
    ended: CancellationToken,
    drain_time: Duration,
    tasks: TaskTracker,
    threads: Threads,
    webhooks: JoinHandle<()>,
    writing: audit::Writing,
}

/// Starts a proxy; it stops gracefully once `shutdown` is cancelled.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    // An error says that a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    drop(upstream::make(Duration::from_secs(1))?);
    let callers = bind(config.listen, "callers").await?;
    let admin_port = bind(config.admin, "the admin port").await?;
    let listen = callers.local_addr().map_err(StartError::Workers)?;
    let admin_address = admin_port.local_addr().map_err(StartError::Workers)?;
    let catalogue = tokio::task::spawn_blocking(Catalogue::bundled)
        .await
        .map_err(|error| StartError::Workers(std::io::Error::other(error)))?;
    let journal = config.journal.as_deref().map(quota::Journal::open);
    let (journal, left) = journal.transpose()?.unzip();
    let proxy_id = config
        .proxy_id
        .clone()
        .unwrap_or_else(|| default_id(listen));
    // Addresses that are none are complained of by those who talk with the control plane all the time.
    let queue = webhook::Queue::new(&config.control_planes, proxy_id.clone());
    let (shared, news) = Shared::new(catalogue, Arc::clone(&config.sink), journal, queue);
    let shared = Arc::new(shared);
    shared.quota.inherit(left.unwrap_or_default());
    let writing = start_audit(&config, &proxy_id, &shared).map_err(StartError::Audit)?;
    let drain = CancellationToken::new();
    let stop = CancellationToken::new();
    let (pool, threads) =
        Pool::start(worker_count(&config), &shared, &drain, &stop).map_err(StartError::Workers)?;
    let tasks = TaskTracker::new();
    let [for_callers, for_watchers] = acceptors(&config, &tasks, &stop)?;
    let callers = listener::Port {
        listener: callers,
        tls: for_callers,
    };
    tasks.spawn(listener::accept(callers, pool, drain.clone()));
    let admin_port = admin::Port::new(admin_port, for_watchers);
    tasks.spawn(admin::serve(admin_port, Arc::clone(&shared), stop.clone()));
    let proxy = sync_of(&config, proxy_id, listen);
    let ended = CancellationToken::new();
    let driver = quota::DriverConfig {
        endpoints: proxy.endpoints.clone(),
        proxy: proxy.proxy_id.clone(),
        incarnation: proxy.incarnation,
    };
    let quota = Arc::clone(&shared.quota);
    tasks.spawn(quota::run(driver, quota, news.gates, ended.clone()));
    tasks.spawn(traffic::report(
        traffic::Reporter::of(&proxy),
        Arc::clone(&shared),
        news.requests,
        stop.clone(),
    ));
    let work = worker_of(&proxy);
    let work = webhook::work(work, Arc::clone(&shared), drain.clone(), stop.clone());
    let webhooks = tasks.spawn(work);
    follow_fleet(&proxy, &shared, &tasks, &stop);
    keep_policy_current(proxy, &shared, &tasks, &stop);
    Ok(Running {
        listen,
        admin: admin_address,
        shared,
        shutdown,
        drain,
        stop,
        ended,
        drain_time: config.drain,
        tasks,
        threads,
        webhooks,
        writing,
    })
}

impl Running {
    /// Waits for the shutdown, lets open requests end, and returns when everything has stopped.
    pub async fn stopped(self) {
        self.shutdown.cancelled().await;
        self.shared.draining.store(true, Ordering::Relaxed);
        self.drain.cancel();
        let threads = self.threads;
        let mut joined = tokio::task::spawn_blocking(move || threads.join());
        let mut webhooks = self.webhooks;
        // The first ends when the second does: both may still call models.
        let all = async {
            drop((&mut webhooks).await);
            drop((&mut joined).await);
        };
        if tokio::time::timeout(self.drain_time, all).await.is_err() {
            tracing::warn!("open requests did not end in time; closing them");
            self.stop.cancel();
            if !webhooks.is_finished() {
                drop(webhooks.await);
            }
            drop(joined.await);
        }
        self.ended.cancel();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let shared = self.shared;
        if let Some(auditor) = shared.auditor.get() {
            auditor.stop(self.writing).await;
        }
        let flushed = tokio::task::spawn_blocking(move || shared.tracer.get().map(Tracer::stop));
        drop(flushed.await);
    }
}

/// What makes TLS of the connections of callers, and of those who watch, if it is spoken here.
fn acceptors(
    config: &Config,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<[Option<Acceptor>; 2], TlsError> {
    let Some(files) = config.tls.clone() else {
        return Ok([None, None]);
    };
    let (tls, work) = ServerTls::follow(files, stop.clone())?;
    tasks.spawn(work);
    Ok([Clients::Visitors, Clients::Watchers].map(|clients| Some(tls.at(clients))))
}

fn start_audit(
    config: &Config,
    proxy: &ProxyId,
    shared: &Shared,
) -> std::io::Result<audit::Writing> {
    let metrics = shared.metrics.audit.clone();
    let (to, proxy) = (config.audit.clone(), proxy.clone());
    let (auditor, writing) = audit::Auditor::start(to, proxy, shared.clock, metrics)?;
    // It was empty: this is the only place that sets it.
    drop(shared.auditor.set(auditor));
    Ok(writing)
}

async fn bind(address: SocketAddr, what: &'static str) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|cause| StartError::Listen {
        what,
        address,
        cause,
    })
}

fn worker_count(config: &Config) -> NonZeroUsize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    config.workers.unwrap_or_else(cores)
}

fn sync_of(config: &Config, proxy_id: ProxyId, listen: SocketAddr) -> SyncConfig {
    SyncConfig {
        endpoints: config.control_planes.clone(),
        proxy_id,
        incarnation: clock::random(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address: listen.to_string(),
        snapshot: config.snapshot.clone(),
    }
}

fn worker_of(proxy: &SyncConfig) -> webhook::WorkerConfig {
    webhook::WorkerConfig {
        endpoints: proxy.endpoints.clone(),
        identity: Identity {
            proxy: proxy.proxy_id.clone(),
            incarnation: proxy.incarnation,
        },
    }
}

/// Shares what is known of failing targets with the fleet.
fn follow_fleet(
    proxy: &SyncConfig,
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let fleet = breakers::FleetConfig {
        endpoints: proxy.endpoints.clone(),
        proxy: proxy.proxy_id.clone(),
    };
    tasks.spawn(breakers::follow(fleet, Arc::clone(shared), stop.clone()));
}

fn keep_policy_current(
    proxy: SyncConfig,
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let (target, proxy_id) = (Arc::clone(shared), proxy.proxy_id.clone());
    let install =
        move |revision: Revision, policy: &Policy| install(&target, &proxy_id, revision, policy);
    let source = Arc::clone(shared);
    let load = move || Load {
        in_flight: u64::try_from(source.metrics.in_flight.get()).unwrap_or(0),
        requests_total: source.metrics.total.get(),
    };
    let (status, told) = watch::channel(SyncStatus::new());
    tasks.spawn(count_connected(Arc::clone(shared), told));
    tasks.spawn(policy_sync::run(
        proxy,
        Arc::new(install),
        Arc::new(load),
        status,
        stop.clone(),
    ));
}

/// Keeps the gauge of the control plane true, until the sync ends.
async fn count_connected(shared: Arc<Shared>, mut status: watch::Receiver<SyncStatus>) {
    while status.changed().await.is_ok() {
        let connected = status.borrow_and_update().is_connected();
        let gauge = &shared.metrics.control_plane_connected;
        gauge.set(i64::from(connected));
    }
}

/// Makes a policy the one that new requests use, or says what stands in the way.
fn install(
    shared: &Shared,
    proxy: &ProxyId,
    revision: Revision,
    policy: &Policy,
) -> Result<(), Vec<Problem>> {
    match Compiled::compile(revision, policy.clone()) {
        Ok(compiled) => {
            if policy.tracing.enabled
                && shared.tracer.get().is_none()
                && let Some(tracer) = Tracer::from_environment(proxy, shared.metrics.traces.clone())
            {
                // Policies are installed one after the other.
                drop(shared.tracer.set(tracer));
            }
            let compiled = compiled.with_gates(&shared.quota);
            shared.compiled.store(Arc::new(compiled));
            shared.metrics.in_force(revision, shared.clock.mono());
            Ok(())
        }
        Err(problems) => {
            shared.metrics.revisions_refused.inc();
            Err(problems)
        }
    }
}

/// The host's name and the port: stable over restarts on one machine.
fn default_id(listen: SocketAddr) -> ProxyId {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let legal: String = host
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        .take(48)
        .collect();
    let host = if legal.is_empty() {
        "proxy".to_owned()
    } else {
        legal
    };
    ProxyId::new(&format!("{host}-{}", listen.port())).unwrap_or_else(|_long| ProxyId::unnamed())
}
