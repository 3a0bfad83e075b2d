//! What is told late, twice, or in the wrong order.

use super::*;
use crate::id::ModelName;
use crate::ledger::Purse;
use crate::limits::BUDGET_WAIT;
use crate::quota::{Pool, UsageReport};
use crate::usage::UsageTotals;

fn spent(world: &World) -> NanoUsd {
    let books = world.ledger.books();
    let of_agent = books.agents.get(&name("a"));
    let purses = of_agent.into_iter().flat_map(|it| it.purses.values());
    purses.fold(NanoUsd::ZERO, |sum, purse: &Purse| {
        sum.saturating_add(purse.spent())
    })
}

/// Cuts a proxy off until its lease is over, then lets it come back.
fn lose_session(world: &mut World, proxy: usize) {
    world.proxies[proxy].is_cut = true;
    world.input(proxy, SessionInput::Lost { random: 0 });
    world.pass(Duration::from_secs(15));
    world.proxies[proxy].is_cut = false;
    world.input(proxy, SessionInput::Opened);
    world.pass(Duration::from_secs(2));
}

#[test]
fn a_report_that_arrives_after_the_last_word_of_its_session_changes_nothing() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.daily = Some(usd(1_000))));
    let need = Need {
        money: usd(100),
        ..Need::default()
    };
    let mut ticket = world.ask(0, "a", need).unwrap();
    let mut late = empty_report(&world, 0);
    let now = world.mono();
    world.agent(0, "a").spend(&mut ticket, usd(60), now);
    world.agent(0, "a").finish(ticket, 0, now);
    late.agents = vec![world.agent(0, "a").report(now)];
    lose_session(&mut world, 0);
    assert_eq!(spent(&world), usd(60));
    world.say(0, ToLedger::Report(late));
    world.settle();
    assert_eq!(spent(&world), usd(60), "not counted twice");
}

#[test]
fn spend_that_nothing_was_set_aside_for_is_told_though_its_session_was_lost() {
    let mut world = World::new(1);
    let mut soft = terms(|terms| terms.daily = Some(usd(1_000)));
    soft.soft = true;
    world.limit("a", &soft);
    let mut first = world.ask(0, "a", Need::default()).unwrap();
    let mut second = world.ask(0, "a", Need::default()).unwrap();
    world.proxies[0].is_cut = true;
    let now = world.mono();
    world.agent(0, "a").spend(&mut first, usd(30), now);
    world.agent(0, "a").finish(first, 0, now);
    lose_session(&mut world, 0);
    assert_eq!(spent(&world), usd(30));
    let now = world.mono();
    world.agent(0, "a").spend(&mut second, usd(20), now);
    world.agent(0, "a").finish(second, 0, now);
    world.pass(Duration::from_secs(2));
    assert_eq!(spent(&world), usd(50));
    assert!(world.agent(0, "a").is_settled());
}

#[test]
fn usage_is_counted_once_in_whatever_order_it_is_told() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(5)));
    world.begin(0, "a");
    let told = |world: &mut World, requests| {
        let mut report = empty_report(world, 0);
        report.usage = vec![UsageReport {
            session: report.session,
            agent: name("a"),
            model: ModelName::new("model").unwrap(),
            day: None,
            totals: UsageTotals {
                requests,
                ..UsageTotals::default()
            },
        }];
        world.say(0, ToLedger::Report(report));
    };
    for requests in [2, 5, 2, 3, 7] {
        told(&mut world, requests);
    }
    let counted: u64 = world
        .ledger
        .books()
        .usage
        .values()
        .map(|it| it.requests)
        .sum();
    assert_eq!(counted, 7);
}

#[test]
fn one_who_waits_for_money_is_decided_in_time_though_its_limit_is_gone() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.daily = Some(usd(1_000))));
    let all = Need {
        money: usd(900),
        ..Need::default()
    };
    let running = world.ask(0, "a", all).unwrap();
    let waiter = world.try_ask(1, "a", all).unwrap_err();
    // The ledger is not heard again, and the proxy's limits change.
    world.proxies[1].is_cut = true;
    let rules = Rules {
        terms: terms(|terms| terms.daily = Some(usd(2_000))),
        ..Rules::default()
    };
    world.agent(1, "a").set_rules(rules);
    let mut link = world.link(1);
    world.now += BUDGET_WAIT;
    let now = world.mono();
    link.until = now.after(Duration::from_secs(1));
    let decided = world.agent(1, "a").handle_timeout(&link, now);
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[0].waiter, waiter);
    drop(running);
}

#[test]
fn nothing_is_held_by_a_session_that_was_lost() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.max_concurrent = Some(3)));
    let _running = world.ask(0, "a", Need::default()).unwrap();
    lose_session(&mut world, 0);
    let books = &world.ledger.books().agents[&name("a")];
    assert!(books.held(Pool::Slots) <= 1);
}

#[test]
fn what_is_heard_late_on_a_stream_that_was_given_up_does_not_get_the_session_back() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(5)));
    world.begin(0, "a");
    let late = empty_report(&world, 0);
    let hello = |world: &World| crate::quota::Hello {
        proxy: ProxyId::new("p0").unwrap(),
        incarnation: 0,
        resume: world.link(0).session,
        sent: world.mono(),
    };
    let (first, second) = (hello(&world), hello(&world));
    world.tell(Input::Hello {
        stream: 7,
        hello: first,
    });
    world.tell(Input::Report {
        stream: 0,
        report: late,
    });
    world.tell(Input::Hello {
        stream: 0,
        hello: second,
    });
    let drained = world.ledger.drain(world.at(), ClockMark::default());
    assert!(!drained.messages.is_empty());
    assert!(drained.messages.iter().all(|(stream, _)| *stream == 7));
}
