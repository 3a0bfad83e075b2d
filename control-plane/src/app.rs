//! The parts of a control plane put together, started and stopped.

use std::io;
use std::net::SocketAddr;

use agix_core::limits::{
    CONTROL_DRAIN_TIME, GRPC_KEEPALIVE_INTERVAL, GRPC_KEEPALIVE_TIMEOUT, GRPC_STREAMS,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::incoming::connections;

/// A control plane that is up.
#[derive(Debug)]
pub struct Running {
    /// Where the services listen; the port is the real one even if 0 was asked for.
    pub address: SocketAddr,
    shutdown: CancellationToken,
    tasks: TaskTracker,
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
    /// The compiled descriptors of the protocol cannot be served.
    #[error("the reflection service cannot be set up")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Starts a control plane. When this returns, it is listening and has read its store.
///
/// It stops when `shutdown` is cancelled; [`Running::stopped`] waits for the end.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    let listen_error = |source| StartError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(agix_proto::DESCRIPTORS)
        .build_v1()
        .map_err(StartError::Reflection)?;
    let (_health, health_service) = tonic_health::server::health_reporter();

    let server = Server::builder()
        .http2_keepalive_interval(Some(GRPC_KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(GRPC_KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(GRPC_STREAMS)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(connections(listener), shutdown.clone().cancelled_owned());
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        if let Err(error) = server.await {
            error!(%error, "the gRPC server failed");
        }
    });
    tasks.close();
    info!(%address, store = %config.store, "the control plane is up");
    Ok(Running {
        address,
        shutdown,
        tasks,
    })
}

impl Running {
    /// Waits until the control plane has stopped: after `shutdown` was cancelled, its streams have
    /// ended and the calls in flight have been answered, or the time for that is over.
    pub async fn stopped(self) {
        self.shutdown.cancelled().await;
        if tokio::time::timeout(CONTROL_DRAIN_TIME, self.tasks.wait())
            .await
            .is_err()
        {
            warn!("some calls did not end in time and were cut off");
        }
    }
}
