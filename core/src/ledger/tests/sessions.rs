//! Sessions, leases and the log.

use crate::limits::{ADMISSION_WAIT, LEDGER_SILENCE, OUTAGE_GRACE, OUTAGE_WAIT, REPORT_AGENTS};
use crate::policy::OnOutage;
use crate::quota::{AgentReport, FromLedger, Hello, PoolReport, SessionId};

use super::*;

#[test]
fn permits_of_a_lost_session_cool_from_the_end_of_its_lease() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(5)));
    for _ in 0..5 {
        world.begin(0, "a");
    }
    // What it used was never reported.
    world.proxies[0].is_cut = true;
    world.pass(Duration::from_secs(60));
    assert!(world.ask(1, "a", Need::default()).is_err());
    world.pass(Duration::from_secs(12));
    assert!(world.ask(1, "a", Need::default()).is_ok());
}

#[test]
fn rights_end_with_the_lease() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(1_000)));
    for _ in 0..50 {
        world.begin(0, "a");
        world.pass(Duration::from_millis(20));
    }
    assert!(world.agent(0, "a").idle_requests() > 3);
    world.proxies[0].is_cut = true;
    assert!(world.try_ask(0, "a", Need::default()).unwrap().is_ok());
    world.pass(LEDGER_SILENCE + OUTAGE_GRACE);
    let refused = world.try_ask(0, "a", Need::default()).unwrap();
    assert_eq!(refused, Err(Refused::Undecided));
}

#[test]
fn a_request_waits_while_the_ledger_changes_its_owner() {
    for limits in [
        terms(|terms| terms.requests_per_minute = Some(5)),
        terms(|terms| terms.daily = Some(usd(100))),
    ] {
        let mut world = World::new(1);
        world.limit("a", &limits);
        let need = Need {
            money: usd(1),
            ..Need::default()
        };
        world.tell(Input::Gone { stream: 0 });
        world.input(0, SessionInput::Lost { random: 0 });
        world.proxies[0].is_cut = true;
        let waiter = world.try_ask(0, "a", need).unwrap_err();
        world.pass(OUTAGE_GRACE / 2);
        assert_eq!(world.outcome(0, waiter), None);
        world.proxies[0].is_cut = false;
        world.input(0, SessionInput::Opened);
        let (link, now) = (world.link(0), world.mono());
        let decided = world.agent(0, "a").handle_timeout(&link, now);
        assert!(decided.is_empty(), "it is not refused for having waited");
        world.pass(Duration::from_secs(1));
        let outcome = world.outcome(0, waiter);
        assert!(matches!(outcome, Some(Ok(_))), "{outcome:?}");
    }
}

#[test]
fn a_request_waits_for_a_ledger_that_falls_silent_but_not_without_end() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(5)));
    let rules = world.agent(1, "a").rules().clone();
    world.agent(1, "a").set_rules(Rules {
        rates_on_outage: OnOutage::Allow,
        ..rules
    });
    world.pass(Duration::from_secs(1));
    for proxy in &mut world.proxies {
        proxy.is_cut = true;
    }
    let patient = world.try_ask(0, "a", Need::default()).unwrap_err();
    let hasty = world.try_ask(1, "a", Need::default()).unwrap_err();
    world.pass(ADMISSION_WAIT);
    // The policy lets it go on.
    assert!(world.outcome(1, hasty).unwrap().is_ok());
    world.pass(OUTAGE_WAIT / 2);
    assert_eq!(world.outcome(0, patient), None);
    world.pass(OUTAGE_WAIT / 3);
    assert_eq!(world.outcome(0, patient), Some(Err(Refused::Undecided)));
}

#[test]
fn a_stream_that_breaks_costs_nothing() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(5)));
    for _ in 0..3 {
        world.begin(0, "a");
    }
    let session = world.link(0).session;
    world.tell(Input::Gone { stream: 0 });
    world.input(0, SessionInput::Lost { random: 0 });
    world.pass(Duration::from_millis(200));
    world.input(0, SessionInput::Opened);
    world.settle();
    assert_eq!(world.link(0).session, session, "the same session goes on");
    for _ in 0..2 {
        world.begin(0, "a");
    }
    assert!(world.ask(0, "a", Need::default()).is_err());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.ledger.books().agents[&name("a")].minute.total(), 5);
}

