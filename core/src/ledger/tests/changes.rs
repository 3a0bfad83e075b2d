//! Limits that change while rights are held.

use super::*;
use crate::ledger::{Entry, within_limits};
use crate::quota::Pool;
use crate::units::AlertPercent;

fn requests(count: u64) -> Terms {
    terms(|terms| terms.requests_per_minute = Some(count))
}

#[test]
fn a_limit_that_was_lowered_calls_back_what_is_held_in_excess() {
    let mut world = World::new(4);
    world.limit("a", &requests(100));
    for proxy in 0..4 {
        world.begin(proxy, "a");
    }
    world.pass(Duration::from_secs(70));
    let held = |world: &World| world.ledger.books().agents[&name("a")].held(Pool::Requests);
    assert_eq!(held(&world), 4, "one is kept ready at each");
    world.limit("a", &requests(1));
    world.pass(Duration::from_secs(1));
    assert!(held(&world) <= 1);
    let at = world.at();
    assert_eq!(within_limits(world.ledger.books(), &name("a"), at), []);
}

#[test]
fn money_set_aside_beyond_a_lowered_limit_comes_back() {
    let mut world = World::new(2);
    let limit = |cents| terms(|terms| terms.daily = Some(usd(cents)));
    world.limit("a", &limit(10_000));
    for _ in 0..20 {
        world.buy(0, "a", 200, 100).unwrap();
    }
    world.limit("a", &limit(2_000));
    world.pass(Duration::from_secs(1));
    let books = world.ledger.books();
    let purse = books.agents[&name("a")].purses.values().next().unwrap();
    let money = books.money_of(purse);
    assert_eq!((money.spent, money.escrow), (usd(2_000), usd(0)));
}

#[test]
fn what_is_held_under_a_limit_that_was_lifted_is_given_back_and_settled() {
    let mut world = World::new(1);
    world.limit(
        "a",
        &terms(|terms| {
            terms.requests_per_minute = Some(100);
            terms.tokens_per_minute = Some(1_000);
            terms.max_concurrent = Some(10);
            terms.daily = Some(usd(1_000));
        }),
    );
    let need = Need {
        tokens: 300,
        money: usd(100),
    };
    let mut ticket = world.ask(0, "a", need).unwrap();
    world.limit("a", &Terms::default());
    let now = world.mono();
    world.agent(0, "a").spend(&mut ticket, usd(70), now);
    world.agent(0, "a").finish(ticket, 250, now);
    world.pass(Duration::from_secs(5));
    assert!(world.agent(0, "a").is_settled());
    let books = world.ledger.books();
    let of_agent = &books.agents[&name("a")];
    for pool in Pool::ALL {
        assert_eq!(of_agent.held(pool), 0, "{pool:?}");
    }
    let purse = of_agent.purses.values().next().unwrap();
    let money = books.money_of(purse);
    assert_eq!((money.spent, money.escrow), (usd(70), usd(0)));
}

#[test]
fn lowering_a_limit_below_what_was_spent_raises_its_alerts() {
    let mut world = World::new(1);
    let alerting = |cents| {
        terms(|terms| {
            terms.daily = Some(usd(cents));
            terms.alerts = vec![AlertPercent::new(80).unwrap()];
        })
    };
    world.limit("a", &alerting(1_000));
    world.buy(0, "a", 500, 500).unwrap();
    world.pass(Duration::from_secs(1));
    let alerts = |world: &World| {
        let entries = world.log.iter().flat_map(|batch| &batch.entries);
        entries
            .filter(|entry| matches!(entry, Entry::Alert { .. }))
            .count()
    };
    assert_eq!(alerts(&world), 0);
    world.limit("a", &alerting(600));
    assert_eq!(alerts(&world), 1);
}
