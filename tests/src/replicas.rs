//! Several control planes over one etcd, their proxies, and the network between them.

use std::net::SocketAddr;
use std::path::Path;

use crate::agixctl::Agixctl;
use crate::authority::Authority;
use crate::etcd::{Member, cluster};
use crate::network::{Network, Way};
use crate::program::Program;
use crate::test_bed::{Proxy, ProxySettings, steady_address};

/// The key that all control planes of a test seal secrets with.
const SEAL_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The members of an etcd, the control planes over it and the proxies of these.
#[derive(Debug)]
pub struct Replicas {
    /// The etcd.
    pub members: Vec<Member>,
    /// The control planes, each at an address that it keeps.
    pub planes: Vec<Plane>,
    /// The proxies, which know all control planes.
    pub proxies: Vec<Proxy>,
    network: Network,
    authority: Option<Authority>,
}

/// One control plane.
#[derive(Debug)]
pub struct Plane {
    /// Where it listens.
    pub address: SocketAddr,
    /// The way that everybody takes to it.
    pub front: Way,
    /// The ways it takes to the members of the etcd.
    pub to_etcd: Vec<Way>,
    /// The process.
    pub program: Program,
    tls: Option<Vec<(String, String)>>,
}

impl Replicas {
    /// `members` of an etcd and `planes` over it, with what they write in `directory`; no proxy yet.
    pub async fn start(directory: &Path, members: usize, planes: usize) -> Self {
        Self::over(directory, cluster(members, &[]).await, planes).await
    }

    /// The same, speaking TLS with certificates of `authority`.
    pub async fn encrypted(directory: &Path, planes: usize, authority: Authority) -> Self {
        let members = cluster(1, &[]).await;
        Self::set_up(directory, members, planes, Some(authority)).await
    }

    /// `planes` control planes over the etcd of these members.
    pub async fn over(directory: &Path, members: Vec<Member>, planes: usize) -> Self {
        Self::set_up(directory, members, planes, None).await
    }

    async fn set_up(
        directory: &Path,
        members: Vec<Member>,
        planes: usize,
        authority: Option<Authority>,
    ) -> Self {
        let mut replicas = Self {
            members,
            planes: Vec::new(),
            proxies: Vec::new(),
            network: Network::new(),
            authority,
        };
        for _ in 0..planes {
            let plane = replicas.plane(directory).await;
            replicas.planes.push(plane);
        }
        replicas
    }

    /// Starts a control plane again that was killed.
    ///
    /// # Panics
    /// There is no such control plane.
    pub async fn restart(&mut self, directory: &Path, index: usize) {
        let plane = self.planes.get_mut(index).expect("a control plane");
        plane.program.kill();
        let tls = plane.tls.clone();
        plane.program = program(
            directory,
            plane.address,
            (&plane.front, &plane.to_etcd),
            tls,
        );
        plane.program.addresses().await;
    }

    /// Adds a proxy, at an address that it keeps, and waits until it is ready.
    pub async fn add_proxy(&mut self, directory: &Path) {
        let settings = ProxySettings {
            id: format!("proxy-{}", self.proxies.len() + 1),
            listen: Some(steady_address()),
            snapshot: true,
            journal: true,
            environment: self.client("proxy"),
            ..ProxySettings::default()
        };
        let proxy = Proxy::start(directory, &self.endpoints(), &settings).await;
        proxy.ready().await;
        self.proxies.push(proxy);
    }

    /// Ends a proxy with `kill -9` and starts it again, where it was and under its name.
    ///
    /// # Panics
    /// There is no such proxy.
    pub async fn restart_proxy(&mut self, directory: &Path, index: usize) {
        let endpoints = self.endpoints();
        let proxy = self.proxies.get_mut(index).expect("a proxy");
        proxy.program.kill();
        let settings = proxy.settings.clone();
        *proxy = Proxy::start(directory, &endpoints, &settings).await;
        proxy.ready().await;
    }

    /// The addresses of all control planes, as proxies and agixctl take them.
    pub fn endpoints(&self) -> String {
        let fronts = self.planes.iter().map(|it| it.front.address);
        let scheme = scheme(self.authority.is_some());
        let urls: Vec<_> = fronts.map(|front| format!("{scheme}://{front}")).collect();
        urls.join(",")
    }

    /// An operator who knows all control planes.
    pub fn agixctl(&self, home: &Path) -> Agixctl {
        Agixctl::at(home, self.endpoints()).with(&self.client("agixctl"))
    }

    /// What a client of that name needs in its environment to be let in.
    pub fn client(&self, name: &str) -> Vec<(String, String)> {
        let authority = self.authority.as_ref();
        authority.map_or_else(Vec::new, |authority| authority.client(name))
    }

    /// The control plane that says, last of all, that it owns the ledger.
    pub fn ledger_owner(&self) -> Option<usize> {
        self.ledger_owners().into_iter().next()
    }

    /// All that do: one that hangs has not noticed that it owns nothing any more.
    pub fn ledger_owners(&self) -> Vec<usize> {
        let owns = |plane: &Plane| {
            let lines = plane.program.lines();
            let of_ledger = lines.iter().filter(|line| line.contains("\"the ledger\""));
            let mut told = of_ledger
                .filter(|line| line.contains("is the owner") || line.contains("the ownership is"));
            told.next_back()
                .is_some_and(|line| line.contains("this control plane is the owner"))
        };
        let planes = self.planes.iter().enumerate();
        let owners = planes.filter(|(_, plane)| owns(plane));
        owners.map(|(place, _)| place).collect()
    }

    /// The member that leads the etcd.
    pub async fn etcd_leader(&self) -> Option<usize> {
        for (place, member) in self.members.iter().enumerate() {
            if member.leads().await {
                return Some(place);
            }
        }
        None
    }

    async fn plane(&self, directory: &Path) -> Plane {
        let address = steady_address();
        let front = self.network.way(address);
        let to = self.members.iter().map(Member::address);
        let to_etcd: Vec<Way> = to.map(|member| self.network.way(member)).collect();
        let name = format!("plane-{}", self.planes.len() + 1);
        let tls = self.authority.as_ref().map(|it| it.server(&name));
        let mut program = program(directory, address, (&front, &to_etcd), tls.clone());
        program.addresses().await;
        Plane {
            address,
            front,
            to_etcd,
            program,
            tls,
        }
    }
}

/// How addresses begin.
const fn scheme(is_encrypted: bool) -> &'static str {
    if is_encrypted { "https" } else { "http" }
}

fn program(
    directory: &Path,
    address: SocketAddr,
    (front, to_etcd): (&Way, &[Way]),
    tls: Option<Vec<(String, String)>>,
) -> Program {
    let members: Vec<_> = to_etcd
        .iter()
        .map(|way| format!("http://{}", way.address))
        .collect();
    let store = format!("etcd:{}/agix", members.join(","));
    let scheme = scheme(tls.is_some());
    let (listen, advertise) = (address.to_string(), format!("{scheme}://{}", front.address));
    let arguments = [
        "--listen",
        &listen,
        "--store",
        &store,
        "--advertise",
        &advertise,
    ];
    let mut environment = tls.unwrap_or_default();
    environment.push(("AGIX_SEAL_KEY".to_owned(), SEAL_KEY.to_owned()));
    Program::start("agix-control-plane", directory, arguments, &environment)
}
