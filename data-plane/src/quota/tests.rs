use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agix_core::id::{AgentName, ModelName};
use agix_core::lease::Need;
use agix_core::limits::{STREAM_LEAST_TOKENS, UNLISTED_AGENTS};
use agix_core::policy::{Budget, Enforcement, Policy, Price, RateLimits, TimeZoneName};
use agix_core::price::{Bounds, Tariff};
use agix_core::quota::{
    AgentUpdate, Day, MoneyReport, MoneyUpdate, PeriodStanding, PoolUpdate, PurseUpdate, SessionId,
    Standing,
};
use agix_core::time::Mono;
use agix_core::units::{MoneyLimit, NanoUsd, PicoUsdPerToken, RequestLimit, Tokens};
use agix_core::usage::{Cost, PriceSource, Usage, UsageSource};

use super::*;
use crate::metrics::Metrics;

const SESSION: SessionId = SessionId::new(7);
/// The daily limit of `spender`.
const LIMIT: u64 = 1_000_000;

/// The quotas of a proxy, and the ledger's part played by the test.
struct World {
    quota: Quota,
    news: mpsc::Receiver<Arc<Gate>>,
    metrics: Metrics,
    policy: Policy,
}

fn name(text: &str) -> AgentName {
    AgentName::new(text).unwrap()
}

fn nanos(amount: u64) -> NanoUsd {
    NanoUsd::from_nanos(amount)
}

fn today() -> Day {
    Day::new(2026, 11, 25).unwrap()
}

fn policy() -> Policy {
    let mut policy = Policy::default();
    let budget = Budget {
        daily: MoneyLimit::from_nanos(LIMIT),
        monthly: None,
        alert_at_percent: std::collections::BTreeSet::new(),
        alert_webhook: agix_core::id::WebhookName::budget_alert(),
        timezone: TimeZoneName::default(),
        enforcement: Enforcement::Hard,
        on_outage: None,
    };
    policy.budgets.insert(name("spender"), budget);
    let limits = RateLimits {
        requests_per_minute: RequestLimit::new(10),
        ..RateLimits::default()
    };
    policy.rate_limits.insert(name("asker"), limits);
    policy
}

impl World {
    /// A proxy with a session and a lease.
    fn new() -> Self {
        let metrics = Metrics::new();
        let (quota, news) = Quota::new(Clock::start(), metrics.quota.clone(), None);
        let link = Link {
            session: Some(SESSION),
            until: quota.hub.clock.mono().after(Duration::from_hours(1)),
            up: true,
            since: Mono::default(),
        };
        quota.hub.link.store(Arc::new(link));
        let policy = policy();
        quota.put_in_force(&policy);
        Self {
            quota,
            news,
            metrics,
            policy,
        }
    }

    fn gate(&self, agent: &str) -> Arc<Gate> {
        self.quota.find(&name(agent)).unwrap()
    }

    /// The ledger says how the money of `spender` stands.
    fn tell(&self, granted: u64, spent: u64) {
        let standing = PeriodStanding {
            limit: nanos(LIMIT),
            spent: nanos(spent),
            unsettled: NanoUsd::ZERO,
            held: nanos(granted),
            resets_in: Duration::from_hours(1),
        };
        let money = MoneyUpdate {
            today: today(),
            ends_in: Duration::from_hours(1),
            purses: vec![PurseUpdate {
                day: today(),
                granted: nanos(granted),
                spent: NanoUsd::ZERO,
            }],
            standing: Standing {
                day: Some(standing),
                month: None,
            },
        };
        self.update("spender", None, Some(money));
    }

    fn update(&self, agent: &str, requests: Option<PoolUpdate>, money: Option<MoneyUpdate>) {
        let update = AgentUpdate {
            agent: name(agent),
            requests,
            tokens: None,
            slots: None,
            money,
            recall: 0,
        };
        self.gate(agent).update(SESSION, &update);
    }

    fn permits(&self, granted: u64) {
        let requests = PoolUpdate {
            granted,
            ..PoolUpdate::default()
        };
        self.update("asker", Some(requests), None);
    }

