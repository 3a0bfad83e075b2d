//! Those who wait, and those who hold what others wait for.

use super::*;
use crate::lease::Reservation;
use crate::ledger::Entry;
use crate::limits::{ADMISSION_WAIT, WAITING_REPORT_INTERVAL};
use crate::quota::Limit;

fn money(cents: u64) -> Need {
    Need {
        money: usd(cents),
        ..Need::default()
    }
}

#[test]
fn one_who_waits_long_for_money_is_not_looked_at_in_circles() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.daily = Some(usd(1_000))));
    let running = world.ask(0, "a", money(900)).unwrap();
    let waiter = world.try_ask(1, "a", money(900)).unwrap_err();
    world.now += ADMISSION_WAIT;
    let (link, now) = (world.link(1), world.mono());
    assert!(world.agent(1, "a").handle_timeout(&link, now).is_empty());
    let next = world.agent(1, "a").poll_timeout().unwrap();
    assert_eq!(next, now.after(WAITING_REPORT_INTERVAL));
    assert!(world.outcome(1, waiter).is_none());
    drop(running);
}

#[test]
fn tokens_that_are_waited_for_together_are_not_given_back_meanwhile() {
    let mut world = World::new(2);
    world.limit(
        "a",
        &terms(|terms| {
            terms.tokens_per_minute = Some(1_000);
            terms.daily = Some(usd(1_000));
        }),
    );
    let mut running = world.ask(0, "a", money(900)).unwrap();
    let need = Need {
        tokens: 400,
        money: usd(900),
    };
    let waiter = world.try_ask(1, "a", need).unwrap_err();
    let before = world.log.len();
    world.pass(Duration::from_secs(5));
    assert!(world.outcome(1, waiter).is_none(), "it lacks only money");
    let entries = world.log[before..].iter().flat_map(|it| &it.entries);
    let moved = entries.filter(|entry| matches!(entry, Entry::Granted { .. } | Entry::Used { .. }));
    assert!(moved.count() <= 1, "not given back and asked for in turns");
    let now = world.mono();
    world.agent(0, "a").free(&mut running, NanoUsd::ZERO, now);
    world.agent(0, "a").finish(running, 0, now);
    world.pass(Duration::from_millis(500));
    assert!(world.outcome(1, waiter).unwrap().is_ok());
}

#[test]
fn one_who_waits_for_money_does_not_keep_others_from_being_refused() {
    let mut world = World::new(1);
    world.limit(
        "a",
        &terms(|terms| {
            terms.max_concurrent = Some(1);
            terms.daily = Some(usd(1_000));
        }),
    );
    let running = world.ask(0, "a", money(600)).unwrap();
    let (link, now) = (world.link(0), world.mono());
    let more = world.agent(0, "a").reserve(&running, usd(600), &link, now);
    let waits = matches!(more, Reservation::Parked(_) | Reservation::Refused(_));
    assert!(waits, "{more:?}");
    let refused = world.ask(0, "a", money(1)).unwrap_err();
    let concurrent = matches!(
        refused,
        Refused::Limit {
            limit: Limit::Concurrent,
            ..
        }
    );
    assert!(concurrent, "{refused:?}");
    drop(running);
}

#[test]
fn a_permit_that_was_just_used_elsewhere_is_asked_about_before_anyone_is_refused() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(1)));
    world.begin(0, "a");
    let Refused::Limit { retry_after, .. } = world.ask(1, "a", Need::default()).unwrap_err() else {
        panic!("one a minute is all there is");
    };
    assert!(retry_after > Duration::from_secs(58), "{retry_after:?}");
}

#[test]
fn a_new_owner_can_call_back_what_an_old_one_has_called_back_before() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(100)));
    // Proxy 0 holds some ahead; proxy 1 takes all there is.
    let all = |world: &mut World| {
        for _ in 0..40 {
            world.begin(0, "a");
            world.pass(Duration::from_millis(20));
        }
        let held = world.agent(0, "a").idle_requests();
        assert!(held > 1, "{held}");
        let mut begun = 40;
        while world.ask(1, "a", Need::default()).is_ok() {
            begun += 1;
        }
        begun
    };
    for _ in 0..3 {
        assert_eq!(all(&mut world), 100);
        world.pass(Duration::from_secs(62));
    }
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
    assert_eq!(all(&mut world), 100);
}

