//! Starting both parts, and saying which flag to change if they cannot.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agix_control_plane::store::OpenError;
use agix_control_plane::{
    Config as ControlConfig, SealSource, StartError as ControlError, StoreSpec,
};
use agix_core::id::ProxyId;
use agix_proto::tls::Credentials;
use agix_proxy::{AuditFile, AuditTo, Config as ProxyConfig, StartError as ProxyError};
use tokio::fs::DirBuilder;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::DevArgs;
use super::requests::Requests;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Time open requests get to end.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// Time of one call to the control plane next door.
const CALL_TIME: Duration = Duration::from_secs(30);
/// What is logged unless AGIX_LOG says otherwise.
const LOG_FILTER: &str = "warn";
/// The proxy's name in the fleet.
const PROXY_ID: &str = "dev";

/// Both parts, up.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) client: Client,
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) control: SocketAddr,
    pub(super) console: Option<SocketAddr>,
    pub(super) data_dir: PathBuf,
    control_plane: agix_control_plane::Running,
    stop_control_plane: CancellationToken,
    proxy: agix_proxy::Running,
    stop_proxy: CancellationToken,
    requests: Requests,
}

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
enum DataDirError {
    #[error("there is no home directory to keep the policy in")]
    NoHome,
    #[error("the data directory {} cannot be made", .path.display())]
    Make { path: PathBuf, source: io::Error },
}

/// An address is taken.
#[derive(Debug, thiserror::Error)]
#[error("{address} is in use by another program")]
struct AddressInUse {
    address: SocketAddr,
}

/// Starts the control plane, then the proxy on it.
pub(super) async fn start(args: &DevArgs) -> Result<Started, Failure> {
    let (stop_control_plane, stop_proxy) = (CancellationToken::new(), CancellationToken::new());
    let data_dir = data_dir(args.data_dir.as_deref()).await?;
    let config = ControlConfig {
        listen: args.control,
        http: Some(args.http),
        admin: None,
        store: StoreSpec::Embedded(data_dir.join("store")),
        seal: SealSource::Own,
        tokens: None,
        advertise: None,
        tls: None,
    };
    let control_plane = agix_control_plane::start(config, stop_control_plane.clone())
        .await
        .map_err(|error| explain_control(error, args))?;
    let control = control_plane.address;
    let requests = Requests::start();
    let config = ProxyConfig {
        control_planes: vec![format!("http://{control}")].into(),
        proxy_id: ProxyId::new(PROXY_ID).ok(),
        drain: DRAIN_TIME,
        sink: requests.sink(),
        audit: AuditTo::File(AuditFile::at(data_dir.join("audit.jsonl"))),
        ..ProxyConfig::new(args.listen, args.admin)
    };
    let proxy = match agix_proxy::start(config, stop_proxy.clone()).await {
        Ok(proxy) => proxy,
        Err(error) => {
            stop_control_plane.cancel();
            control_plane.stopped().await;
            return Err(explain_proxy(error, args));
        }
    };
    Ok(Started {
        client: Client::connect(&control.to_string(), CALL_TIME, &Credentials::default()).await?,
        listen: proxy.listen,
        admin: proxy.admin,
        control,
        console: control_plane.console,
        data_dir,
        control_plane,
        stop_control_plane,
        proxy,
        stop_proxy,
        requests,
    })
}

impl Started {
    /// Stops both parts: the proxy first, so that it never misses the control plane.
    pub(super) async fn stop(self) {
        self.stop_proxy.cancel();
        self.proxy.stopped().await;
        self.stop_control_plane.cancel();
        self.control_plane.stopped().await;
        self.requests.stopped().await;
    }
}

/// Sets up logging on stderr.
pub(super) fn log(output: Output) -> Result<(), Failure> {
    let filter = std::env::var("AGIX_LOG").ok();
    let filter = filter.as_deref().unwrap_or(LOG_FILTER);
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        Failure::new(Exit::Usage, error).help("AGIX_LOG is a level such as `info`")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output.color_err())
        .with_writer(io::stderr)
        .init();
    Ok(())
}

/// The directory asked for, else `~/.agix`; made for its owner alone if it does not exist.
async fn data_dir(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = match asked {
        Some(path) => path.to_owned(),
        None => std::env::home_dir()
            .filter(|home| !home.as_os_str().is_empty())
            .map(|home| home.join(".agix"))
            .ok_or_else(|| {
                Failure::new(Exit::Usage, DataDirError::NoHome).help("name one with --data-dir")
            })?,
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&path).await.map_err(|source| {
        let error = DataDirError::Make {
            path: path.clone(),
            source,
        };
        Failure::new(Exit::Usage, error).help("name another with --data-dir")
    })?;
    Ok(path)
}

/// The control plane could not start: says what helps.
fn explain_control(error: ControlError, args: &DevArgs) -> Failure {
    if let ControlError::Listen { address, .. } = error {
        let flag = if address == args.http && address != args.control {
            "--http"
        } else {
            "--control"
        };
        return cannot_listen(error, flag, address);
    }
    if matches!(
        error,
        ControlError::Policy(_) | ControlError::Store(OpenError::SealKey(_))
    ) {
        return Failure::new(Exit::Failed, error);
    }
    Failure::new(Exit::Failed, error)
        .help("is another `agixctl dev` running on this data? else choose another --data-dir")
}

/// The proxy could not start: says what helps.
fn explain_proxy(error: ProxyError, args: &DevArgs) -> Failure {
    match error {
        ProxyError::Listen { address, .. } if address == args.listen => {
            cannot_listen(error, "--listen", address)
        }
        ProxyError::Listen { address, .. } => cannot_listen(error, "--admin", address),
        ProxyError::Workers(_)
        | ProxyError::Client(_)
        | ProxyError::Journal(_)
        | ProxyError::Tls(_)
        | ProxyError::Audit(_) => Failure::new(Exit::Failed, error),
    }
}

fn cannot_listen(
    error: impl Error + Send + Sync + 'static,
    flag: &str,
    address: SocketAddr,
) -> Failure {
    if in_use(&error) {
        return Failure::new(Exit::Failed, AddressInUse { address }).help(format!(
            "is another agix running? else choose another with {flag} 127.0.0.1:PORT; port 0 \
             takes a free one"
        ));
    }
    Failure::new(Exit::Failed, error).help(format!("choose another with {flag} 127.0.0.1:PORT"))
}

/// Whether the cause is that an address is taken.
fn in_use(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let mut io = causes.filter_map(|error| error.downcast_ref::<io::Error>());
    io.any(|error| error.kind() == io::ErrorKind::AddrInUse)
}
