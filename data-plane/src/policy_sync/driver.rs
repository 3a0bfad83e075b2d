//! Carries out what the client session decides.

use std::collections::VecDeque;
use std::error::Error;
use std::future::{self, Future};
use std::sync::Arc;

use agix_core::id::Revision;
use agix_core::policy::Policy;
use agix_core::sync::{
    ClientEffect, ClientInput, ClientSession, Hello, NackReason, ProxyMessage, Received, Rejected,
    ServerMessage, Version,
};
use agix_core::time::Mono;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::connection::{self, Connection};
use super::install::{self, ColdStart, Outcome};
use super::reporter::Reporter;
use super::snapshot_file::SnapshotFile;
use super::status::{Source, SyncStatus};
use super::{Install, LoadSource, SyncConfig};
use crate::clock::{self, Clock};
use crate::control_line::{LineError, Turn};

/// The driver of the client session.
pub(super) struct Driver {
    config: SyncConfig,
    install: Install,
    load: LoadSource,
    clock: Clock,
    status: Reporter,
    session: ClientSession,
    /// The policy in force, the base of deltas.
    policy: Arc<Policy>,
    /// Here unless an update is being installed.
    snapshot: Option<SnapshotFile>,
    stream: Stream,
    installing: Option<JoinHandle<Outcome>>,
}

/// The stream as the driver sees it.
enum Stream {
    None,
    Opening(BoxFuture<'static, Result<Connection, LineError>>),
    Open(Box<Connection>),
}

/// What the driver waits for.
enum Event {
    Shutdown,
    Installed(Result<Outcome, JoinError>),
    Opened(Result<Connection, LineError>),
    Heard(Result<ServerMessage, LineError>),
    Timeout,
}

impl Driver {
    /// A driver that has put its snapshot in force, if it has one.
    pub(super) async fn start(
        config: SyncConfig,
        install: Install,
        load: LoadSource,
        status: watch::Sender<SyncStatus>,
        clock: Clock,
    ) -> Self {
        let status = Reporter::new(status, clock);
        let mut policy = Arc::new(Policy::default());
        let mut applied = None;
        let mut snapshot = config.snapshot.clone().map(SnapshotFile::new);
        if let Some(file) = snapshot.take() {
            let install = Arc::clone(&install);
            match spawn_blocking(move || install::cold_start(file, &install)).await {
                Ok(ColdStart {
                    in_force,
                    unusable,
                    snapshot: file,
                }) => {
                    snapshot = Some(file);
                    status.cold_start(in_force.as_ref().map(|(version, _)| *version), &unusable);
                    if let Some((version, found)) = in_force {
                        applied = Some(version);
                        policy = found;
                    }
                }
                Err(error) => status.snapshot_error(&error),
            }
        }
        Self {
            session: ClientSession::new(applied, clock.mono()),
            config,
            install,
            load,
            clock,
            status,
            policy,
            snapshot,
            stream: Stream::None,
            installing: None,
        }
    }

