use std::sync::Arc;
use std::time::Duration;

use agix_core::id::{AgentName, ModelName, ProviderName, ProxyId, WebhookName};
use agix_core::ledger::AlertPeriod;
use agix_core::limits::{WEBHOOK_LEASE, WEBHOOK_OUTPUT_BYTES, WEBHOOK_SLOTS};
use agix_core::quota::Day;
use agix_core::time::Wall;
use agix_core::units::{AlertPercent, NanoUsd, Tokens};
use agix_core::webhook::execution::{
    Claim, Execution, ExecutionId, Origin, State, Summary, Try, Worker,
};
use agix_core::webhook::outcome::{
    Answer, BudgetAlert, CallbackOutcome, CallbackResult, Failure, ModelCall, Payload, RunResult,
};
use agix_core::webhook::work::{FromQueue, Step, StepOutcome, ToQueue, Work};
use prost::Message as _;

use crate::v1;

const MS: Duration = Duration::from_millis(1);

fn worker() -> Worker {
    Worker {
        proxy: ProxyId::new("p").unwrap(),
        incarnation: 7,
    }
}

fn id() -> ExecutionId {
    ExecutionId::new(Wall::from_millis(1_700_000_000_000), 42)
}

fn alert(period: AlertPeriod) -> BudgetAlert {
    BudgetAlert {
        agent: AgentName::new("code-reviewer").unwrap(),
        period,
        percent: AlertPercent::new(80).unwrap(),
        limit: NanoUsd::from_nanos(10_000_000_000),
        spent: NanoUsd::from_nanos(8_000_000_001),
    }
}

fn day() -> Day {
    Day::new(2026, 11, 25).unwrap()
}

fn results() -> [RunResult; 2] {
    let calls = vec![ModelCall {
        model: ModelName::new("gpt-4o").unwrap(),
        provider: ProviderName::new("openai").unwrap(),
        outcome: "503".to_owned(),
    }];
    let answer = Answer {
        model: ModelName::new("gpt-4o-mini").unwrap(),
        output: "three points".to_owned(),
        input: Tokens::new(9),
        output_tokens: Tokens::new(3),
        cost: Some(NanoUsd::ZERO),
    };
    let failure = Failure {
        kind: "limit".to_owned(),
        message: "too many".to_owned(),
        retryable: true,
        retry_after: Some(12 * MS),
    };
    [Ok(answer), Err(failure)].map(|outcome| RunResult {
        outcome,
        latency: 450 * MS,
        prompt: Some("Summarize".to_owned()),
        calls: calls.clone(),
    })
}

fn payload() -> Payload {
    Payload {
        body: b"{\"a\": \xff}".as_slice().into(),
        headers: vec![("x-id".to_owned(), "5".to_owned())],
        alert: Some(alert(AlertPeriod::Month(day().month()))),
    }
}

fn execution(origin: Origin, state: State) -> Execution {
    Execution {
        id: id(),
        webhook: WebhookName::new("summarize").unwrap(),
        received: Wall::from_millis(5),
        origin,
        payload_hash: [3; 32],
        payload_bytes: 9,
        state,
        due: Some(Wall::from_millis(6)),
        claim: Some(Claim {
            number: 77,
            worker: worker(),
        }),
        runs: 2,
        callbacks: 3,
        tries: vec![Try {
            at: Wall::from_millis(8),
            is_callback: true,
            proxy: worker().proxy,
            outcome: "answered 503".to_owned(),
            latency: 9 * MS,
        }],
        summary: Some(Summary {
            model: None,
            latency: 4 * MS,
            cost: Some(NanoUsd::ZERO),
            error: Some("limit".to_owned()),
        }),
        finished: Some(Wall::from_millis(10)),
    }
}

#[test]
fn an_execution_is_read_as_it_was_written() {
    let origins = [
        Origin::Received(worker().proxy),
        Origin::Replay(id()),
        Origin::Alert,
    ];
    for (origin, state) in origins.into_iter().cycle().zip(State::ALL) {
        let execution = execution(origin, state);
        let wire = v1::WebhookExecution::from(&execution);
        let bytes = wire.encode_to_vec();
        let read = v1::WebhookExecution::decode(bytes.as_slice()).unwrap();
        assert_eq!(Execution::try_from(read), Ok(execution));
    }
}

#[test]
fn all_that_is_said_about_work_is_heard_as_it_was_said() {
    for alert in [None, Some(alert(AlertPeriod::Day(day())))] {
        for result in results() {
            let step = |work| {
                FromQueue::Step(Step {
                    claim: 1,
                    execution: id(),
                    webhook: WebhookName::new("w").unwrap(),
                    received: Wall::from_millis(5),
                    work,
                })
            };
            let said = [
                FromQueue::Welcome {
                    lease: WEBHOOK_LEASE,
                },
                FromQueue::Recorded { claim: 1 },
                FromQueue::Revoked { claim: 1 },
                step(Work::Run {
                    payload: Arc::new(payload()),
                    attempt: 2,
                }),
                step(Work::CallBack {
                    result: Some(Arc::new(result.clone())),
                    alert: alert.clone(),
                    attempt: 1,
                }),
            ];
            for message in said {
                let wire = v1::WorkResponse::from(&message);
                assert_eq!(FromQueue::try_from(wire), Ok(message));
            }
            let answered = CallbackOutcome::Answered {
                status: 503,
                retry_after: Some(MS),
            };
            let outcomes = [
                answered,
                CallbackOutcome::Failed("timeout".to_owned()),
                CallbackOutcome::Refused("private".to_owned()),
                CallbackOutcome::NoCallback,
            ];
            let posts = outcomes.map(|outcome| {
                StepOutcome::CalledBack(CallbackResult {
                    outcome,
                    latency: MS,
                })
            });
            for outcome in posts.into_iter().chain([StepOutcome::Ran(result)]) {
                let message = ToQueue::Done { claim: 9, outcome };
                let wire = v1::WorkRequest::from(&message);
                assert_eq!(ToQueue::try_from(wire), Ok(message));
            }
        }
    }
}

#[test]
fn what_is_too_long_or_too_much_is_refused_by_name() {
    let mut wire = v1::WebhookResult::from(&results()[0]);
    if let Some(v1::webhook_result::Outcome::Answer(answer)) = &mut wire.outcome {
        answer.output = "x".repeat(WEBHOOK_OUTPUT_BYTES + 1);
    }
    let refused = RunResult::try_from(wire).unwrap_err();
    assert_eq!(refused.path(), "answer.output");
    let hello = ToQueue::Hello {
        worker: worker(),
        slots: 1,
        claims: vec![1; 2 * WEBHOOK_SLOTS + 1],
    };
    let refused = ToQueue::try_from(v1::WorkRequest::from(&hello)).unwrap_err();
    assert_eq!(refused.path(), "hello.claims");
}
