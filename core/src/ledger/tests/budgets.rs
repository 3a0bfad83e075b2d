//! Money.

use super::*;
use crate::quota::{Day, PastReport};

fn ten_dollars() -> Terms {
    terms(|terms| terms.daily = Some(usd(1_000)))
}

#[test]
fn spend_never_passes_the_limit_and_all_of_it_can_be_spent() {
    let mut world = World::new(4);
    world.limit("a", &ten_dollars());
    let mut spent = 0;
    for turn in 0..10_000 {
        // Reserves ten cents, costs three.
        match world.buy(turn % 4, "a", 10, 3) {
            Ok(()) => spent += 3,
            Err(Refused::Budget { monthly, .. }) => {
                assert!(!monthly);
                break;
            }
            Err(other) => panic!("{other:?}"),
        }
        world.pass(Duration::from_millis(20));
    }
    assert!((980..=1_000).contains(&spent), "{spent}");
    let state = world.ledger.agent(&name("a"), world.at(), world.wall());
    let day = state.unwrap().day.unwrap();
    world.pass(Duration::from_secs(2));
    assert_eq!(day.money.spent, usd(spent));
    assert_eq!(day.period, "2026-11-25");
}

#[test]
fn money_that_calls_under_way_have_set_aside_is_waited_for() {
    let mut world = World::new(2);
    world.limit("a", &ten_dollars());
    let all = Need {
        money: usd(900),
        ..Need::default()
    };
    let mut running = world.ask(0, "a", all).unwrap();
    let waiter = world.try_ask(1, "a", all).unwrap_err();
    world.pass(Duration::from_secs(5));
    assert!(world.outcome(1, waiter).is_none(), "not refused");
    let now = world.mono();
    world.agent(0, "a").spend(&mut running, usd(50), now);
    world.agent(0, "a").finish(running, 0, now);
    world.pass(Duration::from_millis(500));
    assert!(world.outcome(1, waiter).unwrap().is_ok());
}

#[test]
fn what_can_never_fit_is_refused_at_once_with_the_reason() {
    let mut world = World::new(1);
    world.limit("a", &ten_dollars());
    let need = Need {
        money: usd(1_001),
        ..Need::default()
    };
    let Err(Refused::Budget {
        monthly, standing, ..
    }) = world.ask(0, "a", need)
    else {
        panic!("ten dollars are all there is");
    };
    assert!(!monthly);
    assert_eq!((standing.limit, standing.spent), (usd(1_000), usd(0)));
    assert_eq!(standing.resets_in.as_secs() / 60, 12 * 60 - 1);
}

#[test]
fn a_cost_beyond_what_was_set_aside_is_debt() {
    let mut world = World::new(1);
    world.limit("a", &ten_dollars());
    world.buy(0, "a", 100, 700).unwrap();
    world.pass(Duration::from_secs(1));
    assert!(world.buy(0, "a", 301, 1).is_err());
    world.buy(0, "a", 300, 300).unwrap();
}

#[test]
fn the_month_counts_all_its_days() {
    let mut world = World::new(1);
    world.limit(
        "a",
        &terms(|terms| {
            terms.daily = Some(usd(1_000));
            terms.monthly = Some(usd(1_200));
        }),
    );
    world.buy(0, "a", 1_000, 1_000).unwrap();
    world.pass(Duration::from_secs(1));
    world.now += Duration::from_secs(12 * 3_600);
    world.pass(Duration::from_secs(15));
    world.proxies.clear();
    world.add_proxy();
    let terms = world.ledger.policy[&name("a")].clone();
    world.limit("a", &terms);
    let refused = world.buy(0, "a", 201, 1).unwrap_err();
    assert!(
        matches!(refused, Refused::Budget { monthly: true, .. }),
        "{refused:?}"
    );
    world.buy(0, "a", 200, 200).unwrap();
}

