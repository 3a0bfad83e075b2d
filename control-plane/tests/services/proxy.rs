//! A proxy, as far as a control plane can see: it says hello and answers updates as it is told.

use agix_core::policy::Policy;
use agix_core::sync::PolicyHash;
use agix_proto::convert::{decode_delta, decode_policy, policy_hash};
use agix_proto::v1;
use agix_proto::v1::policy_sync_client::PolicySyncClient;
use agix_proto::v1::proxy_message::Body as Say;
use agix_proto::v1::server_message::Body as Told;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::plane::Plane;

pub(crate) struct Proxy {
    sender: mpsc::Sender<v1::ProxyMessage>,
    stream: Streaming<v1::ServerMessage>,
    waiting: Option<Told>,
    pub(crate) policy: Policy,
    pub(crate) revision: u64,
    /// Bytes of the updates so far.
    pub(crate) bytes: usize,
}

/// An update as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) revision: u64,
    pub(crate) nonce: u64,
    /// The revision it starts from; `None`: a snapshot.
    pub(crate) base: Option<u64>,
    /// Messages it came in.
    pub(crate) parts: usize,
    new: Policy,
}

impl Proxy {
    /// A new stream, on which nothing was said.
    pub(crate) async fn silent(plane: &Plane) -> Self {
        let (sender, receiver) = mpsc::channel(8);
        let mut client = PolicySyncClient::new(plane.channel.clone());
        let stream = client.watch(ReceiverStream::new(receiver)).await.unwrap();
        Self {
            sender,
            stream: stream.into_inner(),
            waiting: None,
            policy: Policy::default(),
            revision: 0,
            bytes: 0,
        }
    }

    /// A proxy without a policy.
    pub(crate) async fn fresh(plane: &Plane, id: &str) -> Self {
        Self::silent(plane).await.hello(id, 1).await
    }

    /// The same proxy on a new stream, with what it has.
    pub(crate) async fn again(self, plane: &Plane, id: &str) -> Self {
        let new = Self::silent(plane).await;
        let new = Self {
            policy: self.policy,
            revision: self.revision,
            ..new
        };
        new.hello(id, 1).await
    }

    pub(crate) async fn hello(self, id: &str, incarnation: u64) -> Self {
        let hello = v1::Hello {
            proxy_id: id.to_owned(),
            incarnation,
            version: "0.1.0".to_owned(),
            address: "127.0.0.1:8080".to_owned(),
            applied_revision: self.revision,
            applied_hash: match self.revision {
                0 => Vec::new(),
                _ => policy_hash(&self.policy).as_bytes().to_vec(),
            },
        };
        self.say(Say::Hello(hello)).await;
        self
    }

    pub(crate) async fn say(&self, body: Say) {
        let message = v1::ProxyMessage { body: Some(body) };
        self.sender.send(message).await.unwrap();
    }

    /// Gives a sign of life.
    pub(crate) async fn alive(&self, load: v1::Load) {
        let heartbeat = v1::Heartbeat {
            applied_revision: self.revision,
            load: Some(load),
        };
        self.say(Say::Heartbeat(heartbeat)).await;
    }

    /// Gives signs of life until something is done that may take long.
    pub(crate) async fn alive_during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                // Signs of life come all the time, and are answered.
                told = self.told(), if self.waiting.is_none() => match told.unwrap() {
                    Told::Heartbeat(_) => self.alive(v1::Load::default()).await,
                    other => self.waiting = Some(other),
                },
            }
        }
    }

    /// The next message.
    pub(crate) async fn told(&mut self) -> Result<Told, Status> {
        if let Some(told) = self.waiting.take() {
            return Ok(told);
        }
        let message = self.stream.message().await?;
        Ok(message
            .expect("the stream ended without a reason")
            .body
            .unwrap())
    }

    /// The revision the next sign of life names as current.
    pub(crate) async fn heartbeat(&mut self) -> u64 {
        match self.told().await.unwrap() {
            Told::Heartbeat(heartbeat) => heartbeat.current_revision,
            other => panic!("{other:?}"),
        }
    }

    /// The next update; signs of life are passed over.
    pub(crate) async fn update(&mut self) -> Update {
        let mut snapshot = Vec::new();
        let mut parts = 0;
        loop {
            let (base, revision, nonce, hash, new) = match self.told().await.unwrap() {
                Told::Heartbeat(_) => continue,
                Told::Snapshot(part) => {
                    parts += 1;
                    self.bytes += part.policy.len();
                    snapshot.extend_from_slice(&part.policy);
                    if !part.last {
                        continue;
                    }
                    let new = decode_policy(&snapshot).unwrap();
                    (None, part.revision, part.nonce, part.hash, new)
                }
                Told::Delta(delta) => {
                    parts += 1;
                    self.bytes += delta.delta.len();
                    let mut new = self.policy.clone();
                    new.apply(decode_delta(&delta.delta).unwrap());
                    let base = Some(delta.base_revision);
                    (base, delta.revision, delta.nonce, delta.hash, new)
                }
            };
            assert_eq!(policy_hash(&new).as_bytes().as_slice(), hash);
            return Update {
                revision,
                nonce,
                base,
                parts,
                new,
            };
        }
    }

    /// Puts an update in force.
    pub(crate) async fn ack(&mut self, update: Update) {
        let Update {
            revision,
            nonce,
            new,
            ..
        } = update;
        self.policy = new;
        self.revision = revision;
        self.say(Say::Ack(v1::Ack { nonce, revision })).await;
    }

    /// Receives an update and puts it in force.
    pub(crate) async fn follow(&mut self) -> Update {
        let update = self.update().await;
        self.ack(update.clone()).await;
        update
    }

    pub(crate) async fn nack(&self, update: &Update, message: &str) {
        let error = v1::ResourceError {
            code: "AGX0999".to_owned(),
            message: message.to_owned(),
            ..v1::ResourceError::default()
        };
        let nack = v1::Nack {
            nonce: update.nonce,
            revision: update.revision,
            errors: vec![error],
        };
        self.say(Say::Nack(nack)).await;
    }
}

/// A hash of no policy.
pub(crate) fn strange_hash() -> Vec<u8> {
    PolicyHash::from_bytes([9; 32]).as_bytes().to_vec()
}
