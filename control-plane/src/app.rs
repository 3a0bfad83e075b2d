//! The parts of a control plane put together, started and stopped.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use agix_core::limits::{
    CONTROL_CONNECTIONS, CONTROL_DRAIN_TIME, CONTROL_KEEPALIVE, CONTROL_KEEPALIVE_TIME,
    GRPC_HEADER_BYTES, GRPC_MESSAGE_BYTES, GRPC_STREAMS, PROXY_MESSAGE_BYTES, QUOTA_MESSAGE_BYTES,
    TRAFFIC_BYTES, WEBHOOK_MESSAGE_BYTES,
};
use agix_proto::tls::Clients::{Programs, Visitors, Watchers};
use agix_proto::tls::{Acceptor, ServerFiles, ServerTls, TlsError};
use agix_proto::v1;
use agix_proto::v1::audit_admin_server::AuditAdminServer;
use agix_proto::v1::fleet_server::FleetServer;
use agix_proto::v1::ledger_admin_server::LedgerAdminServer;
use agix_proto::v1::policy_admin_server::PolicyAdminServer;
use agix_proto::v1::policy_sync_server::PolicySyncServer;
use agix_proto::v1::quota_server::QuotaServer;
use agix_proto::v1::state_admin_server::StateAdminServer;
use agix_proto::v1::targets_server::TargetsServer;
use agix_proto::v1::traffic_reports_server::TrafficReportsServer;
use agix_proto::v1::traffic_server::TrafficServer;
use agix_proto::v1::webhook_admin_server::WebhookAdminServer;
use agix_proto::v1::webhooks_server::WebhooksServer;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{error, info, warn};

use crate::access::{self, Access, TokensError};
use crate::admin::{self, Watched};
use crate::clock::Clock;
use crate::config::{Advertised, Config, StoreSpec};
use crate::console::{BrokenTemplates, Console};
use crate::fleet::{Fleet, Others};
use crate::grpc::{
    Admin, AuditAdmin, FleetService, LedgerAdmin, Quota, StateAdmin, Sync, TargetsService,
    TrafficReports, TrafficService, WebhookAdmin, Webhooks,
};
use crate::housekeeping;
use crate::http::{self, Pages, Port};
use crate::incoming::connections;
use crate::ledger::{LedgerDesk, LedgerDriver, SHARD};
use crate::repository::{LoadError, Repository};
use crate::spans::Spans;
use crate::store::{AnyStore, OpenError};
use crate::targets::Targets;
use crate::traffic::Traffic;
use crate::webhooks::{WebhookDesk, WebhookDriver};

/// A control plane that is up.
#[derive(Debug)]
pub struct Running {
    /// Where the services listen; the port is the real one even if 0 was asked for.
    pub address: SocketAddr,
    /// Where the web console listens, if there is one.
    pub console: Option<SocketAddr>,
    /// Where the admin port is, if there is one.
    pub admin: Option<SocketAddr>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    store: AnyStore,
    spans: Option<Spans>,
}