    /// What `spender` would report of its money.
    fn money(&self) -> MoneyReport {
        let report = self
            .gate("spender")
            .act(|state, _, now| state.agent.report(now));
        report.money.unwrap()
    }

    fn reserved(&self) -> u64 {
        let purses = self.money().purses;
        purses.iter().map(|it| it.reserved.as_nanos()).sum()
    }

    fn spent(&self) -> u64 {
        // Said anew, though nothing changed.
        self.gate("spender")
            .act(|state, link, _| state.agent.repeat(link));
        let purses = self.money().purses;
        purses.iter().map(|it| it.spent.as_nanos()).sum()
    }

    fn waiting(&self, agent: &str) -> usize {
        self.gate(agent).act(|state, _, _| state.agent.waiting())
    }
}

/// What a future comes to that has nothing left to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn need(money: u64) -> Need {
    Need {
        tokens: 0,
        money: nanos(money),
    }
}

fn charge(cost: u64) -> Charge {
    Charge {
        model: ModelName::new("gpt-4o").unwrap(),
        usage: Usage::default(),
        source: UsageSource::Reported,
        cost: Cost::Known(nanos(cost), PriceSource::Policy),
    }
}

#[test]
fn what_is_at_hand_is_given_without_waiting() {
    let world = World::new();
    world.tell(1_000, 0);
    let gate = world.gate("spender");
    let passes: Vec<Pass> = (0..3)
        .filter_map(|_| at_once(gate.enter(need(400)))?.ok())
        .collect();
    assert_eq!(passes.len(), 2, "the third waits, and has left");
    assert_eq!(world.reserved(), 800);
    assert_eq!(world.waiting("spender"), 0);
}

#[test]
fn a_request_that_is_dropped_frees_what_it_had_and_costs_nothing() {
    let world = World::new();
    world.tell(1_000, 0);
    let pass = at_once(world.gate("spender").enter(need(400)));
    assert_eq!(world.reserved(), 400);
    drop(pass);
    assert_eq!((world.reserved(), world.spent()), (0, 0));
}

