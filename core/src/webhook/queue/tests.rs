mod world;

use std::time::Duration;

use super::*;
use crate::id::ModelName;
use crate::limits::{WEBHOOK_KEPT, WEBHOOK_LEASE};
use crate::units::Tokens;
use crate::webhook::outcome::{
    Answer as ModelAnswer, BudgetAlert, CallbackOutcome, CallbackResult, Failure,
};
use crate::webhook::work::{Step, Work};

const S: Duration = Duration::from_secs(1);

struct Bench {
    queue: Queue,
    now: Moment,
    ids: u128,
}

fn name(text: &str) -> WebhookName {
    WebhookName::new(text).unwrap()
}

fn worker(proxy: &str, incarnation: u64) -> Worker {
    Worker {
        proxy: ProxyId::new(proxy).unwrap(),
        incarnation,
    }
}

fn body(text: &str) -> Payload {
    Payload {
        body: text.as_bytes().into(),
        ..Payload::default()
    }
}

fn answered() -> RunResult {
    RunResult {
        outcome: Ok(ModelAnswer {
            model: ModelName::new("gpt-4o-mini").unwrap(),
            output: "done".to_owned(),
            input: Tokens::new(5),
            output_tokens: Tokens::new(1),
            cost: None,
        }),
        latency: S,
        prompt: None,
        calls: Vec::new(),
    }
}

fn failed(retryable: bool) -> RunResult {
    RunResult {
        outcome: Err(Failure {
            kind: "upstream".to_owned(),
            message: "all targets failed".to_owned(),
            retryable,
            retry_after: None,
        }),
        ..answered()
    }
}

fn status(status: u16) -> StepOutcome {
    post(CallbackOutcome::Answered {
        status,
        retry_after: None,
    })
}

fn post(outcome: CallbackOutcome) -> StepOutcome {
    StepOutcome::CalledBack(CallbackResult {
        outcome,
        latency: S,
    })
}

impl Bench {
    fn new() -> Self {
        let now = Moment {
            mono: Mono::from_nanos(1),
            wall: Wall::from_millis(1_000_000),
        };
        Self {
            queue: Queue::new(Vec::new(), 1, 7, now),
            now,
            ids: 0,
        }
    }

    fn pass(&mut self, span: Duration) -> Drained {
        self.now.mono = self.now.mono.after(span);
        self.now.wall = later(self.now.wall, span);
        self.queue.handle_timeout(self.now);
        self.queue.drain(self.now)
    }

    /// Time passes, and the proxy on `stream` is there.
    fn pass_alive(&mut self, stream: u64, span: Duration) -> Drained {
        self.now.mono = self.now.mono.after(span);
        self.now.wall = later(self.now.wall, span);
        self.say(stream, ToQueue::Alive)
    }

    fn handle(&mut self, input: Input) -> Drained {
        self.queue.handle(input, self.now);
        self.queue.drain(self.now)
    }

    fn say(&mut self, stream: u64, message: ToQueue) -> Drained {
        self.handle(Input::Said { stream, message })
    }

    fn hello(&mut self, stream: u64, worker: Worker, claims: &[u64]) -> Drained {
        self.say(
            stream,
            ToQueue::Hello {
                worker,
                slots: 2,
                claims: claims.to_vec(),
            },
        )
    }

    fn id(&mut self) -> ExecutionId {
        self.ids += 1;
        ExecutionId::new(self.now.wall, self.ids)
    }

    fn receive(&mut self, key: u8) -> Drained {
        let id = self.id();
        self.handle(Input::Received {
            token: u64::from(key),
            id,
            webhook: name("summarize"),
            delivery: DeliveryKey::new([key; 32]),
            hash: [key; 32],
            payload: body("{}"),
            proxy: ProxyId::new("a").unwrap(),
        })
    }

    fn done(&mut self, stream: u64, claim: u64, outcome: StepOutcome) -> Drained {
        self.say(stream, ToQueue::Done { claim, outcome })
    }
}

fn steps(drained: &Drained) -> Vec<(u64, Step)> {
    let messages = drained.messages.iter();
    messages
        .filter_map(|(stream, message)| match message {
            FromQueue::Step(step) => Some((*stream, step.clone())),
            _ => None,
        })
        .collect()
}

fn only_step(drained: &Drained) -> Step {
    let mut steps = steps(drained);
    assert_eq!(steps.len(), 1, "{drained:?}");
    steps.pop().unwrap().1
}

