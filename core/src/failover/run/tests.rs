use proptest::prelude::*;

use super::*;

const START: Mono = Mono::from_nanos(1_000);

fn run(targets: usize, max_retries: Option<u32>) -> Run {
    let settings = FailoverSettings {
        max_retries,
        ..FailoverSettings::default()
    };
    Run::new(targets, &settings, START.after(Duration::from_secs(600)))
}

fn refused(status: u16, refusal: Refusal) -> Failure {
    Failure::Refused {
        status,
        refusal,
        retry_after: None,
    }
}

fn unavailable(status: u16) -> Failure {
    refused(status, Refusal::Unavailable)
}

/// The targets tried when every attempt fails like this.
fn path(mut run: Run, targets: &[Target], failure: Failure) -> (Vec<usize>, Stop) {
    let mut tried = Vec::new();
    let mut step = run.start(START);
    loop {
        match step {
            Step::Attempt { target, .. } => {
                tried.push(target);
                step = run.failed(failure, targets, START, 7);
            }
            Step::Stop(stop) => return (tried, stop),
        }
    }
}

#[test]
fn an_outage_walks_the_chain_once() {
    let targets = [Target::default(); 3];
    assert_eq!(
        path(run(3, None), &targets, unavailable(503)),
        (vec![0, 1, 2], Stop::Exhausted)
    );
}

#[test]
fn max_retries_counts_further_targets_only() {
    let targets = [Target::default(); 3];
    assert_eq!(
        path(run(3, Some(1)), &targets, unavailable(503)),
        (vec![0, 1], Stop::RetriesUsed)
    );
    assert_eq!(
        path(run(3, Some(1)), &targets, unavailable(500)),
        (vec![0, 0, 1, 1], Stop::RetriesUsed)
    );
    assert_eq!(
        path(run(3, Some(0)), &targets, unavailable(503)),
        (vec![0], Stop::RetriesUsed)
    );
}

#[test]
fn the_same_model_is_retried_only_for_what_a_retry_heals() {
    let targets = [Target::default()];
    for failure in [Failure::Reset, unavailable(500), unavailable(502)] {
        assert_eq!(
            path(run(1, None), &targets, failure).0,
            vec![0, 0],
            "{failure:?}"
        );
    }
    for failure in [
        Failure::Connect,
        Failure::FirstTokenTimeout,
        Failure::IdleTimeout,
        Failure::Malformed,
        unavailable(503),
        unavailable(529),
        refused(429, Refusal::RateLimited),
        refused(401, Refusal::Credentials),
    ] {
        assert_eq!(
            path(run(1, None), &targets, failure).0,
            vec![0],
            "{failure:?}"
        );
    }
}

#[test]
fn a_short_retry_after_is_waited_for_and_a_long_one_is_not() {
    let limited = |seconds| Failure::Refused {
        status: 429,
        refusal: Refusal::RateLimited,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let targets = [Target::default(); 2];
    let mut short = run(2, None);
    short.start(START);
    let Step::Attempt {
        target: 0,
        not_before,
    } = short.failed(limited(1), &targets, START, 3)
    else {
        panic!("a short wait is worth it");
    };
    assert!(not_before.since(START) >= Duration::from_secs(1));
    let mut long = run(2, None);
    long.start(START);
    let step = long.failed(limited(30), &targets, START, 3);
    assert_eq!(
        step,
        Step::Attempt {
            target: 1,
            not_before: START
        }
    );
}

#[test]
fn a_callers_fault_ends_the_request_on_the_asked_model_only() {
    let targets = [Target::default(); 3];
    let fault = refused(400, Refusal::Request);
    assert_eq!(
        path(run(3, None), &targets, fault),
        (vec![0], Stop::CallerFault)
    );
    let mut fallback = run(3, None);
    fallback.start(START);
    fallback.failed(unavailable(503), &targets, START, 0);
    let step = fallback.failed(fault, &targets, START, 0);
    assert_eq!(
        step,
        Step::Attempt {
            target: 2,
            not_before: START
        }
    );
}

#[test]
fn a_request_that_outgrew_its_model_goes_to_a_larger_one_only() {
    let sized = |tokens| Target {
        context_window: Some(Tokens::new(tokens)),
    };
    let long = refused(400, Refusal::ContextLength);
    let targets = [sized(100), sized(50), Target::default(), sized(200)];
    assert_eq!(
        path(run(4, None), &targets, long),
        (vec![0, 3], Stop::CallerFault)
    );
    let none_larger = [sized(100), sized(100)];
    assert_eq!(
        path(run(2, None), &none_larger, long),
        (vec![0], Stop::CallerFault)
    );
}

#[test]
fn a_skipped_target_costs_no_retry() {
    let targets = [Target::default(); 3];
    let mut run = run(3, Some(1));
    run.start(START);
    let step = run.failed(unavailable(503), &targets, START, 0);
    assert_eq!(
        step,
        Step::Attempt {
            target: 1,
            not_before: START
        }
    );
    assert_eq!(
        run.skipped(&targets, START),
        Step::Attempt {
            target: 2,
            not_before: START
        }
    );
    assert_eq!(
        run.failed(unavailable(503), &targets, START, 0),
        Step::Stop(Stop::Exhausted)
    );
}

#[test]
fn nothing_begins_after_the_deadline() {
    let targets = [Target::default(); 3];
    let mut run = run(3, None);
    run.start(START);
    let late = run.deadline();
    assert_eq!(
        run.failed(unavailable(503), &targets, late, 0),
        Step::Stop(Stop::Deadline)
    );
}

fn any_failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Connect),
        Just(Failure::Reset),
        Just(Failure::FirstTokenTimeout),
        Just(Failure::Truncated),
        Just(unavailable(500)),
        Just(unavailable(503)),
        Just(refused(404, Refusal::ModelMissing)),
        Just(refused(400, Refusal::ContextLength)),
        (0_u64..5).prop_map(|seconds| Failure::Refused {
            status: 429,
            refusal: Refusal::RateLimited,
            retry_after: Some(Duration::from_secs(seconds)),
        }),
    ]
}

proptest! {
    #[test]
    fn attempts_go_forward_and_stay_within_their_bounds(
        targets in 1_usize..6,
        max_retries in proptest::option::of(0_u32..4),
        script in proptest::collection::vec((any_failure(), any::<bool>(), any::<u64>()), 80),
    ) {
        let facts = vec![Target::default(); targets];
        let mut machine = run(targets, max_retries);
        let mut now = START;
        let mut step = machine.start(now);
        let (mut last, mut moved, mut tried) = (0, false, 0);
        for (failure, skip, random) in script {
            let Step::Attempt { target, not_before } = step else { break };
            prop_assert!(target >= last && target < targets);
            prop_assert!(not_before < machine.deadline());
            tried += 1;
            last = target;
            now = not_before.after(Duration::from_millis(1));
            step = if skip && max_retries != Some(0) {
                machine.skipped(&facts, now)
            } else {
                moved |= target > 0;
                machine.failed(failure, &facts, now, random)
            };
        }
        prop_assert!(tried <= 2 * targets);
        prop_assert!(matches!(step, Step::Stop(_)));
        if max_retries == Some(0) {
            prop_assert!(!moved);
        }
    }
}
