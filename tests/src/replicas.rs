//! Several control planes over one etcd.

use std::net::SocketAddr;
use std::path::Path;

use crate::agixctl::Agixctl;
use crate::etcd::{Member, cluster};
use crate::program::Program;
use crate::test_bed::{Proxy, ProxySettings, steady_address};

/// The members of an etcd, the control planes over it and the proxies of these.
#[derive(Debug)]
pub struct Replicas {
    /// The etcd.
    pub members: Vec<Member>,
    /// The control planes, each at an address that it keeps.
    pub planes: Vec<Plane>,
    /// The proxies, which know all control planes.
    pub proxies: Vec<Proxy>,
}

/// One control plane.
#[derive(Debug)]
pub struct Plane {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub program: Program,
}

impl Replicas {
    /// `members` of an etcd and `planes` over it, with what they write in `directory`; no proxy yet.
    pub async fn start(directory: &Path, members: usize, planes: usize) -> Self {
        let mut replicas = Self {
            members: cluster(members, &[]).await,
            planes: Vec::new(),
            proxies: Vec::new(),
        };
        for _ in 0..planes {
            let plane = replicas.plane(directory, steady_address()).await;
            replicas.planes.push(plane);
        }
        replicas
    }

    /// Starts a control plane again that was killed.
    ///
    /// # Panics
    /// There is no such control plane.
    pub async fn restart(&mut self, directory: &Path, index: usize) {
        let address = self.planes.get(index).expect("a control plane").address;
        let again = self.plane(directory, address).await;
        if let Some(plane) = self.planes.get_mut(index) {
            *plane = again;
        }
    }

    /// Adds a proxy and waits until it is ready.
    pub async fn add_proxy(&mut self, directory: &Path) {
        let settings = ProxySettings {
            id: format!("proxy-{}", self.proxies.len() + 1),
            ..ProxySettings::default()
        };
        let proxy = Proxy::start(directory, &self.endpoints(), &settings).await;
        proxy.ready().await;
        self.proxies.push(proxy);
    }

    /// The addresses of all control planes, as proxies and agixctl take them.
    pub fn endpoints(&self) -> String {
        let urls = self
            .planes
            .iter()
            .map(|it| format!("http://{}", it.address));
        urls.collect::<Vec<_>>().join(",")
    }

    /// An operator who knows all control planes.
    pub fn agixctl(&self, home: &Path) -> Agixctl {
        Agixctl::at(home, self.endpoints())
    }

    /// The control plane that says, last of all, that it owns the ledger, among those that `lives`.
    pub fn ledger_owner(&self) -> Option<usize> {
        self.planes.iter().position(|plane| {
            let lines = plane.program.lines();
            let of_ledger = lines.iter().filter(|line| line.contains("the ledger"));
            let mut told = of_ledger
                .filter(|line| line.contains("is the owner") || line.contains("the ownership is"));
            told.next_back()
                .is_some_and(|line| line.contains("this control plane is the owner"))
        })
    }

    async fn plane(&self, directory: &Path, address: SocketAddr) -> Plane {
        let members: Vec<_> = self.members.iter().map(Member::url).collect();
        let store = format!("etcd:{}/agix", members.join(","));
        let listen = address.to_string();
        let arguments = ["--listen", &listen, "--store", &store];
        let mut program = Program::start("agix-control-plane", directory, arguments, &[]);
        let addresses = program.addresses().await;
        let address = *addresses.first().expect("an address");
        Plane { address, program }
    }
}