fn state(drained: &Drained) -> State {
    match drained.changes.last() {
        Some(Change::Is { execution, .. }) => execution.state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_proxy_that_received_a_webhook_is_asked_first() {
    let mut bench = Bench::new();
    bench.hello(1, worker("b", 1), &[]);
    bench.hello(2, worker("a", 1), &[]);
    for (key, stream) in [(1, 2), (2, 2), (3, 1)] {
        let drained = bench.receive(key);
        assert_eq!(steps(&drained)[0].0, stream);
    }
}

#[test]
fn from_receipt_to_delivery_there_are_three_commits() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let drained = bench.receive(1);
    let run = only_step(&drained);
    assert!(matches!(run.work, Work::Run { attempt: 1, .. }));
    assert_eq!(drained.changes.len(), 1);
    let drained = bench.done(1, run.claim, StepOutcome::Ran(answered()));
    let post = only_step(&drained);
    assert!(matches!(
        &post.work,
        Work::CallBack {
            result: Some(_),
            attempt: 1,
            ..
        }
    ));
    assert_eq!(post.execution, run.execution);
    assert_eq!(drained.changes.len(), 1);
    let drained = bench.done(1, post.claim, status(204));
    assert_eq!(state(&drained), State::Succeeded);
    assert_eq!((bench.queue.open, bench.queue.open_bytes), (0, 0));
}

#[test]
fn a_repeated_delivery_in_one_round_is_answered_with_the_first_ones_id() {
    let mut bench = Bench::new();
    let mut first = None;
    for token in 0..2 {
        let id = bench.id();
        first = first.or(Some(id));
        let input = Input::Received {
            token,
            id,
            webhook: name("summarize"),
            delivery: DeliveryKey::new([9; 32]),
            hash: [9; 32],
            payload: body("{}"),
            proxy: ProxyId::new("a").unwrap(),
        };
        bench.queue.handle(input, bench.now);
    }
    let drained = bench.queue.drain(bench.now);
    assert_eq!(drained.changes.len(), 1);
    let answers: Vec<_> = drained.answers.iter().map(|(_, answer)| *answer).collect();
    let accepted = |repeated| Answer::Accepted {
        id: first.unwrap(),
        state: State::Pending,
        repeated,
    };
    assert_eq!(answers, [accepted(false), accepted(true)]);
}

#[test]
fn a_model_is_asked_again_after_a_pause_and_not_more_often_than_allowed() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let mut drained = bench.receive(1);
    for attempt in 1..=3 {
        let step = only_step(&drained);
        assert!(matches!(step.work, Work::Run { attempt: at, .. } if at == attempt));
        drained = bench.done(1, step.claim, StepOutcome::Ran(failed(true)));
        if attempt < 3 {
            assert_eq!(state(&drained), State::Pending);
            drained = bench.pass_alive(1, 10 * S);
        }
    }
    let post = only_step(&drained);
    let drained = bench.done(1, post.claim, status(200));
    assert_eq!(state(&drained), State::Failed);
}

#[test]
fn what_cannot_get_better_is_not_tried_again() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let run = only_step(&bench.receive(1));
    let post = only_step(&bench.done(1, run.claim, StepOutcome::Ran(failed(false))));
    assert!(matches!(post.work, Work::CallBack { .. }));
}

#[test]
fn a_receiver_that_is_down_for_ten_minutes_gets_it_by_schedule() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let run = only_step(&bench.receive(1));
    let began = bench.now.mono;
    let mut drained = bench.done(1, run.claim, StepOutcome::Ran(answered()));
    let mut at = Vec::new();
    loop {
        while steps(&drained).is_empty() {
            drained = bench.pass_alive(1, S);
        }
        let since = bench.now.mono.since(began);
        at.push(since.as_secs());
        let claim = only_step(&drained).claim;
        if since > Duration::from_mins(10) {
            drained = bench.done(1, claim, status(200));
            break;
        }
        drained = bench.done(1, claim, status(503));
    }
    assert_eq!(state(&drained), State::Succeeded);
    assert_eq!(at.len(), 6, "{at:?}");
    // Each pause is the planned one, or up to a quarter longer, and a second for the steps of this.
    for (pair, planned) in at.windows(2).zip([5, 30, 120, 300, 900]) {
        let pause = pair[1] - pair[0];
        assert!(
            (planned..=planned + planned / 4 + 1).contains(&pause),
            "{at:?}"
        );
    }
}

