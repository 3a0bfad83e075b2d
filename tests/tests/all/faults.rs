//! Three members of etcd, three control planes, four proxies and agents that ask all the time: each
//! process may die, hang or be cut off, and no request is lost and no limit or budget exceeded.
//!
//! `AGIX_TEST_FAULTS` says how often each fault is made; the default keeps the test short.
//! `AGIX_TEST_HISTORY` names a directory for what every request came to.

use std::time::Duration;

use agix_tests::agixctl::Agixctl;
use agix_tests::caller::Caller;
use agix_tests::history::{Agent, Excuse, History};
use agix_tests::mock_provider::{MockProvider, Reply, Usage};
use agix_tests::network::Fault;
use agix_tests::replicas::Replicas;
use agix_tests::test_bed::{KEY, document};
use agix_tests::wait::until;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

/// The longest anything may take to be well again.
const PATIENCE: Duration = Duration::from_secs(40);
/// What the limited agent may ask in a minute.
const PER_MINUTE: usize = 30;
/// A minute, less the time a call may take from its admission to the provider.
const WINDOW: Duration = Duration::from_secs(57);
/// What one call of the spender costs, in nano-dollars.
const CALL: u64 = 2_000_000;

const AGENTS: [Agent; 5] = [
    agent("free", 150, false, false),
    agent("paced", 150, false, true),
    agent("open", 300, false, false),
    agent("limited", 500, true, true),
    agent("spender", 300, true, true),
];

const fn agent(name: &'static str, pause_ms: u64, is_limited: bool, needs_ledger: bool) -> Agent {
    Agent {
        name,
        pause: Duration::from_millis(pause_ms),
        is_limited,
        needs_ledger,
    }
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    KillOwner,
    KillFollower,
    KillEtcdLeader,
    PauseOwner,
    CutOwnerFromEtcd,
    CutProxy,
    NoControlPlane,
}

const KINDS: [Kind; 7] = [
    Kind::KillOwner,
    Kind::KillFollower,
    Kind::KillEtcdLeader,
    Kind::PauseOwner,
    Kind::CutOwnerFromEtcd,
    Kind::CutProxy,
    Kind::NoControlPlane,
];

struct Drill {
    home: TempDir,
    bed: Replicas,
    mock: MockProvider,
    agixctl: Agixctl,
    history: History,
    excuses: Vec<Excuse>,
    /// The newest revision seen at each proxy.
    revisions: Vec<u64>,
    rounds: usize,
    applied: usize,
    kills: usize,
    /// How long the ledger was without an owner, by fault.
    takeovers: Vec<(Kind, u64)>,
}

