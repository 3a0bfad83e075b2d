//! Running agixctl, and control planes and proxies to run it against.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agix_control_plane::{SealSource, StoreSpec};
use agix_core::id::ProxyId;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// What a run of agixctl left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Checks the exit code; shows everything if it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Checks that stdout has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no `{text}` in {self:#?}");
        self
    }

    /// Checks that stderr has this text.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in {self:#?}");
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {self:#?}"),
        }
    }
}

/// A run of agixctl to be made, in an environment without surprises.
pub(crate) fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agixctl"));
    command.args(args).env_clear().env("USER", "ada");
    command.stdin(Stdio::null());
    command
}

/// Runs agixctl.
pub(crate) fn agixctl<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    Ran::from(command(args).output().unwrap())
}

/// Runs agixctl with this text on its standard input.
pub(crate) fn agixctl_with<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, input: &str) -> Ran {
    let mut command = command(args);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    Ran::from(child.wait_with_output().unwrap())
}

/// A directory with policy files.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A control plane, and proxies if they are asked for, in this process.
pub(crate) struct Fleet {
    control: SocketAddr,
    shutdown: CancellationToken,
    control_plane: Option<agix_control_plane::Running>,
    proxies: Vec<agix_proxy::Running>,
    runtime: Runtime,
    pub(crate) files: Files,
}

impl Fleet {
    /// A control plane with nothing in its store.
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let shutdown = CancellationToken::new();
        let config = agix_control_plane::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            http: None,
            admin: None,
            store: StoreSpec::Memory,
            seal: SealSource::Own,
            tokens: None,
            advertise: None,
            tls: None,
        };
        let start = agix_control_plane::start(config, shutdown.clone());
        let control_plane = runtime.block_on(start).unwrap();
        Self {
            control: control_plane.address,
            shutdown,
            control_plane: Some(control_plane),
            proxies: Vec::new(),
            runtime,
            files: Files::new(),
        }
    }

    /// Adds a proxy of this name.
    pub(crate) fn proxy(&mut self, id: &str) {
        let any = || ([127, 0, 0, 1], 0).into();
        let config = agix_proxy::Config {
            control_planes: vec![format!("http://{}", self.control)].into(),
            proxy_id: Some(ProxyId::new(id).unwrap()),
            workers: std::num::NonZeroUsize::new(1),
            ..agix_proxy::Config::new(any(), any())
        };
        let start = agix_proxy::start(config, self.shutdown.clone());
        self.proxies.push(self.runtime.block_on(start).unwrap());
    }

    /// Asks a model through the first proxy, which must answer.
    pub(crate) fn ask(&self, agent: &str, model: &str) {
        let body = format!(
            r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}"#
        );
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: proxy\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nx-agent-name: {agent}\r\n\r\n\
             {body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.proxies[0].listen).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Runs agixctl against this control plane.
    pub(crate) fn agixctl(&self, args: &[&str]) -> Ran {
        agixctl(self.with_endpoint(args))
    }

    /// Applies a document with these further arguments.
    pub(crate) fn apply(&self, text: &str, args: &[&str]) -> Ran {
        let line: Vec<_> = ["apply", "-f", "-"]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        agixctl_with(self.with_endpoint(&line), text)
    }

    fn with_endpoint(&self, args: &[&str]) -> Vec<String> {
        let endpoint = format!("--endpoint=http://{}", self.control);
        let args = args.iter().map(|arg| (*arg).to_owned());
        args.chain([endpoint]).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shutdown.cancel();
        for proxy in self.proxies.drain(..) {
            self.runtime.block_on(proxy.stopped());
        }
        if let Some(control_plane) = self.control_plane.take() {
            self.runtime.block_on(control_plane.stopped());
        }
    }
}

/// The text of a policy with one rate limit.
pub(crate) fn limit(requests: u32) -> String {
    format!("rate_limits:\n  batch:\n    requests_per_minute: {requests}\n")
}