#[test]
fn a_receiver_that_never_answers_well_leaves_a_dead_letter_that_can_be_delivered_again() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let run = only_step(&bench.receive(1));
    let mut drained = bench.done(1, run.claim, StepOutcome::Ran(answered()));
    let mut posts = 0;
    while !steps(&drained).is_empty() {
        posts += 1;
        let outcome = match posts % 3 {
            0 => status(500),
            1 => status(302),
            _ => post(CallbackOutcome::Failed("timeout".to_owned())),
        };
        drained = bench.done(1, only_step(&drained).claim, outcome);
        if state(&drained) == State::Dead {
            break;
        }
        bench.hello(1, worker("a", 1), &[]);
        while steps(&drained).is_empty() {
            drained = bench.pass_alive(1, 600 * S);
        }
    }
    assert_eq!(posts, 10);
    let id = bench.id();
    let replay = |bench: &mut Bench| {
        bench.handle(Input::Replay {
            token: 5,
            of: run.execution,
            id,
            payload: body("{}"),
            result: Some(answered()),
        })
    };
    let drained = replay(&mut bench);
    let post = only_step(&drained);
    assert_eq!(post.execution, run.execution);
    assert!(matches!(post.work, Work::CallBack { attempt: 1, .. }));
    let drained = bench.done(1, post.claim, status(200));
    assert_eq!(state(&drained), State::Succeeded);
    // Once it ended well, it is run as a new one.
    let drained = replay(&mut bench);
    let run = only_step(&drained);
    assert!(run.execution == id && matches!(run.work, Work::Run { .. }));
}

#[test]
fn gone_and_forbidden_targets_are_not_called_again() {
    let refused = post(CallbackOutcome::Refused("a private address".to_owned()));
    for outcome in [status(410), refused] {
        let mut bench = Bench::new();
        bench.hello(1, worker("a", 1), &[]);
        let run = only_step(&bench.receive(1));
        let drained = bench.done(1, run.claim, StepOutcome::Ran(answered()));
        let drained = bench.done(1, only_step(&drained).claim, outcome);
        assert_eq!(state(&drained), State::Dead);
    }
}

#[test]
fn a_receiver_that_names_a_pause_is_left_alone_for_so_long() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let run = only_step(&bench.receive(1));
    let drained = bench.done(1, run.claim, StepOutcome::Ran(answered()));
    let wanted = post(CallbackOutcome::Answered {
        status: 503,
        retry_after: Some(100 * S),
    });
    let drained = bench.done(1, only_step(&drained).claim, wanted);
    assert!(steps(&drained).is_empty());
    for _ in 0..99 {
        assert!(steps(&bench.pass_alive(1, S)).is_empty());
    }
    assert_eq!(steps(&bench.pass_alive(1, S)).len(), 1);
}

#[test]
fn a_pause_of_nothing_does_not_undercut_the_schedule() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let run = only_step(&bench.receive(1));
    let hasty = Failure {
        kind: "upstream".to_owned(),
        message: "busy".to_owned(),
        retryable: true,
        retry_after: Some(Duration::ZERO),
    };
    let result = RunResult {
        outcome: Err(hasty),
        ..answered()
    };
    let drained = bench.done(1, run.claim, StepOutcome::Ran(result));
    assert!(steps(&drained).is_empty());
    let run = only_step(&bench.pass_alive(1, 10 * S));
    let drained = bench.done(1, run.claim, StepOutcome::Ran(answered()));
    let hasty = post(CallbackOutcome::Answered {
        status: 503,
        retry_after: Some(Duration::ZERO),
    });
    let drained = bench.done(1, only_step(&drained).claim, hasty);
    assert!(steps(&drained).is_empty());
    for _ in 0..4 {
        assert!(steps(&bench.pass_alive(1, S)).is_empty());
    }
}

#[test]
fn what_a_silent_proxy_had_in_hand_goes_to_another_and_its_late_outcome_is_not_wanted() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let run = only_step(&bench.receive(1));
    bench.handle(Input::Gone { stream: 1 });
    bench.hello(2, worker("b", 1), &[]);
    assert!(steps(&bench.pass_alive(2, WEBHOOK_LEASE.saturating_sub(S))).is_empty());
    let drained = bench.pass(S);
    let again = only_step(&drained);
    assert!(again.claim > run.claim && again.execution == run.execution);
    assert!(matches!(again.work, Work::Run { attempt: 2, .. }));
    let late = bench.hello(3, worker("a", 1), &[run.claim]);
    let revoked = FromQueue::Revoked { claim: run.claim };
    assert!(late.messages.contains(&(3, revoked.clone())));
    let late = bench.done(3, run.claim, StepOutcome::Ran(answered()));
    assert!(late.messages.contains(&(3, revoked)) && late.changes.is_empty());
}

#[test]
fn a_proxy_that_was_restarted_gives_up_at_once_what_its_last_start_had_in_hand() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let run = only_step(&bench.receive(1));
    bench.handle(Input::Gone { stream: 1 });
    let drained = bench.hello(2, worker("a", 2), &[]);
    assert_eq!(only_step(&drained).execution, run.execution);
}

