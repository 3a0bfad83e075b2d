//! The policy stream to a control plane.

use agix_core::limits::{GRPC_MESSAGE_BYTES, SYNC_QUEUE};
use agix_core::sync::{Hello, ProxyMessage};
use agix_proto::v1;
use agix_proto::v1::policy_sync_client::PolicySyncClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::control_line::{Channel, Line, LineError, Turn};

/// An open stream.
pub(super) type Connection = Line<v1::ProxyMessage, v1::ServerMessage>;

/// Opens a stream and says hello.
pub(super) async fn open(turn: Turn, hello: Hello) -> Result<Connection, LineError> {
    let hello = v1::ProxyMessage::from(&ProxyMessage::Hello(hello));
    turn.open(|channel| open_there(channel, hello.clone()))
        .await
}

async fn open_there(channel: Channel, hello: v1::ProxyMessage) -> Result<Connection, LineError> {
    let (say, said) = mpsc::channel(SYNC_QUEUE);
    say.try_send(hello).map_err(|_full| LineError::NotRead)?;
    let mut client = PolicySyncClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
    let answer = client.watch(ReceiverStream::new(said)).await?;
    Ok(Line::new(say, answer.into_inner()))
}
