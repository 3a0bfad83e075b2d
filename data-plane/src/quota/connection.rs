//! The quota stream to a control plane.

use agix_core::limits::{GRPC_MESSAGE_BYTES, SYNC_QUEUE};
use agix_proto::v1;
use agix_proto::v1::quota_client::QuotaClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::control_line::{Channel, Line, LineError, Turn};

/// An open stream.
pub(super) type Connection = Line<v1::QuotaRequest, v1::QuotaResponse>;

/// Opens a stream to the ledger's owner, whom the control plane asked names if it is another; nothing
/// has been said on it yet.
pub(super) async fn open(turn: Turn) -> Result<Connection, LineError> {
    turn.open(open_there).await
}

async fn open_there(channel: Channel) -> Result<Connection, LineError> {
    let (say, said) = mpsc::channel(SYNC_QUEUE);
    let mut client = QuotaClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
    let answer = client.session(ReceiverStream::new(said)).await?;
    Ok(Line::new(say, answer.into_inner()))
}