fn rounds() -> usize {
    let text = std::env::var("AGIX_TEST_FAULTS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// How long all control planes are down.
fn outage() -> Duration {
    Duration::from_secs(if rounds() > 1 { 60 } else { 12 })
}

fn policy(rounds: usize, change: usize) -> String {
    let model = |agent: &Agent| {
        let name = agent.name;
        format!("  model-{name}: {{ provider: openai, price: {{ input: 1, output: 10 }} }}")
    };
    let models = AGENTS.each_ref().map(model).join("\n");
    let budget = 0.2 * f64::from(u32::try_from(rounds).unwrap());
    format!(
        "failover: {{ same_model_retries: 0 }}
models:
{models}
rate_limits:
  paced: {{ requests_per_minute: 30000 }}
  open: {{ requests_per_minute: 30000, on_outage: allow }}
  limited: {{ requests_per_minute: {PER_MINUTE} }}
  changing: {{ requests_per_minute: {} }}
budgets:
  spender: {{ daily_limit_usd: {budget} }}
",
        change + 1
    )
}

impl Drill {
    async fn begin() -> Self {
        let rounds = rounds();
        let home = tempfile::tempdir().unwrap();
        let mock = MockProvider::start().unwrap();
        mock.accept_only(KEY);
        for agent in AGENTS {
            let reply = Reply {
                usage: Some(Usage {
                    input: 1_000,
                    output: 100,
                    ..Usage::default()
                }),
                ..Reply::default()
            };
            mock.reply(&format!("model-{}", agent.name), reply);
        }
        let mut bed = Replicas::start(home.path(), 3, 3).await;
        let agixctl = bed.agixctl(home.path());
        let first = document(&mock, &policy(rounds, 0));
        agixctl.apply(&first, &[]).await;
        for _ in 0..4 {
            bed.add_proxy(home.path()).await;
        }
        let proxies: Vec<_> = bed.proxies.iter().map(|it| it.address).collect();
        Self {
            history: History::begin(&AGENTS, &proxies),
            home,
            bed,
            mock,
            agixctl,
            excuses: Vec::new(),
            revisions: vec![0; proxies.len()],
            rounds,
            applied: 0,
            kills: 0,
            takeovers: Vec::new(),
        }
    }

    /// Lets time pass, and looks at the proxies meanwhile.
    async fn pass(&mut self, time: Duration) {
        let end = self.history.now_ms() + u64::try_from(time.as_millis()).unwrap();
        while self.history.now_ms() < end {
            self.look().await;
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// No proxy's revision goes back.
    async fn look(&mut self) {
        for (proxy, newest) in self.bed.proxies.iter().zip(&mut self.revisions) {
            let Ok(metrics) = Caller::new(proxy.admin).get("/metrics").await else {
                continue;
            };
            let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
            let line = metrics
                .lines()
                .find_map(|line| line.strip_prefix("agix_policy_revision "));
            let revision = line.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
            assert!(
                revision >= *newest || revision == 0,
                "{}: {revision} after {newest}",
                proxy.settings.id
            );
            *newest = revision.max(*newest);
        }
    }

    /// A moment nobody can foresee.
    async fn some_time(&mut self) {
        let time = Duration::from_millis(fastrand::u64(200..2_000));
        self.pass(time).await;
    }

    async fn owner(&mut self) -> usize {
        until("the ledger has an owner", PATIENCE, async || {
            self.bed.ledger_owner()
        })
        .await
    }

    /// Waits until another control plane owns the ledger.
    async fn another_owner(&mut self, kind: Kind, than: usize) {
        let since = self.history.now_ms();
        until(
            "another control plane owns the ledger",
            PATIENCE,
            async || {
                let others = self.bed.ledger_owners();
                others.into_iter().find(|owner| *owner != than)
            },
        )
        .await;
        self.takeovers.push((kind, self.history.now_ms() - since));
    }

    async fn restart(&mut self, plane: usize) {
        self.bed.restart(self.home.path(), plane).await;
    }

    async fn change_policy(&mut self) {
        self.applied += 1;
        let changed = document(&self.mock, &policy(self.rounds, self.applied));
        self.agixctl.apply(&changed, &[]).await;
    }

    async fn suffer(&mut self, kind: Kind) {
        self.some_time().await;
        let owner = self.owner().await;
        match kind {
            Kind::KillOwner => {
                self.bed.planes[owner].program.kill();
                self.kills += 1;
                self.another_owner(kind, owner).await;
                self.some_time().await;
                self.restart(owner).await;
            }
            Kind::KillFollower => {
                let follower = (owner + 1) % self.bed.planes.len();
                self.bed.planes[follower].program.kill();
                self.kills += 1;
                self.some_time().await;
                self.restart(follower).await;
            }
            Kind::KillEtcdLeader => {
                let leader = self.bed.etcd_leader().await.expect("etcd has a leader");
                self.bed.members[leader].kill();
                self.kills += 1;
                self.pass(Duration::from_secs(4)).await;
                self.bed.members[leader].start_again().await;
            }
            Kind::PauseOwner => {
                self.bed.planes[owner].program.pause();
                self.another_owner(kind, owner).await;
                self.pass(Duration::from_secs(9)).await;
                self.bed.planes[owner].program.resume();
            }
            Kind::CutOwnerFromEtcd => {
                let fault = [Fault::Cut, Fault::HalfOpen][self.kills % 2];
                for way in &self.bed.planes[owner].to_etcd {
                    way.fault(fault);
                }
                self.another_owner(kind, owner).await;
                self.some_time().await;
                for way in &self.bed.planes[owner].to_etcd {
                    way.heal();
                }
            }
            Kind::CutProxy => self.cut_proxy().await,
            Kind::NoControlPlane => self.outage().await,
        }
        self.change_policy().await;
        self.pass(Duration::from_secs(2)).await;
        self.history.read(&self.mock);
    }

    /// One proxy reaches no control plane for a while.
    async fn cut_proxy(&mut self) {
        let proxy = fastrand::usize(..self.bed.proxies.len());
        let pid = self.bed.proxies[proxy].program.id();
        let fault = [Fault::Cut, Fault::HalfOpen][fastrand::usize(..2)];
        let from = self.history.now_ms();
        for plane in &self.bed.planes {
            plane.front.fault_of(pid, fault);
        }
        self.pass(Duration::from_secs(15)).await;
        for plane in &self.bed.planes {
            plane.front.heal();
        }
        self.connected().await;
        self.excuses.push(Excuse {
            time: from..self.history.now_ms(),
            proxy: Some(proxy),
            only_ledger: true,
        });
    }

    /// All control planes are down, and a proxy is killed and starts from its snapshot meanwhile.
    async fn outage(&mut self) {
        let from = self.history.now_ms();
        for plane in &mut self.bed.planes {
            plane.program.kill();
            self.kills += 1;
        }
        self.pass(outage() / 2).await;
        let proxy = fastrand::usize(..self.bed.proxies.len());
        let killed = self.history.now_ms();
        self.bed.restart_proxy(self.home.path(), proxy).await;
        self.kills += 1;
        self.excuses.push(Excuse {
            time: killed..self.history.now_ms(),
            proxy: Some(proxy),
            only_ledger: false,
        });
        self.pass(outage() / 2).await;
        for plane in 0..self.bed.planes.len() {
            self.restart(plane).await;
        }
        self.connected().await;
        self.excuses.push(Excuse {
            time: from..self.history.now_ms(),
            proxy: None,
            only_ledger: true,
        });
    }

    /// Waits until every proxy has its ledger.
    async fn connected(&mut self) {
        for proxy in &self.bed.proxies {
            let admin = Caller::new(proxy.admin);
            until("a proxy has its ledger", PATIENCE, async || {
                let metrics = admin.get("/metrics").await.ok()?;
                let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
                metrics.contains("agix_ledger_connected 1").then_some(())
            })
            .await;
        }
    }

    async fn end(mut self) {
        self.history.end().await;
        self.connected().await;
        self.history.read(&self.mock);
        let spent = self.history.billed("spender", 1, 10);
        let limit = CALL * 100 * u64::try_from(self.rounds).unwrap();
        let admitted = self.history.most_calls("limited", WINDOW);
        self.history.note(&format!(
            "faults: {} of each kind, {} kills; requests: {} {:?}; the longest success took {} ms; \
             spent {spent} of {limit} nano-dollars; {admitted} of {PER_MINUTE} calls a minute; \
             takeovers in ms: {:?}",
            self.rounds,
            self.kills,
            self.history.count(),
            self.history.statuses(),
            self.history.longest_ms(),
            self.takeovers,
        ));
        self.history.write();
        let lost = self.history.lost(&AGENTS, &self.excuses);
        assert!(lost.is_empty(), "{} lost: {lost:#?}", lost.len());
        assert!(spent <= limit, "{spent} of {limit}");
        assert!(admitted <= PER_MINUTE, "{admitted} of {PER_MINUTE}");
        let verified = self.agixctl.json(&["ledger", "verify"]).await;
        assert_eq!(verified["findings"], json!([]), "{verified}");
    }
}

#[tokio::test]
async fn any_process_may_die_hang_or_be_cut_off() {
    let mut drill = Drill::begin().await;
    for round in 0..drill.rounds {
        for kind in KINDS {
            let from = drill.history.now_ms();
            drill.suffer(kind).await;
            let lost = drill.history.lost(&AGENTS, &drill.excuses);
            let now = drill.history.now_ms();
            let lost = lost.len();
            let note = format!("{round} {kind:?}: {from}..{now} ms, {lost} lost so far");
            drill.history.note(&note);
        }
    }
    drill.end().await;
}
