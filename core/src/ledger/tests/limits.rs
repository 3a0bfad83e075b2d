//! Requests, tokens and places.

use super::*;
use crate::quota::Limit;

fn five_a_minute() -> Terms {
    terms(|terms| terms.requests_per_minute = Some(5))
}

#[test]
fn no_more_than_the_limit_begin_in_a_minute_over_all_proxies() {
    let mut world = World::new(4);
    world.limit("a", &five_a_minute());
    let mut begun = 0;
    for turn in 0..1_000 {
        if world.ask(turn % 4, "a", Need::default()).is_ok() {
            begun += 1;
        }
        world.pass(Duration::from_millis(50));
    }
    assert_eq!(begun, 5, "in fifty seconds");
    world.pass(Duration::from_secs(11));
    assert!(world.ask(0, "a", Need::default()).is_ok());
}

#[test]
fn a_lone_caller_who_waits_as_told_is_admitted() {
    let mut world = World::new(3);
    world.limit("a", &five_a_minute());
    for proxy in [0, 1, 2, 0, 1] {
        world.begin(proxy, "a");
        world.pass(Duration::from_secs(2));
    }
    for turn in 0..20 {
        let Err(Refused::Limit {
            limit,
            allows,
            retry_after,
        }) = world.ask(turn % 3, "a", Need::default())
        else {
            panic!("the limit is used up");
        };
        assert_eq!((limit, allows), (Limit::RequestsPerMinute, 5));
        assert!(retry_after <= Duration::from_secs(61), "{retry_after:?}");
        world.pass(Duration::from_secs(retry_after.as_secs() + 1));
        world.begin((turn + 1) % 3, "a");
    }
}

#[test]
fn different_callers_are_told_different_releases() {
    let mut world = World::new(1);
    world.limit("a", &five_a_minute());
    for _ in 0..5 {
        world.begin(0, "a");
        world.pass(Duration::from_secs(5));
    }
    let now = world.mono();
    let link = world.link(0);
    let waiters: Vec<_> = (0..3)
        .map(
            |_| match world.agent(0, "a").admit(Need::default(), &link, now) {
                Admission::Parked(waiter) => waiter,
                other => panic!("{other:?}"),
            },
        )
        .collect();
    world.pass(Duration::from_millis(20));
    let mut told: Vec<_> = waiters
        .into_iter()
        .map(|waiter| match world.outcome(0, waiter) {
            Some(Err(Refused::Limit { retry_after, .. })) => retry_after.as_secs(),
            other => panic!("{other:?}"),
        })
        .collect();
    told.dedup();
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn idle_permits_are_called_back_for_those_who_wait() {
    let mut world = World::new(2);
    let terms = terms(|terms| terms.requests_per_minute = Some(100));
    world.limit("a", &terms);
    for _ in 0..40 {
        world.begin(0, "a");
        world.pass(Duration::from_millis(20));
    }
    let idle = world.agent(0, "a").idle_requests();
    assert!(idle > 1, "held ahead: {idle}");
    let mut begun = 40;
    while let Ok(ticket) = world.ask(1, "a", Need::default()) {
        let now = world.mono();
        world.agent(1, "a").finish(ticket, 0, now);
        begun += 1;
    }
    assert_eq!(begun, 100, "all of the limit, wherever its permits were");
    assert_eq!(world.agent(0, "a").idle_requests(), 0);
}

#[test]
fn a_request_refused_by_one_limit_takes_nothing_of_the_others() {
    let mut world = World::new(1);
    world.limit(
        "a",
        &terms(|terms| {
            terms.requests_per_minute = Some(10);
            terms.max_concurrent = Some(1);
        }),
    );
    let running = world.ask(0, "a", Need::default()).unwrap();
    for _ in 0..50 {
        let refused = world.ask(0, "a", Need::default()).unwrap_err();
        assert!(
            matches!(
                refused,
                Refused::Limit {
                    limit: Limit::Concurrent,
                    ..
                }
            ),
            "{refused:?}"
        );
        world.pass(Duration::from_millis(100));
    }
    let now = world.mono();
    world.agent(0, "a").finish(running, 0, now);
    world.pass(Duration::from_secs(2));
    for turn in 0..9 {
        let ticket = world.ask(0, "a", Need::default());
        let ticket = ticket.unwrap_or_else(|refused| panic!("{turn}: {refused:?}"));
        let now = world.mono();
        world.agent(0, "a").finish(ticket, 0, now);
    }
}

#[test]
fn tokens_are_set_aside_and_then_counted_as_they_were_used() {
    let mut world = World::new(2);
    world.limit("a", &terms(|terms| terms.tokens_per_minute = Some(1_000)));
    let need = Need {
        tokens: 600,
        ..Need::default()
    };
    let first = world.ask(0, "a", need).unwrap();
    let waiting = world.try_ask(1, "a", need);
    let refused = match waiting {
        Ok(Err(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        refused,
        Refused::Limit {
            limit: Limit::TokensPerMinute,
            ..
        }
    ));
    let now = world.mono();
    world.agent(0, "a").finish(first, 100, now);
    world.pass(Duration::from_secs(2));
    let second = world.ask(1, "a", need).unwrap();
    let now = world.mono();
    world.agent(1, "a").finish(second, 900, now);
    world.pass(Duration::from_secs(2));
    assert_eq!(
        world.ledger.books().agents[&name("a")].tokens.total(),
        1_000
    );
    assert!(world.ask(0, "a", Need { tokens: 1, ..need }).is_err());
}

#[test]
fn both_windows_hold_at_once() {
    let mut world = World::new(2);
    world.limit(
        "a",
        &terms(|terms| {
            terms.requests_per_minute = Some(5);
            terms.requests_per_hour = Some(12);
        }),
    );
    let mut begun = 0;
    for turn in 0..600_usize {
        begun += usize::from(world.ask(turn % 2, "a", Need::default()).is_ok());
        world.pass(Duration::from_millis(500));
    }
    assert_eq!(begun, 12, "in five minutes");
    let refused = world.ask(0, "a", Need::default()).unwrap_err();
    assert!(matches!(
        refused,
        Refused::Limit {
            limit: Limit::RequestsPerHour,
            allows: 12,
            ..
        }
    ));
}

#[test]
fn raising_a_limit_raises_the_ceiling_and_lowering_it_lets_old_permits_run_out() {
    let mut world = World::new(2);
    let limit = |count| terms(|terms| terms.requests_per_minute = Some(count));
    world.limit("a", &limit(5));
    let drain = |world: &mut World| {
        let mut begun = 0;
        while world.ask(begun % 2, "a", Need::default()).is_ok() {
            begun += 1;
        }
        begun
    };
    assert_eq!(drain(&mut world), 5);
    world.limit("a", &limit(8));
    assert_eq!(drain(&mut world), 3, "what was used stays used");
    world.limit("a", &limit(4));
    world.pass(Duration::from_secs(30));
    assert_eq!(drain(&mut world), 0);
    world.limit("b", &limit(1));
    assert_eq!(
        drain(&mut world),
        0,
        "another agent's entry changes nothing"
    );
    world.limit("a", &limit(8));
    assert_eq!(
        drain(&mut world),
        0,
        "back to where it was, nothing is refilled"
    );
    world.pass(Duration::from_secs(31));
    assert_eq!(drain(&mut world), 8);
}
