//! The streams on which proxies get rights, and what an operator sees of it.

use agix_core::id::{AgentName, ModelName, ProxyId};
use agix_core::quota::{
    AgentReport, AgentUpdate, Day, FromLedger, Hello, MoneyReport, PoolReport, PurseReport, Report,
    SessionId, ToLedger, Update, UsageReport, Use,
};
use agix_core::time::Mono;
use agix_core::units::NanoUsd;
use agix_core::usage::UsageTotals;
use agix_proto::v1;
use agix_proto::v1::ledger_admin_client::LedgerAdminClient;
use agix_proto::v1::quota_client::QuotaClient;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::plane::{Operator, Plane};

/// `batch` may send five requests a minute and spend ten dollars a day.
pub(crate) const POLICY: &str = "\
rate_limits:
  batch: { requests_per_minute: 5 }
budgets:
  batch: { daily_limit_usd: 10.0, alert_at_percent: 80 }
";

pub(crate) const DOLLAR: u64 = 1_000_000_000;

/// A proxy that asks for rights.
pub(crate) struct Asking {
    sender: mpsc::Sender<v1::QuotaRequest>,
    stream: Streaming<v1::QuotaResponse>,
    session: SessionId,
    reports: u64,
    today: Option<Day>,
}

impl Asking {
    /// A stream on which nothing was said.
    async fn silent(plane: &Operator) -> Result<Self, Status> {
        let (sender, receiver) = mpsc::channel(8);
        let mut client = QuotaClient::new(plane.channel.clone());
        let stream = client.session(ReceiverStream::new(receiver)).await?;
        Ok(Self {
            sender,
            stream: stream.into_inner(),
            session: SessionId::new(0),
            reports: 0,
            today: None,
        })
    }

    /// A new session of the proxy `id`.
    pub(crate) async fn new(plane: &Operator, id: &str) -> Self {
        let mut asking = Self::silent(plane).await.unwrap();
        let resumed = asking.hello(id, None).await;
        assert!(!resumed);
        asking
    }

    async fn hello(&mut self, id: &str, resume: Option<SessionId>) -> bool {
        self.say(&ToLedger::Hello(Hello {
            proxy: ProxyId::new(id).unwrap(),
            incarnation: 1,
            resume,
            sent: Mono::from_nanos(7),
        }))
        .await;
        match self.told().await.unwrap() {
            FromLedger::Welcome {
                session,
                resumed,
                sent,
                term,
            } => {
                assert!(sent == Mono::from_nanos(7) && term.number() > 0);
                self.session = session;
                resumed
            }
            other => panic!("{other:?}"),
        }
    }

    async fn say(&self, message: &ToLedger) {
        self.sender.send(message.into()).await.unwrap();
    }

    async fn told(&mut self) -> Result<FromLedger, Status> {
        let message = self.stream.message().await?.expect("the stream ended");
        Ok(message.try_into().unwrap())
    }

    async fn update(&mut self) -> Update {
        match self.told().await.unwrap() {
            FromLedger::Update(update) => update,
            other => panic!("{other:?}"),
        }
    }

    /// Has two dollars set aside.
    pub(crate) async fn fill(&mut self) {
        let granted = self.report(waiting(), Vec::new()).await;
        self.today = Some(granted.money.unwrap().today);
    }

    /// Reports, and waits until the ledger has taken it in.
    async fn report(&mut self, agent: AgentReport, usage: Vec<UsageReport>) -> AgentUpdate {
        self.reports += 1;
        let report = Report {
            session: self.session,
            number: self.reports,
            sent: Mono::from_nanos(self.reports),
            agents: vec![agent],
            usage,
            past: Vec::new(),
        };
        self.say(&ToLedger::Report(report)).await;
        loop {
            let update = self.update().await;
            if update.confirmed.contains(&self.reports) && !update.agents.is_empty() {
                return update.agents.into_iter().next().unwrap();
            }
        }
    }
}

fn batch() -> AgentName {
    AgentName::new("batch").unwrap()
}

fn agent(requests: PoolReport, money: MoneyReport) -> AgentReport {
    AgentReport {
        agent: batch(),
        requests: Some(requests),
        tokens: None,
        slots: None,
        money: Some(money),
        recall_seen: 0,
    }
}

/// Two requests are waiting, and two dollars.
fn waiting() -> AgentReport {
    let requests = PoolReport {
        waiting: 2,
        ..PoolReport::default()
    };
    let money = MoneyReport {
        waiting: NanoUsd::from_nanos(2 * DOLLAR),
        first: NanoUsd::from_nanos(DOLLAR),
        ..MoneyReport::default()
    };
    agent(requests, money)
}

fn admin(plane: &Operator) -> LedgerAdminClient<Channel> {
    LedgerAdminClient::new(plane.channel.clone())
}

async fn standing(plane: &Operator) -> v1::AgentStanding {
    let answer = admin(plane)
        .list_agents(v1::ListAgentsRequest::default())
        .await;
    let answer = answer.unwrap().into_inner();
    assert_eq!((answer.agents.len(), answer.left_out), (1, 0));
    answer.agents.into_iter().next().unwrap()
}