/// Why a control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The current policy cannot be read.
    #[error("the current policy cannot be read")]
    Policy(#[source] LoadError),
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The certificates for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The web console cannot be made.
    #[error(transparent)]
    Console(#[from] BrokenTemplates),
    /// The compiled descriptors of the protocol cannot be served.
    #[error("the reflection service cannot be set up")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// The services, by the names that the health service knows them by.
const SERVICES: [&str; 12] = [
    v1::policy_admin_server::SERVICE_NAME,
    v1::policy_sync_server::SERVICE_NAME,
    v1::fleet_server::SERVICE_NAME,
    v1::quota_server::SERVICE_NAME,
    v1::ledger_admin_server::SERVICE_NAME,
    v1::webhooks_server::SERVICE_NAME,
    v1::webhook_admin_server::SERVICE_NAME,
    v1::traffic_reports_server::SERVICE_NAME,
    v1::traffic_server::SERVICE_NAME,
    v1::targets_server::SERVICE_NAME,
    v1::state_admin_server::SERVICE_NAME,
    v1::audit_admin_server::SERVICE_NAME,
];

/// The parts that make up the services.
struct Parts {
    repository: Repository<AnyStore>,
    fleet: Arc<Others<AnyStore>>,
    traffic: Arc<Traffic>,
    desk: LedgerDesk,
    webhooks: WebhookDesk<AnyStore>,
    store: AnyStore,
    clock: Clock,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Starts a control plane. When this returns, it is listening and has read its store.
///
/// It stops when `shutdown` is cancelled; [`Running::stopped`] waits for the end.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    let tasks = TaskTracker::new();
    let tls = tls(config.tls.clone(), &tasks, &shutdown)?;
    let at = |port| tls.as_ref().map(|tls| tls.at(port));
    let (listener, address) = bind(config.listen).await?;
    let http = bind_if(config.http, at(Visitors)).await?;
    let admin = bind_if(config.admin, at(Watchers)).await?;
    let advertised = advertised(&config, address);
    let store = AnyStore::open(&config.store, config.seal).await?;
    let repository = Repository::open(store.clone())
        .await
        .map_err(StartError::Policy)?;
    let clock = Clock::start();
    let (ledger, desk) = LedgerDriver::new(
        store.clone(),
        SHARD,
        advertised.as_str(),
        repository.subscribe(),
        clock,
        (tasks.clone(), shutdown.clone()),
    );
    let (queue, webhooks) = WebhookDriver::new(
        store.clone(),
        advertised.as_str(),
        repository.subscribe(),
        clock,
        shutdown.clone(),
    );
    let parts = Parts {
        repository: repository.clone(),
        fleet: tell_others(&store, clock, (&tasks, &shutdown)),
        traffic: Arc::new(Traffic::new(clock)),
        desk,
        webhooks,
        store: store.clone(),
        clock,
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    };
    let admin = parts.open_admin(admin);
    let revision = repository.current().map(|it| it.info().revision.number());
    let here = (store.clone(), advertised.as_str().to_owned(), clock);
    let access = access(config.tokens, here, &tasks, &shutdown)?;
    let (health, routes) = parts.services(config.store.kind()).await?;
    let (routes, spans) = Spans::watch(access.guard(routes), &repository);
    tasks.spawn({
        let (repository, shutdown) = (repository.clone(), shutdown.clone());
        async move { repository.follow(shutdown).await }
    });
    tasks.spawn(ledger.run());
    tasks.spawn(queue.run());
    tasks.spawn(keep_house(store.clone(), repository, shutdown.clone()));
    let console = open_console(http, &routes, clock, (&tasks, &shutdown))?;
    let tls = at(Programs);
    tasks.spawn(serve(Port { listener, tls }, routes, shutdown.clone()));
    tasks.spawn(not_serving(health, shutdown.clone()));
    tasks.close();
    info!(%address, store = %config.store, revision, "the control plane is up");
    Ok(Running {
        address,
        console,
        admin,
        shutdown,
        tasks,
        store,
        spans,
    })
}

/// The certificates, if there are to be some; they are kept as their files are.
fn tls(
    files: Option<ServerFiles>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Option<ServerTls>, TlsError> {
    let Some(files) = files else {
        return Ok(None);
    };
    let (tls, work) = ServerTls::follow(files, shutdown.clone())?;
    tasks.spawn(work);
    Ok(Some(tls))
}

/// Who may call what, as the file of tokens says, if there is one.
fn access(
    tokens: Option<PathBuf>,
    (store, here, clock): (AnyStore, String, Clock),
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Access, TokensError> {
    let Some(path) = tokens else {
        return Ok(Access::new(None));
    };
    let (tokens, work) = access::follow(path, shutdown.clone())?;
    tasks.spawn(work);
    let (told, stop) = (tokens.clone(), shutdown.clone());
    tasks.spawn(access::record(told, store, here, clock, stop));
    Ok(Access::new(Some(tokens)))
}

/// Serves the web console, if there is to be one, over the services of `routes`. Says where.
fn open_console(
    port: Option<(Port, SocketAddr)>,
    routes: &Routes,
    clock: Clock,
    (tasks, shutdown): (&TaskTracker, &CancellationToken),
) -> Result<Option<SocketAddr>, BrokenTemplates> {
    let Some((port, address)) = port else {
        return Ok(None);
    };
    let is_encrypted = port.tls.is_some();
    let pages = Pages {
        all: Console::new(routes.clone(), clock, (address, is_encrypted))?.router(),
        open: Router::new(),
    };
    tasks.spawn(http::serve(port, pages, tasks.clone(), shutdown.clone()));
    info!(%address, "the web console is up");
    Ok(Some(address))
}

/// The proxies of all control planes; the others are told of those that are here.
fn tell_others(
    store: &AnyStore,
    clock: Clock,
    (tasks, shutdown): (&TaskTracker, &CancellationToken),
) -> Arc<Others<AnyStore>> {
    let fleet = Fleet::new(clock);
    let others = Arc::new(Others::new(store.clone(), fleet, clock, store.is_shared()));
    let (telling, shutdown) = (Arc::clone(&others), shutdown.clone());
    tasks.spawn(async move { telling.tell(shutdown).await });
    others
}

async fn bind_if(
    address: Option<SocketAddr>,
    tls: Option<Acceptor>,
) -> Result<Option<(Port, SocketAddr)>, StartError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let (listener, bound) = bind(address).await?;
    Ok(Some((Port { listener, tls }, bound)))
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let error = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    Ok((listener, bound))
}

/// Where others are told to ask this control plane.
fn advertised(config: &Config, address: SocketAddr) -> Advertised {
    if let Some(advertised) = &config.advertise {
        return advertised.clone();
    }
    if address.ip().is_unspecified() && matches!(config.store, StoreSpec::Etcd(_)) {
        warn!(
            "other control planes cannot say where this one is: give --advertise, the address at \
             which proxies and agixctl reach it"
        );
    }
    Advertised::listening(address, config.tls.is_some())
}

impl Parts {
    /// Serves the admin port, if there is to be one. Says where.
    fn open_admin(&self, port: Option<(Port, SocketAddr)>) -> Option<SocketAddr> {
        let (port, address) = port?;
        let watched = Watched {
            repository: self.repository.clone(),
            fleet: Arc::clone(&self.fleet),
            ledger: self.desk.clone(),
            webhooks: self.webhooks.clone(),
            clock: self.clock,
        };
        let (tasks, shutdown) = (self.tasks.clone(), self.shutdown.clone());
        let pages = admin::pages(watched);
        self.tasks.spawn(http::serve(port, pages, tasks, shutdown));
        info!(%address, "the admin port is up");
        Some(address)
    }

    /// All services, and the switch of the health service.
    async fn services(
        self,
        store_kind: &'static str,
    ) -> Result<(HealthReporter, Routes), StartError> {
        let Self {
            repository,
            fleet,
            traffic,
            desk,
            webhooks,
            store,
            clock,
            tasks,
            shutdown,
        } = self;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(agix_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(StartError::Reflection)?;
        let (health, health_service) = tonic_health::server::health_reporter();
        say(&health, &SERVICES, ServingStatus::Serving).await;
        let state = StateAdmin::new(store.clone(), clock, tasks.clone(), shutdown.clone());
        let work = Webhooks::new(webhooks.clone(), tasks.clone(), shutdown.clone());
        let quota = Quota::new(desk.clone(), tasks.clone(), shutdown.clone());
        let ledger_admin = LedgerAdmin::new(desk, store.clone(), clock);
        let targets = TargetsService::new(
            repository.clone(),
            Targets::new(clock),
            tasks.clone(),
            shutdown.clone(),
        );
        let admin = Admin::new(repository.clone(), clock, shutdown.clone());
        let sync = Sync::new(
            repository.clone(),
            Arc::clone(fleet.own()),
            clock,
            tasks,
            shutdown,
        );
        let fleet = FleetService::new(repository, fleet, store_kind, clock.wall());
        let mut routes = Routes::builder();
        routes
            .add_service(health_service)
            .add_service(reflection)
            .add_service(StateAdminServer::new(state))
            .add_service(
                PolicyAdminServer::new(admin).max_decoding_message_size(GRPC_MESSAGE_BYTES),
            )
            .add_service(PolicySyncServer::new(sync).max_decoding_message_size(PROXY_MESSAGE_BYTES))
            .add_service(FleetServer::new(fleet).max_decoding_message_size(GRPC_MESSAGE_BYTES))
            .add_service(TargetsServer::new(targets).max_decoding_message_size(GRPC_MESSAGE_BYTES))
            .add_service(QuotaServer::new(quota).max_decoding_message_size(QUOTA_MESSAGE_BYTES))
            .add_service(
                LedgerAdminServer::new(ledger_admin).max_decoding_message_size(GRPC_MESSAGE_BYTES),
            )
            .add_service(WebhooksServer::new(work).max_decoding_message_size(WEBHOOK_MESSAGE_BYTES))
            .add_service(AuditAdminServer::new(AuditAdmin::new(store.clone())))
            .add_service(WebhookAdminServer::new(WebhookAdmin::new(
                webhooks, store, clock,
            )))
            .add_service(
                TrafficReportsServer::new(TrafficReports::new(Arc::clone(&traffic)))
                    .max_decoding_message_size(TRAFFIC_BYTES),
            )
            .add_service(TrafficServer::new(TrafficService::new(traffic)));
        Ok((health, routes.routes()))
    }
}

/// Keeps the store sealed and small until `shutdown` is cancelled.
async fn keep_house(
    store: AnyStore,
    repository: Repository<AnyStore>,
    shutdown: CancellationToken,
) {
    store.keep_sealed(shutdown.clone()).await;
    housekeeping::run(store, repository, shutdown).await;
}

/// Answers calls until `shutdown` is cancelled; cancels it if that cannot go on.
async fn serve(Port { listener, tls }: Port, routes: Routes, shutdown: CancellationToken) {
    let server = Server::builder()
        .http2_keepalive_interval(Some(CONTROL_KEEPALIVE))
        .http2_keepalive_timeout(Some(CONTROL_KEEPALIVE_TIME))
        .http2_max_header_list_size(GRPC_HEADER_BYTES)
        .max_concurrent_streams(GRPC_STREAMS)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            connections(listener, CONTROL_CONNECTIONS, tls),
            shutdown.clone().cancelled_owned(),
        );
    if let Err(error) = server.await {
        let error: &dyn Error = &error;
        error!(error, "the gRPC server failed; the control plane stops");
        shutdown.cancel();
    }
}

/// Says that nothing is served any more, once `shutdown` is cancelled.
async fn not_serving(health: HealthReporter, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    say(&health, &[""], ServingStatus::NotServing).await;
    say(&health, &SERVICES, ServingStatus::NotServing).await;
}

/// Says through the health service how these stand.
async fn say(health: &HealthReporter, services: &[&str], status: ServingStatus) {
    for service in services {
        health.set_service_status(*service, status).await;
    }
}

impl Running {
    /// Waits until the control plane has stopped: after `shutdown` was cancelled, its streams have
    /// ended and the calls in flight have been answered, or the time for that is over. Then its
    /// store can be opened by another.
    pub async fn stopped(self) {
        self.shutdown.cancelled().await;
        if tokio::time::timeout(CONTROL_DRAIN_TIME, self.tasks.wait())
            .await
            .is_err()
        {
            warn!("some calls did not end in time and were cut off");
        }
        self.store.close().await;
        let spans = self.spans;
        let flushed = tokio::task::spawn_blocking(move || spans.as_ref().map(Spans::stop));
        drop(flushed.await);
    }
}
