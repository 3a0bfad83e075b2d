//! `agix-proxy`: stands between agents and model providers.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use agix_core::id::ProxyId;
use agix_core::limits::{AUDIT_FILE_BYTES, AUDIT_FILES};
use agix_proto::bearer::Bearer;
use agix_proto::tls::{ClientFiles, ClientTls, Credentials, ServerFiles};
use agix_proxy::{AuditFile, AuditTo, Config, ControlPlanes};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The proxy of agix: agents call it like OpenAI, it calls the providers.
#[derive(Debug, Parser)]
#[command(name = "agix-proxy", version, about)]
struct Args {
    /// Address for callers; port 0 takes a free one
    #[arg(long, env = "AGIX_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "AGIX_ADMIN", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    /// The control planes, separated by commas; any of them names the others' owner of the ledger
    #[arg(
        long,
        env = "AGIX_CONTROL_PLANE",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7070"
    )]
    control_plane: Vec<String>,
    /// File with the join token that the control planes ask for; or give it in AGIX_JOIN_TOKEN
    #[arg(long, env = "AGIX_JOIN_TOKEN_FILE", value_name = "FILE")]
    join_token_file: Option<PathBuf>,
    /// Our certificate, as PEM, with those between it and its authority: callers and the admin port
    /// need TLS
    #[arg(long, env = "AGIX_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, as PEM
    #[arg(long, env = "AGIX_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Certificates that vouch for Prometheus, as PEM: metrics are for those it vouches for
    #[arg(
        long,
        env = "AGIX_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_client_ca: Option<PathBuf>,
    /// Certificates that vouch for control planes at https:// addresses, as PEM [default: those that
    /// this machine trusts]
    #[arg(long, env = "AGIX_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate for control planes that ask for one, as PEM
    #[arg(
        long,
        env = "AGIX_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,
    /// The key of that certificate, as PEM
    #[arg(
        long,
        env = "AGIX_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
    /// Listen on addresses other machines can reach, and send them the join token, although nothing
    /// is encrypted
    #[arg(long, env = "AGIX_INSECURE")]
    insecure: bool,
    /// File for the last good policy, used when the control plane is away at the start
    #[arg(long, env = "AGIX_SNAPSHOT", value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// File for what is spent and under way, so that the next start settles what a crash left open
    #[arg(long, env = "AGIX_JOURNAL", value_name = "FILE")]
    journal: Option<PathBuf>,
    /// File for audit records, once the policy wants them [default: standard output]
    #[arg(long, env = "AGIX_AUDIT_FILE", value_name = "FILE")]
    audit_file: Option<PathBuf>,
    /// Size from which a new file of audit records is begun
    #[arg(long, env = "AGIX_AUDIT_FILE_BYTES", value_name = "BYTES", default_value_t = AUDIT_FILE_BYTES)]
    audit_file_bytes: u64,
    /// Files of audit records that are kept, the current one included
    #[arg(long, env = "AGIX_AUDIT_FILES", value_name = "N", default_value_t = AUDIT_FILES)]
    audit_files: u32,
    /// Name in the fleet [default: host name and port]
    #[arg(long, env = "AGIX_PROXY_ID", value_name = "ID")]
    id: Option<ProxyId>,
    /// Worker threads [default: one for each core]
    #[arg(long, env = "AGIX_WORKERS", value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Seconds that open requests get to end at a stop
    #[arg(
        long,
        env = "AGIX_DRAIN_SECONDS",
        value_name = "SECONDS",
        default_value_t = 30
    )]
    drain_seconds: u64,
    /// Form of the log on standard error; AGIX_LOG sets what is logged (info, debug, ...)
    #[arg(long, env = "AGIX_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(Some(&*error), |error| error.source());
            let text: Vec<_> = causes.map(ToString::to_string).collect();
            // Nothing is left to do if standard error is closed.
            drop(writeln!(
                std::io::stderr(),
                "agix-proxy: {}",
                text.join(": ")
            ));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    check_ports(&args)?;
    let tls = args.tls_cert.zip(args.tls_key);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let config = Config {
        tls: tls.map(|(certificate, key)| ServerFiles {
            certificate,
            key,
            client_ca: args.tls_client_ca,
        }),
        control_planes: ControlPlanes {
            credentials: Credentials {
                bearer: bearer(args.join_token_file.as_deref(), args.insecure)?,
                tls: ClientTls::read(&ClientFiles {
                    ca: args.ca,
                    identity: args.client_cert.zip(args.client_key),
                })?,
            },
            addresses: args.control_plane,
        },
        snapshot: args.snapshot,
        journal: args.journal,
        proxy_id: args.id,
        audit: match args.audit_file {
            Some(path) => AuditTo::File(AuditFile {
                path,
                bytes: args.audit_file_bytes,
                files: args.audit_files,
            }),
            None => AuditTo::Stdout,
        },
        workers: args.workers,
        drain: Duration::from_secs(args.drain_seconds),
        ..Config::new(args.listen, args.admin)
    };
    let running = agix_proxy::start(config, shutdown.clone()).await?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "listening on {scheme}://{} (admin {scheme}://{})",
        running.listen, running.admin
    )?;
    out.flush()?;
    let mut stopped = std::pin::pin!(running.stopped());
    tokio::select! {
        () = &mut stopped => return Ok(()),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: open requests are let end");
    shutdown.cancel();
    stopped.await;
    Ok(())
}

/// Refuses ports that other machines reach and that lack what this needs, unless that was wanted.
fn check_ports(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let listens = [
        (
            "--listen",
            args.listen,
            args.tls_cert.is_some(),
            "--tls-cert and --tls-key",
        ),
        (
            "--admin",
            args.admin,
            args.tls_client_ca.is_some(),
            "--tls-cert, --tls-key and --tls-client-ca",
        ),
    ];
    for (flag, address, is_safe, needs) in listens {
        check_open((flag, address), is_safe, needs, args.insecure)?;
    }
    Ok(())
}

fn check_open(
    (flag, address): (&str, SocketAddr),
    is_safe: bool,
    needs: &str,
    insecure: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    if is_safe || address.ip().is_loopback() {
        return Ok(());
    }
    if insecure {
        tracing::warn!(
            "--insecure: {flag} {address} can be reached from other machines without {needs}"
        );
        return Ok(());
    }
    Err(format!(
        "{address} can be reached from other machines, so {flag} needs {needs}; or listen on 127.0.0.1, \
         or pass --insecure if the network itself keeps others out, or something before it ends TLS"
    )
    .into())
}

/// The join token, from its file or else from the environment.
fn bearer(file: Option<&Path>, insecure: bool) -> Result<Bearer, Box<dyn std::error::Error>> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("the join token in {}: {error}", path.display()))?,
        None => std::env::var("AGIX_JOIN_TOKEN").unwrap_or_default(),
    };
    if text.is_empty() {
        return Ok(Bearer::default());
    }
    Ok(Bearer::new(&text, insecure)?)
}

fn start_log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("AGIX_LOG").unwrap_or_else(|_unset| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}