#[test]
fn parts_of_money_that_serve_nobody_are_brought_together() {
    let mut world = World::new(4);
    world.limit("a", &terms(|terms| terms.daily = Some(usd(20))));
    // Each proxy is left with four cents; the requests that wait need seven.
    for proxy in 0..4 {
        world.buy(proxy, "a", 5, 1).unwrap();
    }
    let need = Need {
        money: usd(7),
        ..Need::default()
    };
    let link_of = |world: &World, proxy| world.link(proxy);
    let mut waiters = Vec::new();
    for proxy in 0..4 {
        let (link, now) = (link_of(&world, proxy), world.mono());
        match world.agent(proxy, "a").admit(need, &link, now) {
            Admission::Granted(ticket) => drop(ticket),
            Admission::Parked(waiter) => waiters.push((proxy, waiter)),
            Admission::Refused(refused) => panic!("{refused:?}"),
        }
    }
    world.pass(Duration::from_secs(2));
    let begun = waiters
        .into_iter()
        .filter_map(|(proxy, waiter)| world.outcome(proxy, waiter))
        .flatten()
        .map(drop)
        .count();
    assert_eq!(begun, 2, "sixteen cents are two times seven");
}

#[test]
fn of_limits_that_are_used_up_together_each_is_heard() {
    let mut world = World::new(1);
    world.limit(
        "a",
        &terms(|terms| {
            terms.requests_per_minute = Some(1);
            terms.max_concurrent = Some(1);
        }),
    );
    let ticket = world.ask(0, "a", Need::default()).unwrap();
    let now = world.mono();
    world.agent(0, "a").finish(ticket, 0, now);
    let (link, now) = (world.link(0), world.mono());
    for _ in 0..3 {
        let admission = world.agent(0, "a").admit(Need::default(), &link, now);
        assert!(matches!(admission, Admission::Parked(_)), "{admission:?}");
    }
    world.pass(Duration::from_millis(500));
    assert_eq!(world.agent(0, "a").waiting(), 0);
    for outcome in world.decided.values() {
        let Outcome::Refused(Refused::Limit { limit, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(*limit, Limit::RequestsPerMinute);
    }
}

#[test]
fn a_permit_kept_by_one_who_was_refused_for_money_is_called_back() {
    let mut world = World::new(2);
    world.limit(
        "a",
        &terms(|terms| {
            terms.requests_per_minute = Some(1);
            terms.daily = Some(usd(1_000));
        }),
    );
    assert!(world.ask(0, "a", money(1_001)).is_err());
    world.pass(Duration::from_secs(1));
    assert!(world.ask(1, "a", money(1)).is_ok());
}

#[test]
fn whoever_waits_as_told_by_another_clock_comes_after_the_release() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.requests_per_hour = Some(1)));
    world.begin(0, "a");
    let Refused::Limit { retry_after, .. } = world.ask(0, "a", Need::default()).unwrap_err() else {
        panic!("one an hour is all there is");
    };
    // An hour, what the window allows two clocks to be apart, and the same again.
    let longest = Duration::from_millis(3_600_000 + 3_600 * 4);
    assert!(retry_after > Duration::from_millis(3_600_000 + 3_600 * 3 / 2));
    assert!(retry_after < longest);
}

#[test]
fn more_than_will_soon_be_served_do_not_wait_for_the_next_release() {
    let mut world = World::new(1);
    world.limit("a", &terms(|terms| terms.requests_per_minute = Some(3_000)));
    for _ in 0..3_000 {
        world.begin(0, "a");
        world.pass(Duration::from_millis(20));
    }
    world.pass(Duration::from_millis(100));
    // From now on one is free every 20 milliseconds, and two hundred want it.
    let (link, now) = (world.link(0), world.mono());
    for _ in 0..200 {
        let admission = world.agent(0, "a").admit(Need::default(), &link, now);
        let waits = matches!(admission, Admission::Parked(_) | Admission::Granted(_));
        assert!(waits, "{admission:?}");
    }
    world.pass(Duration::from_millis(500));
    assert_eq!(world.agent(0, "a").waiting(), 0);
}
