//! A control plane, proxies and a mock provider, as one test uses them.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::agixctl::Agixctl;
use crate::caller::Caller;
use crate::mock_provider::MockProvider;
use crate::program::Program;
use crate::wait::until;

/// The longest a proxy may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(20);
/// The proxies' key at the mock provider, which takes no other.
pub const KEY: &str = "sk-of-the-house";
/// First port for programs that are started again where they were. The system hands out its own
/// free ports from 32768 on, so nobody takes such a port meanwhile.
const FIRST_PORT: u16 = 20_000;
/// Number of such ports.
const PORTS: u16 = 12_000;

/// Everything one test needs, on ports and in a directory of its own.
#[derive(Debug)]
pub struct TestBed {
    /// The proxies.
    pub proxies: Vec<Proxy>,
    /// The control plane.
    pub control_plane: ControlPlane,
    /// The provider behind the proxies.
    pub mock: MockProvider,
    /// The operator.
    pub agixctl: Agixctl,
    directory: TempDir,
}

/// A control plane with an embedded store.
#[derive(Debug)]
pub struct ControlPlane {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its probes and metrics are.
    pub admin: SocketAddr,
    /// Where its web console listens.
    pub console: SocketAddr,
    /// The process.
    pub program: Program,
}

/// A proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where callers call it.
    pub address: SocketAddr,
    /// Where its probes and metrics are.
    pub admin: SocketAddr,
    /// The process.
    pub program: Program,
    /// How it was started.
    pub settings: ProxySettings,
}

/// How a proxy is started.
#[derive(Debug, Clone, Default)]
pub struct ProxySettings {
    /// Its name in the fleet.
    pub id: String,
    /// Where callers call it; absent: at a free port.
    pub listen: Option<SocketAddr>,
    /// Whether it keeps the last policy in a file.
    pub snapshot: bool,
    /// Whether it keeps a journal of what is under way.
    pub journal: bool,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

impl TestBed {
    /// A control plane with one proxy, which runs `policy` on top of the mock's providers.
    pub async fn start(policy: &str) -> Self {
        let mut bed = Self::without_proxies().await;
        bed.agixctl.apply(&bed.document(policy), &[]).await;
        bed.add_proxy(ProxySettings::default()).await;
        bed
    }

    /// The same with `count` proxies, each at an address that it keeps when it is started again.
    pub async fn with_proxies(policy: &str, count: usize) -> Self {
        let mut bed = Self::without_proxies().await;
        bed.agixctl.apply(&bed.document(policy), &[]).await;
        for _ in 0..count {
            let settings = ProxySettings {
                listen: Some(steady_address()),
                ..ProxySettings::default()
            };
            bed.add_proxy(settings).await;
        }
        bed
    }

    /// Ends a proxy with `kill -9` and starts it again, where it was and under its name.
    ///
    /// # Panics
    /// There is no such proxy.
    pub async fn kill_and_restart_proxy(&mut self, index: usize) {
        let proxy = self.proxies.get_mut(index).expect("a proxy");
        proxy.program.kill();
        let settings = proxy.settings.clone();
        let again = self.start_proxy(settings).await;
        if let Some(proxy) = self.proxies.get_mut(index) {
            *proxy = again;
        }
    }

    /// A control plane without a policy, and no proxy yet.
    ///
    /// # Panics
    /// Something does not start.
    pub async fn without_proxies() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mock = MockProvider::start().expect("a mock provider");
        mock.accept_only(KEY);
        let control_plane = ControlPlane::start(directory.path(), steady_address()).await;
        let agixctl = Agixctl::new(directory.path(), control_plane.address);
        Self {
            proxies: Vec::new(),
            control_plane,
            mock,
            agixctl,
            directory,
        }
    }

    /// `policy` with the providers of its models at the mock.
    pub fn document(&self, policy: &str) -> String {
        document(&self.mock, policy)
    }

    /// Starts a proxy and waits until it is ready.
    pub async fn add_proxy(&mut self, settings: ProxySettings) -> &Proxy {
        let proxy = self.start_proxy(settings).await;
        proxy.ready().await;
        self.proxies.push(proxy);
        self.proxies.last().expect("one was just added")
    }

    /// Starts a proxy that may never become ready.
    pub async fn start_proxy(&self, mut settings: ProxySettings) -> Proxy {
        if settings.id.is_empty() {
            settings.id = format!("proxy-{}", self.proxies.len() + 1);
        }
        let control_plane = format!("http://{}", self.control_plane.address);
        Proxy::start(self.directory(), &control_plane, &settings).await
    }