    /// Follows the control plane until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        if self.config.endpoints.is_empty() {
            shutdown.cancelled().await;
            return;
        }
        loop {
            let effects = match self.event(&shutdown).await {
                Event::Shutdown => break,
                Event::Timeout => self.session.handle_timeout(self.clock.mono()),
                Event::Installed(outcome) => self.installed(outcome),
                Event::Opened(Ok(connection)) => {
                    self.stream = Stream::Open(Box::new(connection));
                    self.tell(ClientInput::Connected)
                }
                Event::Heard(Ok(message)) => {
                    self.status.connected();
                    self.tell(ClientInput::Message(message))
                }
                Event::Opened(Err(error)) | Event::Heard(Err(error)) => self.lost(&error),
            };
            self.carry_out(effects);
        }
        if let Some(installing) = self.installing.take() {
            // Not broken off in the middle of writing the snapshot.
            drop(installing.await);
        }
    }

    async fn event(&mut self, shutdown: &CancellationToken) -> Event {
        let due = self.session.poll_timeout();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Event::Shutdown,
            outcome = ready(self.installing.as_mut()) => {
                self.installing = None;
                Event::Installed(outcome)
            }
            event = self.stream.event() => event,
            () = timer(&self.clock, due) => Event::Timeout,
        }
    }

    fn tell(&mut self, input: ClientInput) -> Vec<ClientEffect> {
        self.session.handle(input, self.clock.mono())
    }

    fn lost(&mut self, error: &dyn Error) -> Vec<ClientEffect> {
        self.stream = Stream::None;
        self.status.lost(error);
        self.tell(ClientInput::Disconnected {
            random: clock::random(),
        })
    }

    fn carry_out(&mut self, effects: Vec<ClientEffect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let said = match effect {
                ClientEffect::Connect { attempt, applied } => {
                    self.connect(attempt, applied);
                    continue;
                }
                ClientEffect::Disconnect(fault) => {
                    effects.extend(self.lost(&fault));
                    continue;
                }
                ClientEffect::Install(received) => {
                    self.begin_install(received);
                    continue;
                }
                ClientEffect::Behind { reason } => {
                    self.status.behind(&reason);
                    continue;
                }
                ClientEffect::Ack(offer) => ProxyMessage::Ack {
                    nonce: offer.nonce,
                    revision: offer.version.revision,
                },
                ClientEffect::Nack { offer, reasons } => {
                    self.status.refused(offer.version.revision, &reasons);
                    ProxyMessage::Nack {
                        nonce: offer.nonce,
                        revision: offer.version.revision,
                        reasons,
                    }
                }
                ClientEffect::Heartbeat => ProxyMessage::Heartbeat {
                    applied: self
                        .session
                        .applied()
                        .map_or(Revision::NONE, |it| it.revision),
                    load: (self.load)(),
                },
            };
            if let Stream::Open(connection) = &self.stream
                && let Err(error) = connection.say(&said)
            {
                effects.extend(self.lost(&error));
            }
        }
    }

    fn connect(&mut self, attempt: u64, applied: Option<Version>) {
        // Not all proxies begin at the same control plane.
        let attempt = self.config.incarnation.wrapping_add(attempt);
        let Some(turn) = Turn::of(attempt, &self.config.endpoints) else {
            return;
        };
        let hello = Hello {
            proxy: self.config.proxy_id.clone(),
            incarnation: self.config.incarnation,
            version: self.config.version.clone(),
            address: self.config.address.clone(),
            applied,
        };
        self.stream = Stream::Opening(Box::pin(connection::open(turn, hello)));
    }

    fn begin_install(&mut self, received: Received) {
        let base = Arc::clone(&self.policy);
        let install = Arc::clone(&self.install);
        let snapshot = self.snapshot.take();
        self.installing = Some(spawn_blocking(move || {
            install::update(received, &base, &install, snapshot)
        }));
    }

    fn installed(&mut self, outcome: Result<Outcome, JoinError>) -> Vec<ClientEffect> {
        let Outcome {
            version,
            result,
            saved,
            snapshot,
        } = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                // The file handle went with the panic; the next one finds what is there.
                self.snapshot = self.config.snapshot.clone().map(SnapshotFile::new);
                let reasons = vec![NackReason {
                    resource: None,
                    field: String::new(),
                    code: "AGX0914".to_owned(),
                    message: format!("the proxy failed while it installed the policy: {error}"),
                    help: None,
                }];
                return self.tell(ClientInput::Rejected(Rejected::Refused(reasons)));
            }
        };
        self.snapshot = snapshot;
        if let Some(saved) = saved {
            self.status.saved(saved.as_ref().err());
        }
        match result {
            Ok(policy) => {
                self.policy = policy;
                self.status.applied(version, Source::ControlPlane);
                self.tell(ClientInput::Installed)
            }
            Err(rejected) => self.tell(ClientInput::Rejected(rejected)),
        }
    }
}

impl Stream {
    /// What happens to it next; never, if there is none.
    async fn event(&mut self) -> Event {
        match self {
            Self::None => future::pending().await,
            Self::Opening(opening) => Event::Opened(opening.await),
            Self::Open(connection) => Event::Heard(connection.next().await),
        }
    }
}

/// What the future comes to; never, if there is none.
async fn ready<F: Future + Unpin>(slot: Option<F>) -> F::Output {
    match slot {
        Some(future) => future.await,
        None => future::pending().await,
    }
}

async fn timer(clock: &Clock, due: Option<Mono>) {
    match due {
        Some(at) => sleep_until(clock.instant(at)).await,
        None => future::pending().await,
    }
}
