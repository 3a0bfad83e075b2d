//! What a proxy is started with.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agix_core::id::ProxyId;
use agix_core::limits::DRAIN_TIME;
use agix_proto::tls::ServerFiles;

use crate::audit::AuditTo;
use crate::control_line::ControlPlanes;
use crate::shared::{NoSink, UsageSink};

/// What a proxy is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where callers connect. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
    /// The files of the certificate that its ports show, and of those that vouch for whoever asks for
    /// metrics; none: they are not encrypted.
    pub tls: Option<ServerFiles>,
    /// The control planes; none to live on the snapshot alone.
    pub control_planes: ControlPlanes,
    /// Where the last good policy is kept for a start without control plane.
    pub snapshot: Option<PathBuf>,
    /// Where money under way is written down, for the next process to settle after a crash.
    pub journal: Option<PathBuf>,
    /// The proxy's name in the fleet; absent: the host's name and the port.
    pub proxy_id: Option<ProxyId>,
    /// Worker threads; absent: one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Time open requests get to end when the proxy stops.
    pub drain: Duration,
    /// Where audit records go, once the policy wants them.
    pub audit: AuditTo,
    /// Takes the record of each finished request.
    pub sink: Arc<dyn UsageSink>,
}

impl Config {
    /// A proxy on these addresses, with the defaults for everything else.
    pub fn new(listen: SocketAddr, admin: SocketAddr) -> Self {
        Self {
            listen,
            admin,
            tls: None,
            control_planes: ControlPlanes::default(),
            snapshot: None,
            journal: None,
            proxy_id: None,
            workers: None,
            drain: DRAIN_TIME,
            audit: AuditTo::default(),
            sink: Arc::new(NoSink),
        }
    }
}