pub(crate) async fn verified(plane: &Operator) -> v1::VerifyResponse {
    let answer = admin(plane).verify(v1::VerifyRequest {}).await;
    let verified = answer.unwrap().into_inner();
    assert_eq!(verified.findings, []);
    verified
}

/// Spends a cent more of what it may; says how much the ledger knows to be spent then, unless it is
/// gone.
pub(crate) async fn spend_a_cent(asking: &mut Asking) -> Option<u64> {
    asking.reports += 1;
    let day = asking.today.unwrap();
    let purse = PurseReport {
        day,
        spent: NanoUsd::from_nanos(asking.reports * DOLLAR / 100),
        released: NanoUsd::ZERO,
        reserved: NanoUsd::ZERO,
    };
    let money = MoneyReport {
        purses: vec![purse],
        ..MoneyReport::default()
    };
    let report = Report {
        session: asking.session,
        number: asking.reports,
        sent: Mono::from_nanos(asking.reports),
        agents: vec![agent(PoolReport::default(), money)],
        usage: Vec::new(),
        past: Vec::new(),
    };
    let report = ToLedger::Report(report);
    asking.sender.send((&report).into()).await.ok()?;
    loop {
        let told = asking.stream.message().await.ok()??;
        let FromLedger::Update(update) = told.try_into().unwrap() else {
            panic!("no update");
        };
        if update.confirmed.contains(&asking.reports)
            && let Some(money) = update.agents.first().and_then(|it| it.money.as_ref())
        {
            return Some(money.purses.first()?.spent.as_nanos());
        }
    }
}

/// Spends a dollar on one of two requests; says what the ledger knows of it then.
async fn use_one(asking: &mut Asking) -> AgentUpdate {
    let granted = asking.report(waiting(), Vec::new()).await;
    assert!(granted.requests.as_ref().unwrap().granted >= 2);
    let money = granted.money.unwrap();
    assert_eq!(money.purses[0].granted, NanoUsd::from_nanos(2 * DOLLAR));
    let today = money.today;
    let requests = PoolReport {
        used: 1,
        uses: vec![Use {
            age: std::time::Duration::from_millis(5),
            count: 1,
        }],
        ..PoolReport::default()
    };
    let purse = PurseReport {
        day: today,
        spent: NanoUsd::from_nanos(DOLLAR),
        released: NanoUsd::ZERO,
        reserved: NanoUsd::ZERO,
    };
    let money = MoneyReport {
        purses: vec![purse],
        ..MoneyReport::default()
    };
    let usage = UsageReport {
        session: asking.session,
        agent: batch(),
        model: ModelName::new("gpt-4o").unwrap(),
        day: Some(today),
        totals: UsageTotals {
            requests: 1,
            input: 1_000,
            output: 50,
            cost: NanoUsd::from_nanos(DOLLAR),
            ..UsageTotals::default()
        },
    };
    asking.report(agent(requests, money), vec![usage]).await
}

#[tokio::test]
async fn a_proxy_is_granted_what_the_policy_allows_and_an_operator_sees_it() {
    let plane = Plane::in_memory().await;
    plane.apply(POLICY).await;
    let mut asking = Asking::new(&plane, "one").await;
    let known = use_one(&mut asking).await;
    let known = known.requests.unwrap();
    assert_eq!(known.used, 1);
    let seen = standing(&plane).await;
    let minute = seen.requests_per_minute.unwrap();
    let held = known.granted - 1;
    assert_eq!((minute.limit, minute.used, minute.held), (5, 1, held));
    assert!(minute.next_release_ms.unwrap() <= 61_000);
    let daily = seen.daily.unwrap();
    assert_eq!(
        (
            daily.limit_nano_usd,
            daily.spent_nano_usd,
            daily.escrow_nano_usd,
            daily.unsettled_nano_usd
        ),
        (10 * DOLLAR, DOLLAR, DOLLAR, 0)
    );
    assert_eq!(
        (seen.enforcement.as_str(), seen.recent_requests),
        ("hard", 1)
    );

    let mut rows = admin(&plane)
        .list_usage(v1::ListUsageRequest::default())
        .await
        .unwrap()
        .into_inner();
    let rows = rows.message().await.unwrap().unwrap().rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].agent.as_str(), rows[0].model.as_str()),
        ("batch", "gpt-4o")
    );
    assert_eq!(rows[0].totals.unwrap().cost_nano_usd, DOLLAR);

    let verified = verified(&plane).await;
    assert_eq!(
        (
            verified.spent_nano_usd,
            verified.escrow_nano_usd,
            verified.usage_cost_nano_usd,
            verified.sessions_open
        ),
        (DOLLAR, DOLLAR, DOLLAR, 1)
    );
    assert_eq!(verified.per_agent.len(), 1);
    assert!(verified.replayed_entries >= 5 && verified.last_batch == verified.replayed_batches);
}

