//! Tests of the driver: what is stored outlives its owners, over stores that fail.

use std::time::Duration;

use agix_core::id::{AgentName, ModelName, ProxyId, WebhookName};
use agix_core::ledger::AlertPeriod;
use agix_core::policy::{
    Budget, Enforcement, Policy, Reference, Secret, TimeZoneName, WebhookDefinition,
};
use agix_core::quota::Day;
use agix_core::time::Wall;
use agix_core::units::{AlertPercent, MoneyLimit, NanoUsd, Tokens};
use agix_core::webhook::execution::{DeliveryKey, Execution, ExecutionId, State, Worker};
use agix_core::webhook::outcome::{
    Answer as ModelAnswer, BudgetAlert, CallbackOutcome, CallbackResult, Payload, RunResult,
};
use agix_core::webhook::queue::{Answer, Queue};
use agix_core::webhook::work::{FromQueue, Step, StepOutcome, ToQueue, Work};
use agix_proto::v1;
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::{Awaited, Received, Request, WebhookDesk};
use super::owner::WebhookDriver;
use crate::clock::Clock;
use crate::ledger::SHARD;
use crate::owned::{Listener, Speaker};
use crate::repository::Repository;
use crate::store::flaky::{Fault, Flaky};
use crate::store::keyspace::Key;
use crate::store::{Memory, Store, Txn};

/// Longer than anything takes that is not broken.
const LONG: Duration = Duration::from_secs(10);