    /// Ends the control plane with `kill -9`.
    pub fn kill_control_plane(&mut self) {
        self.control_plane.program.kill();
    }

    /// Starts the control plane again, where it was and with what it stored.
    pub async fn restart_control_plane(&mut self) {
        let address = self.control_plane.address;
        self.control_plane = ControlPlane::start(self.directory(), address).await;
    }

    /// The same with further environment variables.
    pub async fn restart_control_plane_with(&mut self, environment: &[(String, String)]) {
        let address = self.control_plane.address;
        self.kill_control_plane();
        self.control_plane = ControlPlane::start_with(self.directory(), address, environment).await;
    }

    /// A free address that stays free for a program that is started again.
    pub fn steady_address() -> SocketAddr {
        steady_address()
    }

    /// Calls the first proxy.
    ///
    /// # Panics
    /// There is none.
    pub fn caller(&self) -> Caller {
        let proxy = self.proxies.first().expect("a proxy");
        Caller::new(proxy.address)
    }

    /// The directory of this test.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// `policy` with the providers of its models at a mock.
pub fn document(mock: &MockProvider, policy: &str) -> String {
    let mock = mock.address();
    format!(
        r#"providers:
  openai: {{ api: openai, base_url: "http://{mock}/v1", api_key: {KEY} }}
  deepseek: {{ api: openai, base_url: "http://{mock}/v1", api_key: {KEY} }}
  anthropic: {{ api: anthropic, base_url: "http://{mock}", api_key: {KEY} }}
  gemini: {{ api: gemini, base_url: "http://{mock}/v1beta", api_key: {KEY} }}
{policy}
"#
    )
}

impl ControlPlane {
    /// Starts one whose store is in `directory`.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(directory: &Path, address: SocketAddr) -> Self {
        Self::start_with(directory, address, &[]).await
    }

    /// The same with further environment variables.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(
        directory: &Path,
        address: SocketAddr,
        environment: &[(String, String)],
    ) -> Self {
        let store = format!("embedded:{}", directory.join("store").display());
        let listen = address.to_string();
        let console = steady_address();
        let http = console.to_string();
        let listening = ["--listen", &listen, "--http", &http];
        let arguments = ["--admin", "127.0.0.1:0", "--store", &store];
        let arguments = listening.into_iter().chain(arguments);
        let mut program = Program::start("agix-control-plane", directory, arguments, environment);
        let [address, admin] = program.addresses().await[..] else {
            panic!("it listens on two addresses: {:?}", program.lines());
        };
        Self {
            address,
            admin,
            console,
            program,
        }
    }
}

impl Proxy {
    /// Starts one that knows `control_planes`, URLs separated by commas.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(directory: &Path, control_planes: &str, settings: &ProxySettings) -> Self {
        let listen = settings
            .listen
            .map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let mut arguments: Vec<String> = [
            "--listen",
            &listen,
            "--admin",
            "127.0.0.1:0",
            "--id",
            &settings.id,
            "--control-plane",
            control_planes,
        ]
        .map(str::to_owned)
        .into();
        if settings.snapshot {
            let file = directory.join(format!("{}.snapshot", settings.id));
            arguments.extend(["--snapshot".to_owned(), file.display().to_string()]);
        }
        if settings.journal {
            let file = directory.join(format!("{}.journal", settings.id));
            arguments.extend(["--journal".to_owned(), file.display().to_string()]);
        }
        arguments.extend(settings.arguments.iter().cloned());
        let mut program = Program::start("agix-proxy", directory, arguments, &settings.environment);
        let [address, admin] = program.addresses().await[..] else {
            panic!("a proxy listens on two addresses: {:?}", program.lines());
        };
        Self {
            address,
            admin,
            program,
            settings: settings.clone(),
        }
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// It is not in time.
    pub async fn ready(&self) {
        let admin = Caller::new(self.admin);
        until("the proxy is ready", PATIENCE, async || {
            let answer = admin.get("/readyz").await.ok()?;
            answer.status.is_success().then_some(())
        })
        .await;
    }
}

/// An address of this machine that a program keeps when it is started again.
///
/// # Panics
/// A bound socket has no address.
pub fn steady_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several test programs may run at once: each begins elsewhere, neighbours far apart.
    let process = std::process::id().wrapping_mul(131) % u32::from(PORTS);
    let process = u16::try_from(process).unwrap_or(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + process.wrapping_add(step) % PORTS;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("a bound address");
        }
    }
}
