//! A small control plane: the server session over a real connection, its policies in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use agix_core::id::Revision;
use agix_core::policy::Policy;
use agix_core::sync::{
    Hello, NackReason, ProxyMessage, Recall, ServerEffect, ServerInput, ServerSession, Update,
    Version,
};
use agix_proto::convert::{
    delta_message, encode_delta, encode_policy, heartbeat_message, policy_hash, snapshot_messages,
};
use agix_proto::v1;
use agix_proto::v1::policy_sync_server::{PolicySync, PolicySyncServer};
use bytes::Bytes;
use futures_util::Stream;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::clock::Clock;

/// What the control plane saw and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Hello(Hello),
    SentSnapshot(Revision),
    SentDelta { base: Revision, revision: Revision },
    Applied(Revision),
    Refused(Revision, Vec<NackReason>),
    Ahead(Revision),
}

/// A control plane that can be stopped and started again.
pub(super) struct ControlPlane {
    pub(super) address: SocketAddr,
    seen: mpsc::Receiver<Seen>,
    shared: Arc<Shared>,
    running: CancellationToken,
    tasks: TaskTracker,
}

struct Shared {
    history: Mutex<BTreeMap<Revision, (Version, Arc<Policy>)>>,
    current: watch::Sender<Option<Version>>,
    seen: mpsc::Sender<Seen>,
    clock: Clock,
}

struct Service {
    shared: Arc<Shared>,
    running: CancellationToken,
    tasks: TaskTracker,
}

impl ControlPlane {
    pub(super) async fn start() -> Self {
        let (report, seen) = mpsc::channel(256);
        let shared = Arc::new(Shared {
            history: Mutex::new(BTreeMap::new()),
            current: watch::channel(None).0,
            seen: report,
            clock: Clock::start(),
        });
        let mut started = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            seen,
            shared,
            running: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        started.serve().await;
        started
    }

    async fn serve(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        self.running = CancellationToken::new();
        self.tasks = TaskTracker::new();
        let service = PolicySyncServer::new(Service {
            shared: Arc::clone(&self.shared),
            running: self.running.clone(),
            tasks: self.tasks.clone(),
        });
        let server = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(
                TcpListenerStream::new(listener),
                self.running.clone().cancelled_owned(),
            );
        self.tasks.spawn(async move { server.await.unwrap() });
    }

    /// Ends all streams and stops listening.
    pub(super) async fn stop(&mut self) {
        self.running.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Listens again where it did before.
    pub(super) async fn start_again(&mut self) {
        self.serve().await;
    }

    /// Makes `policy` the current one.
    pub(super) fn apply(&self, revision: u64, policy: &Policy) -> Version {
        let revision = Revision::new(revision);
        let version = Version {
            revision,
            hash: policy_hash(policy),
        };
        let mut history = self.shared.history.lock().unwrap();
        history.insert(revision, (version, Arc::new(policy.clone())));
        self.shared.current.send_replace(Some(version));
        version
    }

    /// Loses all policies. To be followed by another first one.
    pub(super) fn forget_everything(&self) {
        self.shared.history.lock().unwrap().clear();
    }

    /// Waits for the next thing it saw.
    pub(super) async fn seen(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }
}

#[tonic::async_trait]
impl PolicySync for Service {
    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<v1::ServerMessage, Status>> + Send + 'static>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::ProxyMessage>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (say, said) = mpsc::channel(32);
        let session = Session {
            shared: Arc::clone(&self.shared),
            hear: request.into_inner(),
            say,
        };
        let running = self.running.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = session.run() => {}
                () = running.cancelled() => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }
}

struct Session {
    shared: Arc<Shared>,
    hear: Streaming<v1::ProxyMessage>,
    say: mpsc::Sender<Result<v1::ServerMessage, Status>>,
}

impl Session {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut current = shared.current.subscribe();
        let newest = *current.borrow_and_update();
        let mut machine = ServerSession::new(newest, shared.clock.mono());
        loop {
            let due = machine.poll_timeout().expect("the session is not over");
            let now = || shared.clock.mono();
            let effects = tokio::select! {
                heard = self.hear.message() => match heard {
                    Ok(Some(wire)) => {
                        let message = ProxyMessage::try_from(wire).unwrap();
                        machine.handle(self.input(message), now())
                    }
                    Ok(None) | Err(_) => return,
                },
                changed = current.changed() => {
                    changed.unwrap();
                    let version = current.borrow_and_update().unwrap();
                    machine.handle(ServerInput::Current(version), now())
                }
                () = tokio::time::sleep_until(shared.clock.instant(due)) => {
                    machine.handle_timeout(now())
                }
            };
            for effect in effects {
                if self.carry_out(effect).await.is_err() {
                    return;
                }
            }
        }
    }

    fn input(&self, message: ProxyMessage) -> ServerInput {
        match message {
            ProxyMessage::Hello(hello) => {
                let applied = hello.applied;
                let history = self.shared.history.lock().unwrap();
                let held = applied.is_some_and(|version| {
                    history
                        .get(&version.revision)
                        .is_some_and(|it| it.0 == version)
                });
                self.shared.seen.try_send(Seen::Hello(hello)).unwrap();
                let recall = if held { Recall::Held } else { Recall::NotHeld };
                ServerInput::Hello { applied, recall }
            }
            ProxyMessage::Ack { nonce, revision } => ServerInput::Ack { nonce, revision },
            ProxyMessage::Nack {
                nonce,
                revision,
                reasons,
            } => ServerInput::Nack {
                nonce,
                revision,
                reasons,
            },
            ProxyMessage::Heartbeat { .. } => ServerInput::Heartbeat,
        }
    }

    /// Carries out one effect; an error ends the stream.
    async fn carry_out(&self, effect: ServerEffect) -> Result<(), ()> {
        let (messages, seen) = match effect {
            ServerEffect::Heartbeat { current } => (vec![heartbeat_message(current)], None),
            ServerEffect::Send { offer, update } => {
                let (messages, seen) = self.update(offer, update);
                (messages, Some(seen))
            }
            ServerEffect::Applied(version) => (vec![], Some(Seen::Applied(version.revision))),
            ServerEffect::Refused { version, reasons } => {
                (vec![], Some(Seen::Refused(version.revision, reasons)))
            }
            ServerEffect::Ahead { applied, .. } => (vec![], Some(Seen::Ahead(applied.revision))),
            ServerEffect::Close(_) => return Err(()),
        };
        if let Some(seen) = seen {
            self.shared.seen.try_send(seen).unwrap();
        }
        for message in messages {
            self.say.send(Ok(message)).await.map_err(drop)?;
        }
        Ok(())
    }

    fn update(
        &self,
        offer: agix_core::sync::Offer,
        update: Update,
    ) -> (Vec<v1::ServerMessage>, Seen) {
        let history = self.shared.history.lock().unwrap();
        let policy = |revision| Arc::clone(&history[&revision].1);
        match update {
            Update::Snapshot { revision } => {
                let bytes = Bytes::from(encode_policy(&policy(revision)));
                (
                    snapshot_messages(offer, &bytes).collect(),
                    Seen::SentSnapshot(revision),
                )
            }
            Update::Delta { base, revision } => {
                let delta = policy(base).delta_to(&policy(revision));
                let message = delta_message(offer, base, encode_delta(&delta).into());
                (vec![message], Seen::SentDelta { base, revision })
            }
        }
    }
}
