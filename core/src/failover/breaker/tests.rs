use proptest::prelude::*;

use super::*;

fn settings() -> BreakerSettings {
    BreakerSettings {
        consecutive_failures: 3,
        error_percent: 50,
        min_requests: 10,
        window: Duration::from_secs(10),
        open: Duration::from_secs(1),
        max_open: Duration::from_secs(3),
    }
}

fn at(millis: u64) -> Mono {
    Mono::from_nanos(millis * 1_000_000)
}

fn refused(status: u16, refusal: Refusal, retry_after: Option<u64>) -> Failure {
    Failure::Refused {
        status,
        refusal,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

fn opened() -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..3 {
        breaker.failed(Failure::Connect, 0, &settings(), at(0));
    }
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
    let settings = settings();
    let mut breaker = Breaker::default();
    for _ in 0..3 {
        assert!(!breaker.failed(Failure::Reset, 0, &settings, at(0)));
        assert!(!breaker.failed(Failure::Reset, 0, &settings, at(0)));
        breaker.answered();
        assert!(breaker.admits(&settings, at(0)));
    }
    let mut breaker = Breaker::default();
    let opened: Vec<_> = (0..3)
        .map(|_| breaker.failed(Failure::Reset, 0, &settings, at(0)))
        .collect();
    assert_eq!(opened, [false, false, true]);
    assert!(!breaker.admits(&settings, at(999)));
}

#[test]
fn a_share_of_failures_opens_it_once_there_are_enough_calls() {
    let settings = settings();
    let mut breaker = Breaker::default();
    for call in 0..4 {
        assert!(!breaker.failed(Failure::Truncated, 4, &settings, at(call)));
        breaker.answered();
    }
    assert!(!breaker.failed(Failure::Truncated, 6, &settings, at(10)));
    breaker.answered();
    assert!(breaker.failed(Failure::Truncated, 6, &settings, at(11)));
}

#[test]
fn failures_older_than_the_window_are_forgotten() {
    let settings = settings();
    let mut breaker = Breaker::default();
    for _ in 0..8 {
        breaker.failed(Failure::Truncated, 20, &settings, at(0));
        breaker.answered();
    }
    assert!(!breaker.failed(Failure::Truncated, 9, &settings, at(11_000)));
}

#[test]
fn it_is_untroubled_until_a_call_fails_and_again_after_an_answer() {
    let settings = settings();
    let mut breaker = Breaker::default();
    assert!(breaker.is_untroubled());
    breaker.failed(refused(400, Refusal::Request, None), 0, &settings, at(0));
    assert!(breaker.is_untroubled());
    breaker.failed(Failure::Connect, 0, &settings, at(0));
    assert!(!breaker.is_untroubled());
    breaker.answered();
    assert!(breaker.is_untroubled());
    assert!(!opened().is_untroubled());
}

#[test]
fn an_outage_is_left_within_seconds_of_its_end() {
    let settings = BreakerSettings::default();
    let mut breaker = Breaker::default();
    let (mut now, end) = (0, 60_000);
    while now < end {
        if breaker.admits(&settings, at(now)) {
            breaker.failed(Failure::Connect, 0, &settings, at(now));
        }
        now += 10;
    }
    while !breaker.admits(&settings, at(now)) {
        now += 10;
    }
    assert!(now - end <= 5_000, "{now}");
}

#[test]
fn what_only_a_person_can_help_is_tried_less_and_less() {
    let settings = settings();
    let mut breaker = Breaker::default();
    let mut trials = 0;
    for now in (0..600_000).step_by(100) {
        if breaker.admits(&settings, at(now)) {
            trials += 1;
            let failure = refused(401, Refusal::Credentials, None);
            breaker.failed(failure, 0, &settings, at(now));
        }
    }
    assert_eq!(trials, 12);
}

#[test]
fn a_single_call_tries_an_open_target_and_closes_it() {
    let settings = settings();
    let mut breaker = opened();
    assert!(!breaker.admits(&settings, at(0)));
    assert!(breaker.admits(&settings, at(1_000)));
    assert!(!breaker.admits(&settings, at(1_000)), "one trial at a time");
    breaker.answered();
    assert!(breaker.admits(&settings, at(1_100)));
    assert!(!breaker.is_open());
}

#[test]
fn each_failed_trial_doubles_the_pause_up_to_its_bound() {
    let settings = settings();
    let mut breaker = opened();
    let mut now = 1_000;
    for pause in [2_000, 3_000, 3_000] {
        assert!(breaker.admits(&settings, at(now)));
        assert!(breaker.failed(Failure::Connect, 0, &settings, at(now)));
        assert!(!breaker.admits(&settings, at(now + pause - 1)));
        now += pause;
    }
}

#[test]
fn a_trial_that_is_never_heard_of_is_followed_by_another() {
    let settings = settings();
    let mut breaker = opened();
    assert!(breaker.admits(&settings, at(1_000)));
    assert!(!breaker.admits(&settings, at(1_999)));
    assert!(breaker.admits(&settings, at(2_000)));
}

#[test]
fn what_the_request_is_to_blame_for_does_not_count() {
    let settings = settings();
    let mut breaker = Breaker::default();
    for failure in [
        Failure::Deadline,
        refused(400, Refusal::Request, None),
        refused(400, Refusal::ContentFilter, None),
        refused(400, Refusal::ContextLength, None),
        refused(409, Refusal::Unavailable, None),
    ] {
        for _ in 0..20 {
            assert!(!breaker.failed(failure, 0, &settings, at(0)), "{failure:?}");
        }
    }
    let mut trying = opened();
    assert!(trying.admits(&settings, at(1_000)));
    trying.failed(
        refused(400, Refusal::Request, None),
        0,
        &settings,
        at(1_000),
    );
    assert!(!trying.is_open(), "the target lives");
}

#[test]
fn a_provider_that_names_a_time_is_left_alone_that_long() {
    let settings = settings();
    let mut breaker = Breaker::default();
    assert!(breaker.failed(
        refused(429, Refusal::RateLimited, Some(3)),
        0,
        &settings,
        at(0)
    ));
    assert!(!breaker.admits(&settings, at(2_999)));
    assert!(breaker.admits(&settings, at(3_000)));
    let mut brief = Breaker::default();
    assert!(!brief.failed(
        refused(429, Refusal::RateLimited, Some(1)),
        0,
        &settings,
        at(0)
    ));
}

#[test]
fn of_two_times_that_a_provider_names_the_later_one_holds() {
    let settings = settings();
    for (first, second) in [(3, 60), (60, 3)] {
        let mut breaker = Breaker::default();
        // Two calls were under way; one answer comes a second after the other.
        for (wait, now) in [(first, 0), (second, 1_000)] {
            let limited = refused(429, Refusal::RateLimited, Some(wait));
            breaker.failed(limited, 0, &settings, at(now));
        }
        assert!(!breaker.admits(&settings, at(59_999)), "{first}, {second}");
        assert!(breaker.admits(&settings, at(61_000)), "{first}, {second}");
    }
    // Failures that name no time leave it as it is.
    let mut breaker = opened();
    breaker.failed(Failure::Connect, 0, &settings, at(900));
    assert!(breaker.admits(&settings, at(1_000)));
}

proptest! {
    /// Whatever happens, an open breaker lets at most one call pass in each of its pauses, and it
    /// lets one pass after the longest.
    #[test]
    fn it_is_never_open_for_good_and_never_floods(
        events in prop::collection::vec((0_u64..2_000, 0_u8..3), 1..200),
    ) {
        let settings = settings();
        let mut breaker = Breaker::default();
        let mut now = 0;
        let mut last_trial = None;
        for (passed, event) in events {
            now += passed;
            let was_open = breaker.is_open();
            match event {
                0 => breaker.answered(),
                1 => {
                    breaker.failed(Failure::Connect, 0, &settings, at(now));
                }
                _ => {
                    if breaker.admits(&settings, at(now)) && was_open {
                        if let Some(last) = last_trial {
                            prop_assert!(now - last >= 1_000);
                        }
                        last_trial = Some(now);
                    }
                }
            }
            if !breaker.is_open() {
                last_trial = None;
            }
        }
        prop_assert!(breaker.admits(&settings, at(now + 3_000)));
    }
}

#[test]
fn the_fleets_word_lets_nobody_pass_before_the_time_that_the_provider_named() {
    let settings = settings();
    let mut breaker = Breaker::default();
    let asked = refused(429, Refusal::RateLimited, Some(30));
    assert!(breaker.failed(asked, 0, &settings, at(0)));
    assert_eq!(breaker.alone_for(at(10_000)), Duration::from_secs(20));
    for millis in [500, 15_000, 29_900] {
        breaker.told(true, true, &settings, at(millis));
        assert!(!breaker.admits(&settings, at(millis)), "at {millis}");
    }
    breaker.told(true, true, &settings, at(30_000));
    assert!(breaker.admits(&settings, at(30_000)));
    breaker.answered();
    assert_eq!(breaker.alone_for(at(30_000)), Duration::ZERO);
}