#[test]
fn a_new_stream_is_told_of_every_agent_in_messages_of_a_bounded_size() {
    let agents = REPORT_AGENTS * 2;
    let mut ledger = Ledger::new(Books::default(), Term::new(1), LedgerTime::default());
    let (now, wall) = (LedgerTime::default(), Wall::from_millis(NOON));
    let limited = terms(|terms| terms.requests_per_minute = Some(5));
    let names: Vec<AgentName> = (0..agents).map(|it| name(&format!("a{it:04}"))).collect();
    let policy = names.iter().map(|it| (it.clone(), limited.clone()));
    ledger.handle(Input::Policy(policy.collect()), now, wall);
    let hello = |resume| Hello {
        proxy: ProxyId::new("p").unwrap(),
        incarnation: 1,
        resume,
        sent: Mono::default(),
    };
    let session = SessionId::new(1);
    let first = hello(None);
    ledger.handle(
        Input::Hello {
            stream: 1,
            hello: first,
        },
        now,
        wall,
    );
    let waiting = PoolReport {
        waiting: 1,
        ..PoolReport::default()
    };
    let report = Report {
        session,
        number: 1,
        sent: Mono::default(),
        agents: names
            .iter()
            .map(|agent| AgentReport {
                agent: agent.clone(),
                requests: Some(waiting.clone()),
                tokens: None,
                slots: None,
                money: None,
                recall_seen: 0,
            })
            .collect(),
        usage: vec![],
        past: vec![],
    };
    ledger.handle(Input::Report { stream: 1, report }, now, wall);
    ledger.drain(now, ClockMark::default());

    let again = hello(Some(session));
    ledger.handle(
        Input::Hello {
            stream: 2,
            hello: again,
        },
        now,
        wall,
    );
    let messages = ledger.drain(now, ClockMark::default()).messages;
    let told: Vec<Vec<AgentName>> = messages
        .into_iter()
        .filter_map(|(_, message)| match message {
            FromLedger::Update(update) => Some(update.agents),
            FromLedger::Welcome { .. } | FromLedger::Closed { .. } => None,
        })
        .map(|agents| agents.into_iter().map(|it| it.agent).collect())
        .collect();
    assert_eq!(
        told.iter().map(Vec::len).collect::<Vec<_>>(),
        [REPORT_AGENTS; 2]
    );
    assert_eq!(told.concat(), names);
}

#[test]
fn a_goodbye_leaves_nothing_behind() {
    let mut world = World::new(1);
    world.limit(
        "a",
        &terms(|terms| {
            terms.requests_per_minute = Some(5);
            terms.daily = Some(usd(1_000));
        }),
    );
    world.buy(0, "a", 100, 30).unwrap();
    world.pass(Duration::from_secs(2));
    let goodbye = world.proxies[0].session.goodbye().unwrap();
    world.say(0, goodbye);
    world.settle();
    let books = world.ledger.books();
    assert!(books.sessions.is_empty());
    let purse = books.agents[&name("a")].purses.values().next().unwrap();
    assert_eq!((purse.closed, purse.parts.len()), (usd(30), 0));
}

#[test]
fn a_replay_of_the_log_gives_the_same_books() {
    let mut world = World::new(3);
    world.limit(
        "a",
        &terms(|terms| {
            terms.requests_per_minute = Some(20);
            terms.requests_per_hour = Some(50);
            terms.daily = Some(usd(1_000));
        }),
    );
    for turn in 0..300 {
        let proxy = if turn > 150 { 2 } else { turn % 3 };
        drop(world.buy(proxy, "a", 7, 5));
        world.pass(Duration::from_millis(300));
        if turn == 150 {
            world.proxies[1].is_cut = true;
        }
    }
    let now = world.at();
    let live = at_rest(world.ledger.books().clone(), now);
    assert_eq!(at_rest(world.replayed(), now), live);
    assert!(world.log.len() > 100);
}

#[test]
fn a_new_owner_goes_on_where_the_old_one_stopped() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(5)));
    for proxy in [0, 1, 0] {
        world.begin(proxy, "a");
    }
    world.pass(Duration::from_secs(1));
    let policy = world.ledger.policy.clone();
    world.ledger = Ledger::new(world.replayed(), Term::new(2), world.at());
    world.tell(Input::Policy(policy));
    for proxy in [0, 1] {
        world.input(proxy, SessionInput::Lost { random: 0 });
    }
    world.pass(Duration::from_millis(200));
    for proxy in [0, 1] {
        world.input(proxy, SessionInput::Opened);
    }
    world.settle();
    for proxy in [1, 0] {
        world.begin(proxy, "a");
    }
    assert!(world.ask(0, "a", Need::default()).is_err());
}

#[test]
fn an_old_report_changes_nothing() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(5)));
    world.begin(0, "a");
    let now = world.mono();
    let old = world.agent(0, "a").report(now);
    world.begin(0, "a");
    world.pass(Duration::from_secs(1));
    let before = at_rest(world.ledger.books().clone(), world.at());
    let mut report = empty_report(&world, 0);
    report.number = 1;
    report.agents = vec![old];
    world.say(0, ToLedger::Report(report));
    let after = at_rest(world.ledger.books().clone(), world.at());
    assert_eq!(after.agents, before.agents);
}
