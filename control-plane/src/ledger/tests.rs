//! Tests of the driver: proxies that use what they are told, over stores that fail.

mod crash;
mod owners;
mod snapshots;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agix_core::id::{AgentName, ModelName, ProxyId};
use agix_core::ledger::Books;
use agix_core::policy::{Budget, Enforcement, Policy, RateLimits, TimeZoneName};
use agix_core::quota::{
    AgentReport, Day, FromLedger, Hello, MoneyReport, PoolReport, PurseReport, Report, SessionId,
    ToLedger, UsageReport, Use,
};
use agix_core::time::Mono;
use agix_core::units::{MoneyLimit, NanoUsd, RequestLimit};
use agix_core::usage::UsageTotals;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::load::Loaded;
use super::*;
use crate::clock::Clock;
use crate::owned::{Listener, Speaker, StreamEnd};
use crate::repository::Repository;
use crate::store::keyspace::Key;
use crate::store::{Memory, Store};

const AGENTS: u32 = 3;
/// Longer than anything takes that is not broken.
const LONG: Duration = Duration::from_secs(5);

/// A control plane as far as the ledger is concerned.
struct Plane {
    desk: LedgerDesk,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Plane {
    /// Over `store`; a snapshot is written after `log_bound` bytes.
    async fn start<S: Store>(store: S, name: &str, log_bound: u64) -> Self {
        let repository = Repository::of(policy()).await;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (driver, desk) = LedgerDriver::new(
            store,
            SHARD,
            name,
            repository.subscribe(),
            Clock::start(),
            (tasks.clone(), stop.clone()),
        );
        let driver = driver.with_log_bound(log_bound);
        tasks.spawn(driver.run());
        tasks.close();
        Self { desk, tasks, stop }
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    async fn books(&self) -> Books {
        let looked = self.desk.look(|view| view.ledger.books().clone()).await;
        let mut books = looked.unwrap();
        advance(&mut books);
        books
    }
}

/// Lets go of what has cooled, which the books in use may have done at other moments.
fn advance(books: &mut Books) {
    let time = books.time;
    for agent in books.agents.values_mut() {
        Arc::make_mut(agent).advance(time);
    }
}

/// The books in the store.
async fn stored<S: Store>(store: &S) -> Loaded {
    let mut loaded = Loaded::read(store.clone(), SHARD).await.unwrap();
    advance(&mut loaded.books);
    loaded
}

/// Checks that the books in use and those in the store are right and the same.
async fn check<S: Store>(store: &S, plane: &Plane) -> Verification {
    let verified = verify(store.clone(), SHARD, &plane.desk).await.unwrap();
    assert_eq!(verified.findings, []);
    assert_eq!(stored(store).await.books, plane.books().await);
    verified
}

/// Ends the ownership of whoever has it, as its silence would.
async fn expire<S: Store>(store: &S) {
    let owner = Key::ShardOwner(SHARD).encode();
    if let Some(entry) = store.get(&owner).await.unwrap() {
        store.revoke(entry.lease.unwrap()).await.unwrap();
    }
}

fn agent(number: u32) -> AgentName {
    AgentName::new(&format!("agent-{number}")).unwrap()
}

fn policy() -> Policy {
    let limits = RateLimits {
        requests_per_minute: RequestLimit::new(100_000),
        ..RateLimits::default()
    };
    let budget = Budget {
        daily: MoneyLimit::from_nanos(1_000_000_000_000),
        monthly: None,
        alert_at_percent: std::collections::BTreeSet::new(),
        alert_webhook: agix_core::id::WebhookName::budget_alert(),
        timezone: TimeZoneName::default(),
        enforcement: Enforcement::Hard,
        on_outage: None,
    };
    Policy {
        rate_limits: (0..AGENTS).map(|n| (agent(n), limits)).collect(),
        budgets: (0..AGENTS).map(|n| (agent(n), budget.clone())).collect(),
        ..Policy::default()
    }
}

/// What a proxy was told, and what it did.
#[derive(Debug, Clone, Default)]
struct Account {
    today: Option<Day>,
    granted: u64,
    used: u64,
    used_told: u64,
    escrow: NanoUsd,
    spent: NanoUsd,
    spent_told: NanoUsd,
}

/// A proxy that uses what it is granted, as chance wants it.
struct Proxy {
    speaker: Speaker<desk::Request>,
    listener: Listener<FromLedger>,
    session: SessionId,
    reports: u64,
    confirmed: u64,
    accounts: BTreeMap<AgentName, Account>,
    random: fastrand::Rng,
}

impl Proxy {
    /// A new session; nothing if the ledger is silent.
    async fn new(plane: &Plane, id: &str) -> Option<Self> {
        let (speaker, listener) = plane.desk.desk().open().await.ok()?;
        let mut proxy = Self {
            speaker,
            listener,
            session: SessionId::new(0),
            reports: 0,
            confirmed: 0,
            accounts: BTreeMap::new(),
            random: fastrand::Rng::with_seed(7),
        };
        let hello = Hello {
            proxy: ProxyId::new(id).unwrap(),
            incarnation: 1,
            resume: None,
            sent: Mono::from_nanos(1),
        };
        proxy.speaker.say(ToLedger::Hello(hello)).await;
        match proxy.told().await?.unwrap() {
            FromLedger::Welcome { session, .. } => proxy.session = session,
            other => panic!("{other:?}"),
        }
        Some(proxy)
    }

    /// What the ledger says next; nothing if it is silent.
    async fn told(&mut self) -> Option<Result<FromLedger, StreamEnd>> {
        timeout(LONG, self.listener.next()).await.ok().flatten()
    }

    /// Reports what was done, and waits until it is confirmed; false: the ledger is silent.
    async fn step(&mut self) -> bool {
        self.reports += 1;
        let agents = (0..AGENTS).map(|n| self.use_some(agent(n))).collect();
        let usage = (0..AGENTS).filter_map(|n| self.usage(agent(n))).collect();
        let report = Report {
            session: self.session,
            number: self.reports,
            sent: Mono::from_nanos(self.reports),
            agents,
            usage,
            past: Vec::new(),
        };
        if !self.speaker.say(ToLedger::Report(report)).await {
            return false;
        }
        while self.confirmed < self.reports {
            match self.told().await {
                Some(Ok(message)) => self.learn(message),
                Some(Err(_)) | None => return false,
            }
        }
        true
    }

    fn learn(&mut self, message: FromLedger) {
        let FromLedger::Update(update) = message else {
            panic!("{message:?}");
        };
        self.confirmed = update.confirmed.into_iter().fold(self.confirmed, u64::max);
        for told in update.agents {
            let account = self.accounts.entry(told.agent).or_default();
            if let Some(requests) = told.requests {
                account.granted = account.granted.max(requests.granted);
                account.used_told = account.used_told.max(requests.used);
            }
            if let Some(money) = told.money {
                account.today = Some(money.today);
                for purse in money.purses {
                    account.escrow = account.escrow.max(purse.granted);
                    account.spent_told = account.spent_told.max(purse.spent);
                }
            }
        }
    }

    fn use_some(&mut self, agent: AgentName) -> AgentReport {
        let account = self.accounts.entry(agent.clone()).or_default();
        let used = self.random.u64(0..=account.granted - account.used);
        account.used += used;
        let left = account.escrow.as_nanos() - account.spent.as_nanos();
        let spent = account.spent.as_nanos() + self.random.u64(0..=left);
        account.spent = NanoUsd::from_nanos(spent);
        let age = Duration::from_micros(self.random.u64(0..1_000));
        let requests = PoolReport {
            used: account.used,
            uses: vec![Use { age, count: used }],
            waiting: self.random.u64(0..20),
            ..PoolReport::default()
        };
        let purse = account.today.map(|day| PurseReport {
            day,
            spent: account.spent,
            released: NanoUsd::ZERO,
            reserved: NanoUsd::ZERO,
        });
        let money = MoneyReport {
            purses: purse.into_iter().collect(),
            waiting: NanoUsd::from_nanos(self.random.u64(0..1_000_000)),
            ..MoneyReport::default()
        };
        AgentReport {
            agent,
            requests: Some(requests),
            tokens: None,
            slots: None,
            money: Some(money),
            recall_seen: 0,
        }
    }

    fn usage(&self, agent: AgentName) -> Option<UsageReport> {
        let account = self.accounts.get(&agent)?;
        Some(UsageReport {
            session: self.session,
            model: ModelName::new("gpt-4o").unwrap(),
            day: Some(account.today?),
            totals: UsageTotals {
                requests: account.used,
                cost: account.spent,
                ..UsageTotals::default()
            },
            agent,
        })
    }

    /// Checks that everything the proxy was told is in the books.
    fn check(&self, books: &Books) {
        let told = |account: &Account| account.granted > 0 || account.today.is_some();
        for (agent, account) in self.accounts.iter().filter(|(_, it)| told(it)) {
            let of_agent = &books.agents[agent];
            let held = of_agent.requests_held.get(&self.session).copied();
            let held = held.unwrap_or_default();
            assert!(held.granted >= account.granted && held.used >= account.used_told);
            let Some(day) = account.today else { continue };
            let purse = of_agent.purses.get(&day);
            let part = purse
                .and_then(|purse| purse.parts.get(&self.session))
                .copied();
            let part = part.unwrap_or_default();
            assert!(part.granted >= account.escrow && part.spent >= account.spent_told);
            assert!(part.spent <= account.spent, "nothing is spent twice");
        }
    }
}

#[tokio::test]
async fn what_was_told_is_in_the_log_and_replays_to_the_same_books() {
    let store = Memory::default();
    let plane = Plane::start(store.clone(), "one", u64::MAX / 4).await;
    let mut one = Proxy::new(&plane, "one").await.unwrap();
    let mut two = Proxy::new(&plane, "two").await.unwrap();
    for _ in 0..50 {
        assert!(one.step().await && two.step().await);
    }
    let verified = check(&store, &plane).await;
    assert_eq!(verified.snapshot_batch, 0);
    let loaded = stored(&store).await;
    assert!(loaded.batches >= 50 && loaded.batches == loaded.books.number);
    let spent: u64 = [&one, &two]
        .into_iter()
        .flat_map(|proxy| proxy.accounts.values())
        .map(|account| account.spent.as_nanos())
        .sum();
    assert!(spent > 0);
    assert_eq!(verified.sums.money.spent.as_nanos(), spent);
    assert_eq!(verified.usage_cost.as_nanos(), spent_in_usage(&one, &two));
    for proxy in [&one, &two] {
        proxy.check(&loaded.books);
    }
    plane.stopped().await;
}

/// The usage reports tell what was spent before the first money came, too.
fn spent_in_usage(one: &Proxy, two: &Proxy) -> u64 {
    [one, two]
        .into_iter()
        .flat_map(|proxy| (0..AGENTS).filter_map(|n| proxy.usage(agent(n))))
        .map(|usage| usage.totals.cost.as_nanos())
        .sum()
}

#[tokio::test]
async fn stopping_commits_what_waits_and_gives_the_ledger_up() {
    let store = Memory::default();
    let plane = Plane::start(store.clone(), "one", u64::MAX / 4).await;
    let mut proxy = Proxy::new(&plane, "one").await.unwrap();
    assert!(proxy.step().await);
    plane.stop.cancel();
    plane.tasks.wait().await;
    while let Some(told) = proxy.told().await {
        match told {
            Ok(message) => proxy.learn(message),
            Err(end) => assert_eq!(end, StreamEnd::Stopping),
        }
    }
    let owner = Key::ShardOwner(SHARD).encode();
    assert_eq!(store.get(&owner).await.unwrap(), None);
    proxy.check(&stored(&store).await.books);
    assert_eq!(plane.desk.look(|_| ()).await, Err(NotServed::Stopping));
}