/// A control plane as far as webhooks are concerned.
struct Plane<S> {
    desk: WebhookDesk<S>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<S: Store> Plane<S> {
    async fn start(store: S) -> Self {
        let repository = Repository::of(policy()).await;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let policy = repository.subscribe();
        let (driver, desk) =
            WebhookDriver::new(store, "here", policy, Clock::start(), stop.clone());
        tasks.spawn(driver.run());
        tasks.close();
        Self { desk, tasks, stop }
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    async fn accept(&self, key: u8) -> Answer {
        self.try_accept(key).await.unwrap()
    }

    async fn try_accept(&self, key: u8) -> Option<Answer> {
        let received = Received {
            webhook: WebhookName::new("summarize").unwrap(),
            delivery: DeliveryKey::new([key; 32]),
            hash: [key; 32],
            payload: Payload {
                body: vec![key; 100].into(),
                headers: vec![("x-id".to_owned(), key.to_string())],
                alert: None,
            },
            proxy: ProxyId::new("p").unwrap(),
        };
        self.desk.accept(received).await.ok()
    }

    async fn get(&self, id: ExecutionId) -> Execution {
        let found = self.desk.look(move |queue| queue.get(id).cloned()).await;
        found.unwrap().unwrap()
    }

    /// The worker with this number of starts begins a stream.
    async fn worker(&self, incarnation: u64, claims: &[u64]) -> Worked {
        self.try_worker(incarnation, claims).await.unwrap()
    }

    async fn try_worker(&self, incarnation: u64, claims: &[u64]) -> Option<Worked> {
        let (speaker, listener) = self.desk.desk().open().await.ok()?;
        let worker = Worker {
            proxy: ProxyId::new("p").unwrap(),
            incarnation,
        };
        let hello = ToQueue::Hello {
            worker,
            slots: 8,
            claims: claims.to_vec(),
        };
        assert!(speaker.say(hello).await);
        let mut worked = Worked { speaker, listener };
        let welcome = worked.heard().await?;
        assert!(matches!(welcome, FromQueue::Welcome { .. }));
        Some(worked)
    }
}

struct Worked {
    speaker: Speaker<Request>,
    listener: Listener<FromQueue>,
}

impl Worked {
    /// What is said next; nothing if the owner is silent.
    async fn heard(&mut self) -> Option<FromQueue> {
        timeout(LONG, self.listener.next()).await.ok()??.ok()
    }

    async fn told(&mut self) -> FromQueue {
        self.heard().await.unwrap()
    }

    async fn step(&mut self) -> Step {
        loop {
            if let FromQueue::Step(step) = self.told().await {
                return step;
            }
        }
    }

    /// Works until so many executions are delivered, or the owner is silent.
    async fn deliver(&mut self, mut open: usize) {
        while open > 0 {
            let step = match self.heard().await {
                Some(FromQueue::Step(step)) => step,
                Some(_) => continue,
                None => return,
            };
            let outcome = match step.work {
                Work::Run { .. } => answered(),
                Work::CallBack { .. } => {
                    open -= 1;
                    posted()
                }
            };
            let claim = step.claim;
            if !self.speaker.say(ToQueue::Done { claim, outcome }).await {
                return;
            }
        }
    }

    async fn done(&mut self, claim: u64, outcome: StepOutcome) {
        assert!(self.speaker.say(ToQueue::Done { claim, outcome }).await);
        assert_eq!(self.told().await, FromQueue::Recorded { claim });
    }
}

fn policy() -> Policy {
    let secret = || Secret::new(Reference::literal("s"));
    let asks = WebhookDefinition {
        model: Some(ModelName::new("gpt-4o-mini").unwrap()),
        prompt_template: Some("{{.Payload}}".to_owned()),
        callback_url: Some(Reference::literal("https://example.com/")),
        ..WebhookDefinition::new(secret())
    };
    let alerts = WebhookDefinition {
        callback_url: Some(Reference::literal("https://example.com/")),
        ..WebhookDefinition::new(secret())
    };
    let budget = Budget {
        daily: MoneyLimit::from_nanos(10),
        monthly: None,
        alert_at_percent: [AlertPercent::new(80).unwrap()].into(),
        alert_webhook: WebhookName::budget_alert(),
        timezone: TimeZoneName::default(),
        enforcement: Enforcement::Hard,
        on_outage: None,
    };
    Policy {
        webhooks: [
            (WebhookName::new("summarize").unwrap(), asks),
            (WebhookName::budget_alert(), alerts),
        ]
        .into(),
        budgets: [(AgentName::new("batch").unwrap(), budget)].into(),
        ..Policy::default()
    }
}

fn answered() -> StepOutcome {
    StepOutcome::Ran(RunResult {
        outcome: Ok(ModelAnswer {
            model: ModelName::new("gpt-4o-mini").unwrap(),
            output: "done".to_owned(),
            input: Tokens::new(5),
            output_tokens: Tokens::new(1),
            cost: Some(NanoUsd::from_nanos(3)),
        }),
        latency: Duration::from_millis(450),
        prompt: None,
        calls: Vec::new(),
    })
}

fn posted() -> StepOutcome {
    StepOutcome::CalledBack(CallbackResult {
        outcome: CallbackOutcome::Answered {
            status: 204,
            retry_after: None,
        },
        latency: Duration::from_millis(5),
    })
}

fn accepted(answer: Answer) -> (ExecutionId, bool) {
    match answer {
        Answer::Accepted { id, repeated, .. } => (id, repeated),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repeated_delivery_gets_the_first_ones_id_whoever_is_asked() {
    let store = Memory::default();
    let first = Plane::start(store.clone()).await;
    let (id, repeated) = accepted(first.accept(1).await);
    assert!(!repeated);
    assert_eq!(accepted(first.accept(1).await), (id, true));
    first.stopped().await;
    let second = Plane::start(store).await;
    assert_eq!(accepted(second.accept(1).await), (id, true));
    assert_ne!(accepted(second.accept(2).await).0, id);
    second.stopped().await;
}

#[tokio::test]
async fn what_was_accepted_is_worked_on_by_the_next_owner_and_its_proxies() {
    let store = Memory::default();
    let first = Plane::start(store.clone()).await;
    let (id, _) = accepted(first.accept(7).await);
    let mut worked = first.worker(1, &[]).await;
    let run = worked.step().await;
    assert_eq!(run.execution, id);
    first.stopped().await;

    // The proxy has gone on working, and says so.
    let second = Plane::start(store.clone()).await;
    let mut worked = second.worker(1, &[run.claim]).await;
    worked.done(run.claim, answered()).await;
    let post = worked.step().await;
    assert!(matches!(
        &post.work,
        Work::CallBack {
            result: Some(_),
            ..
        }
    ));
    second.stopped().await;

    // The proxy is another one: the callback is made again, the model is not asked again.
    let third = Plane::start(store).await;
    let mut worked = third.worker(2, &[]).await;
    let again = worked.step().await;
    assert!(again.claim > post.claim && again.execution == id);
    let Work::CallBack { result, .. } = &again.work else {
        panic!("{again:?}");
    };
    let StepOutcome::Ran(expected) = answered() else {
        unreachable!();
    };
    assert_eq!(result.as_deref(), Some(&expected));
    worked.done(again.claim, posted()).await;
    let execution = third.get(id).await;
    assert_eq!((execution.state, execution.runs), (State::Succeeded, 1));
    assert_eq!(third.desk.result(id).await.unwrap(), Some(expected));
    let payload = third.desk.payload(id).await.unwrap().unwrap();
    assert_eq!(&*payload.body, &[7; 100]);
    third.stopped().await;
}

#[tokio::test]
async fn whoever_waits_for_a_result_gets_it_when_it_is_stored() {
    let plane = Plane::start(Memory::default()).await;
    let (id, _) = accepted(plane.accept(1).await);
    let Some(Awaited::Coming(coming)) = plane.desk.result_of(id).await.unwrap() else {
        panic!("nothing has happened yet");
    };
    let mut worked = plane.worker(1, &[]).await;
    let run = worked.step().await;
    worked.done(run.claim, answered()).await;
    assert!(timeout(LONG, coming).await.unwrap().unwrap().has_result());
    let there = plane.desk.result_of(id).await.unwrap();
    assert!(matches!(there, Some(Awaited::There(_))));
    let nobody = ExecutionId::new(Wall::from_millis(1), 1);
    assert!(plane.desk.result_of(nobody).await.unwrap().is_none());
    plane.stopped().await;
}

#[tokio::test]
async fn an_alert_becomes_one_execution_and_goes_from_where_it_was_put() {
    let store = Memory::default();
    let alert = BudgetAlert {
        agent: AgentName::new("batch").unwrap(),
        period: AlertPeriod::Day(Day::new(2026, 11, 25).unwrap()),
        percent: AlertPercent::new(80).unwrap(),
        limit: NanoUsd::from_nanos(10),
        spent: NanoUsd::from_nanos(8),
    };
    let alerts = v1::BudgetAlerts {
        at_ms: 5,
        alerts: vec![(&alert).into()],
    };
    let key = Key::ShardAlerts(SHARD, 3).encode();
    let put = || Txn::new().put(&key, alerts.encode_to_vec());
    store.txn(put()).await.unwrap();
    let first = Plane::start(store.clone()).await;
    let mut worked = first.worker(1, &[]).await;
    let step = worked.step().await;
    let Work::CallBack { alert: told, .. } = &step.work else {
        panic!("{step:?}");
    };
    assert_eq!(told.as_ref(), Some(&alert));
    assert_eq!(store.get(&key).await.unwrap(), None);
    worked.done(step.claim, posted()).await;
    first.stopped().await;

    // Put down again, as after a transaction whose outcome was not known, it is the same.
    store.txn(put()).await.unwrap();
    let second = Plane::start(store.clone()).await;
    timeout(LONG, async {
        while store.get(&key).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let kept = second.desk.look(|queue| queue.newest().count()).await;
    assert_eq!(kept.unwrap(), 1);
    second.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn over_a_store_that_fails_nothing_is_lost_or_made_twice() {
    for until in 0..14 {
        for fault in [Fault::Lost, Fault::Silent, Fault::Late] {
            let plane = Plane::start(Flaky::new(Memory::default(), until, 2, fault)).await;
            let mut ids = Vec::new();
            for key in 0..4 {
                ids.push(accepted(plane.accept(key).await).0);
            }
            let mut worked = plane.worker(1, &[]).await;
            worked.deliver(ids.len()).await;
            for (key, id) in (0..).zip(&ids) {
                assert_eq!(accepted(plane.accept(key).await), (*id, true));
                assert_eq!(
                    plane.get(*id).await.state,
                    State::Succeeded,
                    "{until} {fault:?}"
                );
            }
            plane.stopped().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_the_owner_dies_what_was_promised_is_delivered_under_its_id() {
    for until in 0..14 {
        for fault in [Fault::DiesBefore, Fault::DiesAfter] {
            let memory = Memory::default();
            let first = Plane::start(Flaky::new(memory.clone(), until, 1, fault)).await;
            let mut promised = Vec::new();
            for key in 0..4 {
                match first.try_accept(key).await {
                    Some(answer) => promised.push(accepted(answer).0),
                    None => break,
                }
            }
            if let Some(mut worked) = first.try_worker(1, &[]).await {
                worked.deliver(promised.len()).await;
            }
            first.stopped().await;
            if let Some(owner) = memory.get(&Key::WebhookOwner.encode()).await.unwrap() {
                memory.revoke(owner.lease.unwrap()).await.unwrap();
            }
            let second = Plane::start(memory.clone()).await;
            let mut worked = second.worker(2, &[]).await;
            let open = |queue: &Queue| queue.standing().open;
            let left = second.desk.look(open).await.unwrap();
            worked.deliver(left).await;
            for (key, id) in (0..).zip(&promised) {
                assert_eq!(
                    accepted(second.accept(key).await),
                    (*id, true),
                    "{until} {fault:?}"
                );
                let execution = second.get(*id).await;
                assert_eq!(execution.state, State::Succeeded, "{until} {fault:?}");
            }
            second.stopped().await;
        }
    }
}