#[test]
fn a_proxy_that_comes_back_goes_on_and_hears_again_what_it_missed() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    let first = only_step(&bench.receive(1));
    let second = only_step(&bench.receive(2));
    bench.handle(Input::Gone { stream: 1 });
    let drained = bench.hello(2, worker("a", 1), &[first.claim]);
    assert_eq!(only_step(&drained), second);
    let drained = bench.done(2, first.claim, StepOutcome::Ran(answered()));
    let recorded = FromQueue::Recorded { claim: first.claim };
    assert!(drained.messages.contains(&(2, recorded)));
}

#[test]
fn a_step_that_was_not_begun_costs_no_attempt() {
    let mut bench = Bench::new();
    bench.hello(1, worker("a", 1), &[]);
    bench.hello(2, worker("b", 1), &[]);
    let run = only_step(&bench.receive(1));
    let drained = bench.say(1, ToQueue::Released { claim: run.claim });
    assert!(matches!(
        only_step(&drained).work,
        Work::Run { attempt: 1, .. }
    ));
}

#[test]
fn more_than_there_is_room_for_is_not_accepted() {
    let mut bench = Bench::new();
    let large = || Payload {
        body: vec![0_u8; WEBHOOK_OPEN_BYTES / 4].into(),
        ..Payload::default()
    };
    let mut answers = Vec::new();
    for key in 0..5 {
        let id = bench.id();
        let drained = bench.handle(Input::Received {
            token: 0,
            id,
            webhook: name("w"),
            delivery: DeliveryKey::new([key; 32]),
            hash: [0; 32],
            payload: large(),
            proxy: ProxyId::new("a").unwrap(),
        });
        answers.push(drained.answers[0].1);
    }
    assert_eq!(answers.iter().filter(|it| **it == Answer::Full).count(), 1);
    assert_eq!(answers[4], Answer::Full);
}

#[test]
fn an_alert_without_a_model_is_posted_as_it_is() {
    let mut bench = Bench::new();
    let rules = Rules {
        asks_model: false,
        ..Rules::default()
    };
    bench.handle(Input::Rules([(name("budget-alert"), rules)].into()));
    bench.hello(1, worker("a", 1), &[]);
    let alert = BudgetAlert {
        agent: crate::id::AgentName::new("code-reviewer").unwrap(),
        period: crate::ledger::AlertPeriod::Day(crate::quota::Day::new(2026, 11, 25).unwrap()),
        percent: crate::units::AlertPercent::new(80).unwrap(),
        limit: crate::units::NanoUsd::from_nanos(10),
        spent: crate::units::NanoUsd::from_nanos(8),
    };
    let id = bench.id();
    let drained = bench.handle(Input::Alert {
        id,
        webhook: name("budget-alert"),
        payload: Payload {
            alert: Some(alert.clone()),
            ..Payload::default()
        },
    });
    let step = only_step(&drained);
    let Work::CallBack {
        result,
        alert: told,
        ..
    } = step.work
    else {
        panic!("{step:?}");
    };
    assert_eq!((result, told), (None, Some(alert)));
    let drained = bench.done(1, step.claim, status(200));
    assert_eq!(state(&drained), State::Succeeded);
}

#[test]
fn what_came_to_its_end_is_kept_for_a_bounded_time_and_number() {
    let mut bench = Bench::new();
    let finished = |number: usize, at: i64| Stored {
        execution: Execution {
            id: ExecutionId::new(Wall::from_millis(at), u128::try_from(number).unwrap()),
            webhook: name("w"),
            received: Wall::from_millis(at),
            origin: Origin::Alert,
            payload_hash: [0; 32],
            payload_bytes: 0,
            state: State::Succeeded,
            due: None,
            claim: None,
            runs: 1,
            callbacks: 1,
            tries: Vec::new(),
            summary: None,
            finished: Some(Wall::from_millis(at)),
        },
        payload: None,
        result: None,
    };
    let stored = (0..WEBHOOK_KEPT + 40)
        .map(|number| finished(number, 1_000_000))
        .collect();
    bench.queue = Queue::new(stored, 2, 0, bench.now);
    let forgotten = |drained: &Drained| drained.changes.len();
    assert_eq!(bench.queue.poll_timeout(bench.now), Some(Duration::ZERO));
    assert_eq!(forgotten(&bench.pass(Duration::ZERO)), 32);
    assert_eq!(forgotten(&bench.pass(Duration::ZERO)), 8);
    assert_eq!(forgotten(&bench.pass(Duration::from_hours(7 * 24 - 1))), 0);
    assert_eq!(forgotten(&bench.pass(Duration::from_hours(1))), 32);
}
