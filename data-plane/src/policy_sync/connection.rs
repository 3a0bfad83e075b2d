//! One stream to a control plane.

use agix_core::limits::{
    CONTROL_CONNECT_TIME, CONTROL_KEEPALIVE, CONTROL_KEEPALIVE_TIME, GRPC_MESSAGE_BYTES, SYNC_QUEUE,
};
use agix_core::sync::{Hello, ProxyMessage, ServerMessage};
use agix_proto::convert::InvalidMessage;
use agix_proto::v1;
use agix_proto::v1::policy_sync_client::PolicySyncClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};

/// An open stream.
#[derive(Debug)]
pub(super) struct Connection {
    say: mpsc::Sender<v1::ProxyMessage>,
    hear: Streaming<v1::ServerMessage>,
}

/// Why there is no stream, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// The address is not one.
    #[error("`{address}` is not an address of a control plane; write http://HOST:PORT")]
    Address { address: String },
    /// Nobody answers there.
    #[error("cannot connect to {address}")]
    Connect {
        address: String,
        #[source]
        cause: tonic::transport::Error,
    },
    /// The control plane ended the stream and said why.
    #[error("the control plane ended the stream: {message} ({code:?})")]
    Refused { code: Code, message: String },
    /// The stream ended.
    #[error("the control plane ended the stream")]
    Ended,
    /// What came makes no sense.
    #[error("the control plane sent a message that makes no sense")]
    Nonsense(#[source] InvalidMessage),
    /// The control plane does not read what the proxy says.
    #[error("the control plane does not read what the proxy says")]
    NotRead,
}

impl Connection {
    /// Opens a stream to `address` and says hello.
    pub(super) async fn open(address: String, hello: Hello) -> Result<Self, ConnectionError> {
        let endpoint = match Endpoint::from_shared(address.clone()) {
            Ok(endpoint) if endpoint.uri().host().is_some() => endpoint,
            Ok(_) | Err(_) => return Err(ConnectionError::Address { address }),
        };
        let channel = endpoint
            .tcp_nodelay(true)
            .connect_timeout(CONTROL_CONNECT_TIME)
            .http2_keep_alive_interval(CONTROL_KEEPALIVE)
            .keep_alive_timeout(CONTROL_KEEPALIVE_TIME)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(|cause| ConnectionError::Connect { address, cause })?;
        let (say, said) = mpsc::channel(SYNC_QUEUE);
        let hello = v1::ProxyMessage::from(&ProxyMessage::Hello(hello));
        say.try_send(hello)
            .map_err(|_full| ConnectionError::NotRead)?;
        let mut client =
            PolicySyncClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
        let answer = client.watch(ReceiverStream::new(said)).await?;
        Ok(Self {
            say,
            hear: answer.into_inner(),
        })
    }

    /// What the control plane says next. Loses nothing when it is dropped before it is done.
    pub(super) async fn next(&mut self) -> Result<ServerMessage, ConnectionError> {
        let message = self.hear.message().await?.ok_or(ConnectionError::Ended)?;
        ServerMessage::try_from(message).map_err(ConnectionError::Nonsense)
    }

    /// Says something to the control plane.
    pub(super) fn say(&self, message: &ProxyMessage) -> Result<(), ConnectionError> {
        let sent = self.say.try_send(message.into());
        sent.map_err(|_full| ConnectionError::NotRead)
    }
}

impl From<Status> for ConnectionError {
    fn from(status: Status) -> Self {
        Self::Refused {
            code: status.code(),
            message: status.message().to_owned(),
        }
    }
}
