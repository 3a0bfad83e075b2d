//! A network between the processes of a test that can be made to fail: each way is a small TCP proxy.
//!
//! A fault holds for everybody on a way, or for one process, which is known by the port it comes from.
//! Whose port that is is looked up once for each connection and process, and beside the thread that
//! carries: on a busy machine it takes long, and nobody else may wait for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

/// Bytes passed on at once.
const PIECE: usize = 16 * 1024;

/// All ways of a test. Dropped, they are gone.
#[derive(Debug)]
pub struct Network {
    runtime: Option<Runtime>,
    tasks: TaskTracker,
}

/// The way to one address.
#[derive(Debug)]
pub struct Way {
    /// Where it begins.
    pub address: SocketAddr,
    faults: watch::Sender<Faults>,
}

/// What is wrong with a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// What is said takes so long.
    Delay(Duration),
    /// Connections are reset, and new ones are too.
    Cut,
    /// Connections are there, and nothing passes.
    HalfOpen,
}

#[derive(Debug, Clone, Default)]
struct Faults {
    all: Fault,
    of: BTreeMap<u32, Fault>,
}

impl Network {
    /// No way yet.
    ///
    /// # Panics
    /// There is no thread for it.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("network")
            .enable_all()
            .build();
        Self {
            runtime: Some(runtime.expect("a thread for the network")),
            tasks: TaskTracker::new(),
        }
    }

    /// A way to `target`.
    ///
    /// # Panics
    /// No port is free.
    pub fn way(&self, target: SocketAddr) -> Way {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a bound address");
        let (faults, told) = watch::channel(Faults::default());
        let runtime: &Handle = self.runtime.as_ref().expect("it runs").handle();
        let tasks = self.tasks.clone();
        let accepting = async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((client, from)) = listener.accept().await {
                let its = Its {
                    faults: told.clone(),
                    port: from.port(),
                    known: Arc::default(),
                };
                tasks.spawn(carry(client, target, its));
            }
        };
        self.tasks.spawn_on(accepting, runtime);
        Way { address, faults }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Way {
    /// From now on this is wrong for everybody.
    pub fn fault(&self, fault: Fault) {
        self.faults.send_modify(|faults| faults.all = fault);
    }

    /// From now on this is wrong for the process `pid`.
    pub fn fault_of(&self, pid: u32, fault: Fault) {
        self.faults.send_modify(|faults| {
            faults.of.insert(pid, fault);
        });
    }

    /// Everything is well again.
    pub fn heal(&self) {
        self.faults.send_replace(Faults::default());
    }
}

/// What is wrong with one connection.
#[derive(Debug, Clone)]
struct Its {
    faults: watch::Receiver<Faults>,
    /// Where it comes from.
    port: u16,
    /// Processes that it is known to be of, or not of.
    known: Arc<Mutex<BTreeMap<u32, bool>>>,
}

impl Its {
    /// The fault from now on; a later one is a change.
    async fn fault(&mut self) -> Fault {
        let Faults { all, of } = self.faults.borrow_and_update().clone();
        for (pid, fault) in of {
            if self.is_of(pid).await {
                return fault;
            }
        }
        all
    }

    async fn is_of(&self, pid: u32) -> bool {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known().get(&pid).copied();
        if let Some(is_of) = before {
            return is_of;
        }
        let port = self.port;
        let is_of = spawn_blocking(move || has_port(pid, port)).await;
        let is_of = is_of.unwrap_or(false);
        known().insert(pid, is_of);
        is_of
    }
}

/// Whether a process holds the local end `port` of a TCP connection.
fn has_port(pid: u32, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let inode = table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (_, local) = fields.next()?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local, 16) == Ok(port);
        let inode = fields.nth(7)?;
        (is_it && inode != "0").then(|| format!("socket:[{inode}]"))
    });
    let Some(inode) = inode else { return false };
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let mut links = files.flatten().map(|file| std::fs::read_link(file.path()));
    links.any(|link| link.is_ok_and(|link| link.as_os_str() == inode.as_str()))
}

/// Carries one connection to `target`.
async fn carry(client: TcpStream, target: SocketAddr, mut its: Its) {
    loop {
        match its.fault().await {
            Fault::Cut => return reset(&client),
            Fault::HalfOpen => {
                if its.faults.changed().await.is_err() {
                    return;
                }
            }
            Fault::None | Fault::Delay(_) => break,
        }
    }
    let Ok(server) = TcpStream::connect(target).await else {
        return reset(&client);
    };
    for socket in [&client, &server] {
        drop(socket.set_nodelay(true));
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pass(from_client, to_server, its.clone());
    let back = pass(from_server, to_client, its);
    // One direction that ends because of a fault ends the other.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

/// Passes on what comes, for as long as nothing is cut.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut its: Its) {
    let mut piece = vec![0; PIECE];
    let mut fault = its.fault().await;
    loop {
        match fault {
            Fault::Cut => return reset(from.as_ref()),
            Fault::HalfOpen => {
                if its.faults.changed().await.is_err() {
                    return;
                }
                fault = its.fault().await;
                continue;
            }
            Fault::None | Fault::Delay(_) => {}
        }
        let read = tokio::select! {
            biased;
            changed = its.faults.changed() => {
                if changed.is_err() {
                    return;
                }
                fault = its.fault().await;
                continue;
            }
            read = from.read(&mut piece) => read,
        };
        let Some(bytes) = read.ok().and_then(|count| piece.get(..count)) else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        if let Fault::Delay(span) = fault {
            sleep(span).await;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Lets the other side see a broken connection, not an orderly end.
fn reset(socket: &TcpStream) {
    drop(socket.set_zero_linger());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_way_passes_hangs_heals_and_breaks() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Network::new();
        let way = network.way(server.local_addr().unwrap());
        let mut client = TcpStream::connect(way.address).await.unwrap();
        let (mut there, _) = server.accept().await.unwrap();
        let mut byte = [0];
        client.write_all(b"a").await.unwrap();
        there.read_exact(&mut byte).await.unwrap();
        // For another process nothing changes; for this one nothing passes.
        way.fault_of(1, Fault::Cut);
        client.write_all(b"b").await.unwrap();
        there.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        way.fault_of(std::process::id(), Fault::HalfOpen);
        client.write_all(b"c").await.unwrap();
        let hangs = tokio::time::timeout(Duration::from_millis(200), there.read_exact(&mut byte));
        assert!(hangs.await.is_err());
        way.heal();
        there.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"c");
        way.fault(Fault::Cut);
        assert!(client.read_exact(&mut byte).await.is_err());
        let mut refused = TcpStream::connect(way.address).await.unwrap();
        assert!(refused.read_exact(&mut byte).await.is_err());
    }
}
