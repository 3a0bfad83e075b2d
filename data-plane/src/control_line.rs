//! A stream to a control plane: how it is opened, said something on and heard.

use agix_core::limits::{CONTROL_CONNECT_TIME, CONTROL_KEEPALIVE, CONTROL_KEEPALIVE_TIME};
use agix_proto::convert::InvalidMessage;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

/// An open stream on which the proxy says `S` and hears `H`.
#[derive(Debug)]
pub(crate) struct Line<S, H> {
    say: mpsc::Sender<S>,
    hear: Streaming<H>,
}

/// Why there is no stream, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
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

/// Connects to a control plane.
pub(crate) async fn connect(address: String) -> Result<Channel, LineError> {
    let connected = endpoint(address.clone())?.connect().await;
    connected.map_err(|cause| LineError::Connect { address, cause })
}

/// A channel to a control plane that connects when it is used, and again after it was lost.
pub(crate) fn lazily(address: String) -> Result<Channel, LineError> {
    Ok(endpoint(address)?.connect_lazy())
}

fn endpoint(address: String) -> Result<Endpoint, LineError> {
    let endpoint = match Endpoint::from_shared(address.clone()) {
        Ok(endpoint) if endpoint.uri().host().is_some() => endpoint,
        Ok(_) | Err(_) => return Err(LineError::Address { address }),
    };
    Ok(endpoint
        .tcp_nodelay(true)
        .connect_timeout(CONTROL_CONNECT_TIME)
        .http2_keep_alive_interval(CONTROL_KEEPALIVE)
        .keep_alive_timeout(CONTROL_KEEPALIVE_TIME)
        .keep_alive_while_idle(true))
}

impl<S, H> Line<S, H> {
    pub(crate) const fn new(say: mpsc::Sender<S>, hear: Streaming<H>) -> Self {
        Self { say, hear }
    }

    /// What the control plane says next. Loses nothing when it is dropped before it is done.
    pub(crate) async fn next<M>(&mut self) -> Result<M, LineError>
    where
        M: TryFrom<H, Error = InvalidMessage>,
    {
        let message = self.hear.message().await?.ok_or(LineError::Ended)?;
        M::try_from(message).map_err(LineError::Nonsense)
    }

    /// Says something to the control plane.
    pub(crate) fn say<'a, M>(&self, message: &'a M) -> Result<(), LineError>
    where
        S: From<&'a M>,
    {
        let sent = self.say.try_send(S::from(message));
        sent.map_err(|_full| LineError::NotRead)
    }

    /// Says nothing more, and waits until the control plane has ended the stream, too.
    pub(crate) async fn hang_up(self) {
        let Self { say, mut hear } = self;
        drop(say);
        while let Ok(Some(_rest)) = hear.message().await {}
    }
}

impl From<Status> for LineError {
    fn from(status: Status) -> Self {
        Self::Refused {
            code: status.code(),
            message: status.message().to_owned(),
        }
    }
}
