//! The policy stream to a control plane.

use agix_core::limits::{GRPC_MESSAGE_BYTES, SYNC_QUEUE};
use agix_core::sync::{Hello, ProxyMessage};
use agix_proto::v1;
use agix_proto::v1::policy_sync_client::PolicySyncClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::control_line::{Line, LineError, connect};

/// An open stream.
pub(super) type Connection = Line<v1::ProxyMessage, v1::ServerMessage>;

/// Opens a stream to `address` and says hello.
pub(super) async fn open(address: String, hello: Hello) -> Result<Connection, LineError> {
    let channel = connect(address).await?;
    let (say, said) = mpsc::channel(SYNC_QUEUE);
    let hello = v1::ProxyMessage::from(&ProxyMessage::Hello(hello));
    say.try_send(hello).map_err(|_full| LineError::NotRead)?;
    let mut client = PolicySyncClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
    let answer = client.watch(ReceiverStream::new(said)).await?;
    Ok(Line::new(say, answer.into_inner()))
}