#[test]
fn a_request_that_gives_up_waiting_waits_no_more() {
    let world = World::new();
    world.tell(100, 0);
    let gate = world.gate("spender");
    {
        let mut waits = pin!(gate.enter(need(400)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        assert_eq!(world.waiting("spender"), 1);
        assert_eq!(world.metrics.quota.parked.get(), 1);
    }
    assert_eq!(world.waiting("spender"), 0);
    assert_eq!(world.metrics.quota.parked.get(), 0);
}

#[test]
fn what_one_is_given_who_has_just_left_is_handed_back() {
    let world = World::new();
    world.tell(100, 0);
    let gate = world.gate("spender");
    {
        let mut waits = pin!(gate.enter(need(400)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        world.tell(1_000, 0);
        assert_eq!(world.reserved(), 400, "it was decided, and not yet heard");
    }
    assert_eq!(world.reserved(), 0);
}

#[test]
fn what_was_billed_is_booked_once_and_the_rest_is_free() {
    let world = World::new();
    world.tell(1_000, 0);
    let pass = at_once(world.gate("spender").enter(need(400)))
        .unwrap()
        .unwrap();
    pass.settle([charge(30), charge(70)].into_iter());
    assert_eq!((world.reserved(), world.spent()), (0, 100));
}

#[test]
fn a_call_that_costs_more_than_was_set_aside_is_booked_whole_and_counted() {
    let world = World::new();
    world.tell(1_000, 0);
    let pass = at_once(world.gate("spender").enter(need(400)))
        .unwrap()
        .unwrap();
    pass.settle([charge(600)].into_iter());
    assert_eq!(world.spent(), 600);
    let text = world.metrics.text(Mono::default()).unwrap();
    assert!(text.contains("agix_overruns_total 1"), "{text}");
}

#[test]
fn one_who_waits_here_gets_what_another_frees_here() {
    let world = World::new();
    world.tell(500, 0);
    let gate = world.gate("spender");
    let first = at_once(gate.enter(need(400))).unwrap().unwrap();
    let mut second = pin!(gate.enter(need(300)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(second.as_mut().poll(&mut context).is_pending());
    first.settle([charge(10)].into_iter());
    assert!(second.as_mut().poll(&mut context).is_ready());
}

#[test]
fn a_request_that_waits_for_more_money_holds_none_meanwhile() {
    let world = World::new();
    world.tell(1_000, 0);
    let gate = world.gate("spender");
    let mut pass = at_once(gate.enter(need(400))).unwrap().unwrap();
    {
        let mut waits = pin!(pass.hold(nanos(1_200), nanos(50)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        assert_eq!(world.reserved(), 50, "but what failed attempts have cost");
        world.tell(2_000, 0);
        assert!(waits.as_mut().poll(&mut context).is_ready());
    }
    assert_eq!(pass.reserved(), nanos(1_250));
    let cheaper = at_once(pass.hold(nanos(100), nanos(50)));
    assert_eq!(cheaper, Some(Ok(())));
    assert_eq!(world.reserved(), 150);
}

#[test]
fn a_request_refused_for_money_uses_no_permit() {
    let mut world = World::new();
    let budget = world.policy.budgets[&name("spender")].clone();
    world.policy.budgets.insert(name("asker"), budget);
    world.quota.put_in_force(&world.policy);
    world.permits(10);
    let refused = at_once(world.gate("asker").enter(need(LIMIT + 1)));
    assert!(refused.is_none(), "the ledger is asked for money");
    let idle = world
        .gate("asker")
        .act(|state, _, _| state.agent.idle_requests());
    assert_eq!(idle, 10);
}

#[test]
fn agents_without_limits_begin_whatever_the_ledger_does() {
    let world = World::new();
    world.quota.hub.link.store(Arc::new(Link::default()));
    let listed = world.quota.unlisted(&name("stranger"));
    assert!(!listed.gate.is_limited());
    assert!(at_once(listed.gate.enter(need(5))).unwrap().is_ok());
    let limited = at_once(world.gate("spender").enter(need(5)));
    assert!(limited.is_none(), "it waits for the ledger");
}

#[test]
fn a_million_names_take_no_more_room_than_the_bound() {
    let world = World::new();
    let before = world.quota.all().len();
    for number in 0..1_000_000 {
        drop(world.quota.unlisted(&name(&format!("agent-{number}"))));
    }
    assert_eq!(world.quota.all().len(), before + UNLISTED_AGENTS);
    let one = world.quota.unlisted(&name("agent-999999")).gate;
    let other = world.quota.unlisted(&name("agent-999998")).gate;
    assert!(Arc::ptr_eq(&one, &other), "the rest is counted together");
}

#[test]
fn no_change_of_policy_makes_a_gate_forget() {
    let mut world = World::new();
    world.permits(10);
    let gate = world.gate("asker");
    for _ in 0..4 {
        at_once(gate.enter(need(0))).unwrap().unwrap();
    }
    // Another agent's entry, a rollback, the agent's own entry gone and back.
    let original = world.policy.clone();
    world.policy.budgets.clear();
    world.quota.put_in_force(&world.policy);
    world.policy.rate_limits.clear();
    world.quota.put_in_force(&world.policy);
    assert!(!gate.is_limited());
    let gates = world.quota.put_in_force(&original);
    assert!(Arc::ptr_eq(&gates[&name("asker")].gate, &gate));
    assert!(gate.is_limited());
    let idle = gate.act(|state, _, _| state.agent.idle_requests());
    assert_eq!(idle, 6, "what was used stays used");
}

#[test]
fn an_agent_that_is_called_like_the_rest_shares_its_gate() {
    let mut world = World::new();
    let limits = world.policy.rate_limits[&name("asker")];
    world.policy.rate_limits.insert(AgentName::others(), limits);
    let gates = world.quota.put_in_force(&world.policy);
    let shared = world.quota.find(&AgentName::others()).unwrap();
    assert!(Arc::ptr_eq(&gates[&AgentName::others()].gate, &shared));
    let names = world.quota.all();
    let same = names
        .iter()
        .filter(|gate| *gate.name() == AgentName::others());
    assert_eq!(same.count(), 1);
}

#[test]
fn many_requests_between_two_reports_are_one_piece_of_news() {
    let mut world = World::new();
    world.permits(10);
    let gate = world.gate("asker");
    at_once(gate.enter(need(0))).unwrap().unwrap();
    let mut news = 0;
    while world.news.try_recv().is_ok() {
        news += 1;
    }
    assert_eq!(news, 1);
    for _ in 0..5 {
        at_once(gate.enter(need(0))).unwrap().unwrap();
    }
    assert!(world.news.try_recv().is_err(), "the driver has it in hand");
    assert!(gate.take_up().is_some());
}

/// One nano-dollar for a token of output, nothing for input.
fn tariff() -> Tariff {
    Tariff::flat(Price {
        input: PicoUsdPerToken::ZERO,
        cached_input: None,
        cache_write: None,
        cache_write_1h: None,
        output: PicoUsdPerToken::from_picos(1_000),
        reasoning: None,
    })
}

fn bounds(output: u64) -> Bounds {
    Bounds {
        input: Tokens::ZERO,
        cache_writes: false,
        output: Tokens::new(output),
    }
}

/// Lets tokens pass one by one until the meter says that there is no more room.
fn run_dry(meter: &mut Meter, pass: &mut Pass) -> u64 {
    let mut context = Context::from_waker(Waker::noop());
    let mut seen = 0;
    while let Room::For(_) = meter.poll(&mut context, pass, &tariff(), Tokens::new(seen)) {
        seen += 1;
        assert!(seen <= LIMIT, "no end");
    }
    seen
}

#[tokio::test]
async fn a_stream_uses_what_is_left_of_a_budget_and_ends_before_it_is_passed() {
    let world = World::new();
    // What is left is at hand, and the ledger has no more.
    world.tell(2_000, LIMIT - 2_000);
    let first = 256;
    let mut pass = at_once(world.gate("spender").enter(need(first)))
        .unwrap()
        .unwrap();
    let mut meter = Meter::new(Reservation {
        bounds: bounds(16_384),
        first: bounds(first),
    });
    let seen = run_dry(&mut meter, &mut pass);
    assert!(seen <= 2_000, "{seen}");
    assert!(seen > 2_000 - 2 * STREAM_LEAST_TOKENS, "{seen}");
    assert!(pass.reserved() <= nanos(2_000));
    pass.settle([charge(seen)].into_iter());
    assert_eq!(world.spent(), seen);
}

#[tokio::test]
async fn a_stream_whose_bound_is_reserved_asks_for_no_more() {
    let world = World::new();
    world.tell(2_000, 0);
    let mut pass = at_once(world.gate("spender").enter(need(100)))
        .unwrap()
        .unwrap();
    let mut meter = Meter::new(Reservation {
        bounds: bounds(100),
        first: bounds(100),
    });
    let mut context = Context::from_waker(Waker::noop());
    for seen in 0..100 {
        let room = meter.poll(&mut context, &mut pass, &tariff(), Tokens::new(seen));
        assert_eq!(room, Room::For(Tokens::new(100 - seen)));
    }
    assert_eq!(pass.reserved(), nanos(100));
    // A provider that does not keep to the bound is followed as long as there is money.
    let beyond = meter.poll(&mut context, &mut pass, &tariff(), Tokens::new(100));
    assert!(matches!(beyond, Room::For(_)), "{beyond:?}");
}

#[tokio::test]
async fn a_stream_waits_for_an_answer_before_it_goes_on() {
    let world = World::new();
    world.tell(300, 0);
    let mut pass = at_once(world.gate("spender").enter(need(256)))
        .unwrap()
        .unwrap();
    let mut meter = Meter::new(Reservation {
        bounds: bounds(1_000),
        first: bounds(256),
    });
    let mut context = Context::from_waker(Waker::noop());
    let mut poll =
        |pass: &mut Pass, seen| meter.poll(&mut context, pass, &tariff(), Tokens::new(seen));
    assert_eq!(
        poll(&mut pass, 250),
        Room::For(Tokens::new(6)),
        "asked ahead"
    );
    assert_eq!(poll(&mut pass, 256), Room::Wait);
    world.tell(5_000, 0);
    assert_eq!(poll(&mut pass, 256), Room::For(Tokens::new(1_000 - 256)));
}
