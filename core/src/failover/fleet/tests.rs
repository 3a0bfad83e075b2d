use super::*;
use crate::failover::{Breaker, Failure};
use crate::limits::{TARGETS_INTERVAL, TARGETS_OF_REPORT};
use crate::policy::BreakerSettings;

fn target(model: &str) -> TargetId {
    TargetId {
        provider: ProviderName::new("openai").unwrap(),
        model: ModelName::new(model).unwrap(),
    }
}

fn report(open: bool, epoch: u64) -> Report {
    Report {
        target: target("gpt-4o"),
        epoch,
        open,
        alone_for: Duration::ZERO,
        recovered: false,
        passed_over: 1,
        attempts: 1,
        failures: 1,
        error: Some(("unavailable (503)".to_owned(), Duration::from_secs(1))),
    }
}

fn say(fleet: &mut FleetTargets, session: u64, report: Report, millis: u64) -> Word {
    let reports = Reports {
        proxy: format!("proxy-{session}").parse().unwrap(),
        targets: vec![report],
    };
    let now = Mono::from_nanos(millis * 1_000_000);
    let wall = Wall::from_millis(1_000_000);
    fleet.report(session, reports, (now, wall)).0.remove(0)
}

#[test]
fn one_proxy_of_several_does_not_take_a_target_from_the_others() {
    let mut fleet = FleetTargets::default();
    (0..3).for_each(|session| fleet.join(session));
    assert!(!say(&mut fleet, 0, report(true, 0), 0).open);
    assert!(say(&mut fleet, 1, report(true, 0), 0).open);
    // The two are one again when the other goes.
    fleet.leave(0);
    assert!(!fleet.status(&target("gpt-4o")).unwrap().open);
    let status = fleet.status(&target("gpt-4o")).unwrap();
    assert_eq!((status.open_at, status.attempts), (1, 2));
    assert_eq!(status.errors[0].reason, "unavailable (503)");
    assert_eq!(status.errors[0].at.as_millis(), 999_000);
}

#[test]
fn one_proxy_at_a_time_tries_a_target_and_an_answer_frees_it_for_all() {
    let mut fleet = FleetTargets::default();
    (0..3).for_each(|session| fleet.join(session));
    say(&mut fleet, 0, report(true, 0), 0);
    let words = [1, 2, 0].map(|session| say(&mut fleet, session, report(true, 0), 0));
    assert_eq!(words.map(|word| word.trial), [true, false, false]);
    assert!(!say(&mut fleet, 0, report(true, 0), 999).trial);
    assert!(say(&mut fleet, 0, report(true, 0), 1_000).trial);
    let answered = Report {
        recovered: true,
        open: false,
        ..report(false, 0)
    };
    let word = say(&mut fleet, 0, answered, 1_100);
    assert!(!word.open);
    assert_eq!(word.epoch, 1);
    // What the others saw before that counts no more.
    for session in [1, 2] {
        assert!(!say(&mut fleet, session, report(true, 0), 1_200).open);
    }
}

#[test]
fn targets_that_fail_are_not_forgotten_for_those_that_do_not() {
    let mut fleet = FleetTargets::default();
    fleet.join(0);
    say(&mut fleet, 0, report(true, 0), 0);
    let now = (Mono::default(), Wall::from_millis(0));
    for first in (0..TARGETS * 2).step_by(TARGETS_OF_REPORT) {
        let targets = (first..first + TARGETS_OF_REPORT).map(|number| Report {
            target: target(&format!("m-{number}")),
            ..report(false, 0)
        });
        let proxy = "p".parse().unwrap();
        let targets = targets.collect();
        fleet.report(0, Reports { proxy, targets }, now);
    }
    assert_eq!(fleet.all().count(), TARGETS);
    assert!(fleet.status(&target("gpt-4o")).unwrap().open);
}

#[test]
fn a_target_whose_provider_named_a_time_is_tried_by_nobody_before_that() {
    let mut fleet = FleetTargets::default();
    for session in 0..3 {
        fleet.join(session);
    }
    let asked = Report {
        alone_for: Duration::from_secs(30),
        ..report(true, 0)
    };
    say(&mut fleet, 0, asked, 1_000);
    for millis in [1_100, 2_500, 30_900] {
        let word = say(&mut fleet, 1, report(true, 0), millis);
        assert!(word.open && !word.trial, "at {millis}");
    }
    assert!(say(&mut fleet, 1, report(true, 0), 31_000).trial);
}

#[test]
fn a_time_that_was_named_before_an_answer_holds_nobody_back_after_it() {
    let mut fleet = FleetTargets::default();
    fleet.join(0);
    let asked = Report {
        alone_for: Duration::from_secs(30),
        ..report(true, 0)
    };
    assert!(!say(&mut fleet, 0, asked, 1_000).trial);
    let answered = Report {
        recovered: true,
        ..report(false, 0)
    };
    assert!(!say(&mut fleet, 0, answered, 2_000).open);
    assert!(!say(&mut fleet, 0, report(true, 1), 2_500).trial);
    assert!(say(&mut fleet, 0, report(true, 1), 3_000).trial);
}

/// Twenty proxies, whose primary is down from the tenth second to the seventieth. Each gets ten
/// requests a second, and exchanges reports as real ones do.
#[test]
fn twenty_proxies_try_a_dead_target_like_one_and_are_back_within_seconds() {
    const PROXIES: usize = 20;
    let settings = BreakerSettings::default();
    let mut fleet = FleetTargets::default();
    let mut breakers: Vec<_> = (0..PROXIES).map(|_| Breaker::default()).collect();
    let mut seen: Vec<_> = (0..PROXIES).map(|_| report(false, 0)).collect();
    (0..PROXIES).for_each(|place| fleet.join(u64::try_from(place).unwrap()));
    let down = 10_000..70_000;
    let (mut requests, mut extra, mut late, mut last_passed) = (0, 0, 0, 0);
    for millis in 0..90_000_u64 {
        let now = Mono::from_nanos(millis * 1_000_000);
        for place in 0..PROXIES {
            let offset = u64::try_from(place).unwrap();
            let (breaker, seen) = (&mut breakers[place], &mut seen[place]);
            if (millis + 7 * offset) % 100 == 0 {
                requests += u64::from(down.contains(&millis));
                if !breaker.admits(&settings, now) {
                    seen.passed_over += 1;
                    last_passed = millis;
                } else if down.contains(&millis) {
                    extra += 1;
                    late += u64::from(millis >= 12_000);
                    breaker.failed(Failure::Connect, 0, &settings, now);
                } else {
                    seen.recovered |= breaker.is_open();
                    breaker.answered();
                }
            }
            let interval = u64::try_from(TARGETS_INTERVAL.as_millis()).unwrap();
            if (millis + 23 * offset) % interval == 0 {
                seen.open = breaker.is_open_by_itself();
                let word = say(&mut fleet, offset, seen.clone(), millis);
                if word.epoch > seen.epoch {
                    breaker.recovered();
                }
                breaker.told(word.open, word.trial, &settings, now);
                *seen = Report {
                    passed_over: 0,
                    ..report(false, word.epoch)
                };
            }
        }
    }
    assert!(extra * 10 <= requests, "{extra} of {requests}");
    assert!(late <= 60, "{late} trials in 58 seconds");
    assert!(last_passed <= 75_000, "left alone until {last_passed}");
    assert!(breakers.iter().all(|breaker| !breaker.is_open()));
}
