//! Real etcd members, as processes: started in a directory of their own, killed, started again.
//!
//! The program is the machine's, or the one `scripts/test tools` fetches.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait::until;

/// The longest a member may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// One member of a cluster. Dropped, it is killed.
#[derive(Debug)]
pub struct Member {
    child: Child,
    name: String,
    /// What others find the cluster by.
    cluster: String,
    client: SocketAddr,
    peer: SocketAddr,
    /// Where clients ask it by TLS, for which the options name the files.
    tls: Option<SocketAddr>,
    options: Vec<String>,
    directory: TempDir,
}

impl Member {
    /// A cluster of one, with further `options`.
    pub async fn alone(options: &[&str]) -> Self {
        let mut members = cluster(1, options).await;
        members.pop().expect("a cluster of one has one")
    }

    /// Where clients ask it, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.client)
    }

    /// Where clients ask it by TLS, as a URL; only if the options say with which files.
    pub fn tls_url(&self) -> Option<String> {
        self.tls.map(|address| format!("https://{address}"))
    }

    /// Where it keeps its data and its log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where clients ask it.
    pub const fn address(&self) -> SocketAddr {
        self.client
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Stops it without ending it, as a machine that hangs does.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it in an orderly way.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        until("etcd ends", PATIENCE, async || {
            self.child.try_wait().expect("the state of a child")
        })
        .await;
    }

    /// Starts it again after it ended, with what it had stored.
    pub async fn start_again(&mut self) {
        self.child = self.spawn();
        self.healthy().await;
    }

    /// Whether it leads its cluster.
    pub async fn leads(&self) -> bool {
        let metrics = self.get("/metrics").await.unwrap_or_default();
        metrics
            .lines()
            .any(|line| line == "etcd_server_is_leader 1")
    }

    async fn healthy(&mut self) {
        until("etcd is healthy", PATIENCE, async || {
            let ended = self.child.try_wait().expect("the state of a child");
            assert!(ended.is_none(), "etcd ended: {ended:?}; {}", self.log());
            let answer = self.get("/health").await?;
            answer.contains("\"true\"").then_some(())
        })
        .await;
    }

    /// Asks it by its JSON gateway.
    ///
    /// # Panics
    /// It does not answer, or not with JSON.
    pub async fn ask(&self, path: &str, question: &Value) -> Value {
        let body = question.to_string();
        let mut stream = TcpStream::connect(self.client)
            .await
            .expect("etcd is there");
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        for bytes in [head.as_bytes(), body.as_bytes()] {
            stream.write_all(bytes).await.expect("etcd reads");
        }
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("etcd answers");
        let json = answer.split_once("\r\n\r\n").map(|(_, json)| json);
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_else(|| panic!("no JSON: {answer}"))
    }

    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.client).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: etcd\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    fn spawn(&self) -> Child {
        let (client, peer) = (self.url(), format!("http://{}", self.peer));
        let listen = match self.tls_url() {
            Some(tls) => format!("{client},{tls}"),
            None => client.clone(),
        };
        let log = std::fs::File::create(self.directory.path().join("log")).expect("a log");
        Command::new(program())
            .args(["--name", &self.name])
            .args(["--initial-cluster", &self.cluster])
            .args(["--listen-client-urls", &listen])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(&self.options)
            .arg("--data-dir")
            .arg(self.directory.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("etcd runs");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A cluster of `count` members, up and healthy.
///
/// # Panics
/// There is no etcd on this machine, or it does not start.
pub async fn cluster(count: usize, options: &[&str]) -> Vec<Member> {
    let addresses: Vec<_> = (0..count).map(|_| (free(), free())).collect();
    let listed = addresses.iter().enumerate();
    let listed: Vec<_> = listed
        .map(|(place, (_, peer))| format!("m{place}=http://{peer}"))
        .collect();
    let listed = listed.join(",");
    let mut members = Vec::with_capacity(count);
    for (place, (client, peer)) in addresses.into_iter().enumerate() {
        let mut member = Member {
            child: Command::new("true").spawn().expect("a command"),
            name: format!("m{place}"),
            cluster: listed.clone(),
            client,
            peer,
            tls: options.contains(&"--cert-file").then(free),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            directory: TempDir::new().expect("a directory"),
        };
        drop(member.child.wait());
        member.child = member.spawn();
        members.push(member);
    }
    for member in &mut members {
        member.healthy().await;
    }
    members
}

/// An address nobody listens on.
fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("the port")
}

fn program() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/etcd-server/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([fetched]);
    let mut programs = places.map(|place| place.join("etcd"));
    programs
        .find(|program| program.is_file())
        .expect("etcd is needed: `scripts/test tools` fetches it, or install it")
}