#[test]
fn a_soft_limit_is_compared_with_what_was_spent() {
    let mut world = World::new(2);
    let mut soft = ten_dollars();
    soft.soft = true;
    world.limit("a", &soft);
    world.buy(0, "a", 0, 999).unwrap();
    world.pass(Duration::from_secs(1));
    world.buy(1, "a", 0, 50).unwrap();
    world.pass(Duration::from_secs(2));
    for proxy in [0, 1] {
        let refused = world.buy(proxy, "a", 0, 1).unwrap_err();
        assert!(matches!(refused, Refused::Budget { .. }), "{refused:?}");
    }
}

#[test]
fn an_alert_is_raised_once_and_again_for_a_limit_that_was_raised() {
    let mut world = World::new(2);
    let alerting = |cents| {
        terms(|terms| {
            terms.daily = Some(usd(cents));
            terms.alerts = vec![crate::units::AlertPercent::new(80).unwrap()];
        })
    };
    world.limit("a", &alerting(1_000));
    let alerts = |world: &World| {
        let entries = world.log.iter().flat_map(|batch| &batch.entries);
        entries
            .filter(|entry| matches!(entry, crate::ledger::Entry::Alert { .. }))
            .count()
    };
    for turn in 0..9 {
        world.buy(turn % 2, "a", 100, 100).unwrap();
        world.pass(Duration::from_secs(1));
        assert_eq!(alerts(&world), usize::from(turn >= 7), "{turn}");
    }
    world.limit("a", &alerting(2_000));
    world.pass(Duration::from_secs(1));
    assert_eq!(alerts(&world), 1);
    for turn in 0..8 {
        world.buy(turn % 2, "a", 100, 100).unwrap();
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(alerts(&world), 2);
}

#[test]
fn a_correction_is_booked_once() {
    let mut world = World::new(1);
    world.limit("a", &ten_dollars());
    world.buy(0, "a", 400, 400).unwrap();
    world.pass(Duration::from_secs(1));
    for _ in 0..3 {
        world.tell(Input::Adjust {
            id: 7,
            agent: name("a"),
            nanos: -1_500_000_000,
            author: "me".to_owned(),
            message: "refund".to_owned(),
        });
        world.settle();
    }
    let state = world.ledger.agent(&name("a"), world.at(), world.wall());
    assert_eq!(state.unwrap().day.unwrap().money.spent, usd(250));
    assert!(world.buy(0, "a", 751, 1).is_err());
    world.buy(0, "a", 750, 1).unwrap();
}

#[test]
fn what_a_lost_session_held_is_unsettled_until_its_truth_is_told() {
    let mut world = World::new(2);
    world.limit("a", &ten_dollars());
    let need = Need {
        money: usd(300),
        ..Need::default()
    };
    let _lost = world.ask(0, "a", need).unwrap();
    let session = world.link(0).session.unwrap();
    world.proxies[0].is_cut = true;
    world.pass(Duration::from_secs(12));
    let state = |world: &World| {
        let state = world.ledger.agent(&name("a"), world.at(), world.wall());
        state.unwrap().day.unwrap().money
    };
    assert!(state(&world).unsettled >= usd(300));
    // Its successor found in its journal that at most 120 cents can have been spent.
    world.proxies[1].session = Session::new(ProxyId::new("p0").unwrap(), 99, world.mono());
    let now = world.mono();
    world.proxies[1].session.handle_timeout(now);
    world.input(1, SessionInput::Opened);
    world.settle();
    for _ in 0..2 {
        let mut report = empty_report(&world, 1);
        report.past = vec![PastReport {
            session,
            agent: name("a"),
            day: Day::from_number(20_261_125).unwrap(),
            spent: usd(120),
            last: true,
            estimated: true,
        }];
        world.say(1, ToLedger::Report(report));
        world.settle();
        assert_eq!(state(&world).unsettled, usd(0));
        assert_eq!(state(&world).spent, usd(120));
    }
}