#[tokio::test]
async fn what_was_used_and_spent_outlives_the_process() {
    let directory = TempDir::new().unwrap();
    let plane = Plane::on_disk(directory.path()).await;
    plane.apply(POLICY).await;
    let mut asking = Asking::new(&plane, "one").await;
    let before = use_one(&mut asking).await.requests.unwrap();
    let session = asking.session;
    plane.tell_to_stop();
    let end = loop {
        match asking.told().await {
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(
        (end.code(), end.message()),
        (Code::Unavailable, "the control plane is stopping")
    );
    plane.stopped().await;

    let plane = Plane::on_disk(directory.path()).await;
    let seen = standing(&plane).await;
    let minute = seen.requests_per_minute.unwrap();
    assert_eq!((minute.used, minute.held), (1, before.granted - 1));
    assert_eq!(seen.daily.unwrap().spent_nano_usd, DOLLAR);
    let mut asking = Asking::silent(&plane).await.unwrap();
    assert!(
        asking.hello("one", Some(session)).await,
        "its lease goes on"
    );
    assert_eq!(asking.session, session);
    let known = asking.update().await.agents.remove(0);
    assert!(known.requests.unwrap().granted >= before.granted);
    assert_eq!(verified(&plane).await.spent_nano_usd, DOLLAR);
}

#[tokio::test]
async fn a_message_that_cannot_be_used_ends_the_stream_and_says_why() {
    let plane = Plane::in_memory().await;
    let mut asking = Asking::silent(&plane).await.unwrap();
    let empty = v1::QuotaRequest { body: None };
    asking.sender.send(empty).await.unwrap();
    let end = asking.told().await.unwrap_err();
    assert_eq!(end.code(), Code::InvalidArgument);
    assert!(end.message().contains("body"), "{end}");
}

#[tokio::test]
async fn a_correction_is_booked_once() {
    let plane = Plane::in_memory().await;
    plane.apply(POLICY).await;
    let correction = v1::AdjustRequest {
        id: 26,
        agent: "batch".to_owned(),
        nano_usd: 3_000_000_000,
        author: "ann".to_owned(),
        message: "the provider's bill says so".to_owned(),
    };
    for booked in [true, false] {
        let answer = loop {
            match admin(&plane).adjust(correction.clone()).await {
                // The ledger hears of a policy a moment after it was applied.
                Err(status) if status.code() == Code::NotFound => tokio::task::yield_now().await,
                answer => break answer.unwrap().into_inner(),
            }
        };
        assert_eq!(answer.booked, booked);
        let daily = answer.standing.unwrap().daily.unwrap();
        assert_eq!(daily.spent_nano_usd, 3 * DOLLAR);
    }
    let verified = verified(&plane).await;
    assert_eq!(verified.adjusted_nano_usd, 3_000_000_000);
    for (wrong, code) in [
        (
            v1::AdjustRequest {
                id: 0,
                ..correction.clone()
            },
            Code::InvalidArgument,
        ),
        (
            v1::AdjustRequest {
                id: 27,
                nano_usd: 0,
                ..correction.clone()
            },
            Code::InvalidArgument,
        ),
        (
            v1::AdjustRequest {
                id: 27,
                agent: "other".to_owned(),
                ..correction.clone()
            },
            Code::NotFound,
        ),
        (
            v1::AdjustRequest {
                id: 27,
                agent: "a b".to_owned(),
                ..correction.clone()
            },
            Code::InvalidArgument,
        ),
    ] {
        assert_eq!(admin(&plane).adjust(wrong).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn agents_are_listed_by_name_or_by_how_busy_they_are() {
    let plane = Plane::in_memory().await;
    let agents = (0..20).map(|n| format!("  agent-{n:02}: {{ requests_per_minute: {} }}\n", n + 1));
    plane
        .apply(
            &std::iter::once("rate_limits:\n  batch: { requests_per_minute: 5 }\n".to_owned())
                .chain(agents)
                .collect::<String>(),
        )
        .await;
    let mut asking = Asking::new(&plane, "one").await;
    let used = PoolReport {
        used: 1,
        ..PoolReport::default()
    };
    asking
        .report(
            AgentReport {
                money: None,
                ..agent(used, MoneyReport::default())
            },
            Vec::new(),
        )
        .await;
    let list = async |agents: &[&str], most_active| {
        let request = v1::ListAgentsRequest {
            agents: agents.iter().map(|&name| name.to_owned()).collect(),
            most_active,
        };
        let answer = admin(&plane).list_agents(request).await.unwrap();
        let names = answer.into_inner().agents.into_iter().map(|it| it.agent);
        names.collect::<Vec<_>>()
    };
    assert_eq!(list(&[], 0).await.len(), 21);
    assert_eq!(list(&[], 2).await, ["batch", "agent-00"]);
    assert_eq!(list(&["agent-07", "unheard-of"], 0).await, ["agent-07"]);
    let wrong = v1::ListAgentsRequest {
        agents: vec!["a b".to_owned()],
        most_active: 0,
    };
    let refused = admin(&plane).list_agents(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
