//! A limit on requests is a limit for the whole fleet.

use std::time::Duration;

use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::Entry;
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use serde_json::Value;
use tokio::time::{sleep, timeout};

/// What a window is shortened by: how much longer one request may be under way to the provider than
/// another on a machine that is busy with other tests.
const UNDER_WAY_MS: u64 = 500;

fn callers(bed: &TestBed, agent: &str) -> Vec<Caller> {
    let of = |proxy: &agix_tests::test_bed::Proxy| Caller::new(proxy.address);
    bed.proxies
        .iter()
        .map(|proxy| of(proxy).with("x-agent-name", agent))
        .collect()
}

/// The most calls of any window of so many milliseconds.
fn most_within(calls: &[Entry], window_ms: u64) -> usize {
    let times: Vec<u64> = calls.iter().map(|call| call.arrived_ms).collect();
    let within = |from: &u64| {
        let end = from + window_ms;
        times.iter().filter(|at| *at >= from && **at < end).count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

#[tokio::test]
async fn no_minute_at_the_provider_has_more_than_the_limit_whatever_the_skew() {
    let policy = "rate_limits: { a: { requests_per_minute: 40 } }";
    let bed = TestBed::with_proxies(policy, 4).await;
    let callers = callers(&bed, "a");
    let asking = async {
        for turn in 0_usize.. {
            // Round robin, a hot spot that moves, one proxy alone, and bursts.
            let phase = turn / 150 % 4;
            let proxy = match phase {
                0 => turn % 4,
                1 => turn / 20 % 4,
                2 => 3,
                _ => turn % 2,
            };
            let burst = if phase == 3 { 10 } else { 1 };
            let caller = &callers[proxy];
            let request = chat("gpt-4o");
            let asked = (0..burst).map(|_| caller.chat(&request));
            for answer in futures_util::future::join_all(asked).await {
                assert!(matches!(answer.unwrap().status.as_u16(), 200 | 429));
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(Duration::from_secs(75), asking).await.is_err());
    let calls = bed.mock.calls("gpt-4o");
    assert!(
        most_within(&calls, 60_000 - UNDER_WAY_MS) <= 40,
        "{}",
        calls.len()
    );
    assert!(
        calls.len() >= 48,
        "also after the first minute: {}",
        calls.len()
    );
}

#[tokio::test]
async fn of_a_thousand_requests_in_a_loop_five_reach_the_provider() {
    let policy =
        "rate_limits: { expensive-agent: { requests_per_minute: 5, requests_per_hour: 100 } }";
    let bed = TestBed::with_proxies(policy, 4).await;
    let callers = callers(&bed, "expensive-agent");
    let mut refused = 0;
    for turn in 0..1_000 {
        let answer = callers[turn % 4].chat(&chat("gpt-4o")).await.unwrap();
        if answer.status == 200 {
            continue;
        }
        refused += 1;
        assert_eq!(answer.status, 429, "{answer:?}");
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=61).contains(&seconds), "{seconds}");
        let body = answer.json();
        assert_eq!(
            body["error"]["message"],
            "Rate limit exceeded for agent: expensive-agent (5 req/min)"
        );
        assert_eq!(body["error"]["type"], "rate_limit_exceeded");
    }
    assert_eq!(bed.mock.calls("gpt-4o").len(), 5);
    assert_eq!(refused, 995);
}

#[tokio::test]
async fn leaving_the_name_out_or_making_one_up_is_no_way_around_a_limit() {
    let policy = "
rate_limits: { default-agent: { requests_per_minute: 3 }, other: { requests_per_minute: 2 } }
";
    let bed = TestBed::with_proxies(policy, 2).await;
    let mut answered = 0;
    for turn in 0..10 {
        let caller = Caller::new(bed.proxies[turn % 2].address);
        let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
        answered += usize::from(answer.status == 200);
    }
    assert_eq!(answered, 3, "no name is the default agent's name");
    for turn in 0..10 {
        let stranger = bed
            .caller()
            .with("x-agent-name", &format!("stranger-{turn}"));
        let answer = stranger.chat(&chat("gpt-4o")).await.unwrap();
        assert_eq!(answer.status, 200, "agents not listed have no limit");
    }
}

#[tokio::test]
async fn places_are_counted_over_the_fleet_and_come_back() {
    let policy = "rate_limits: { a: { max_concurrent: 3 } }";
    let bed = TestBed::with_proxies(policy, 2).await;
    bed.mock.reply(
        "gpt-4o",
        agix_tests::mock_provider::Reply {
            head_ms: 1_500,
            ..agix_tests::mock_provider::Reply::default()
        },
    );
    let callers = callers(&bed, "a");
    let request = chat("gpt-4o");
    let asked = (0..12).map(|turn| callers[turn % 2].chat(&request));
    let answers = futures_util::future::join_all(asked).await;
    let mut statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap().status.as_u16())
        .collect();
    statuses.sort_unstable();
    let answered = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(answered, 3, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    let refused = answers.iter().flatten().find(|answer| answer.status == 429);
    assert_eq!(
        refused.unwrap().json()["error"]["message"],
        "Rate limit exceeded for agent: a (3 concurrent)"
    );
    until("places come back", Duration::from_secs(10), async || {
        let answer = callers[1].chat(&request).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tokens_of_a_minute_are_set_aside_and_counted_as_used() {
    let policy = "rate_limits: { a: { tokens_per_minute: 2000 } }";
    let bed = TestBed::with_proxies(policy, 2).await;
    bed.mock.reply(
        "gpt-4o",
        agix_tests::mock_provider::Reply {
            usage: Some(agix_tests::mock_provider::Usage {
                input: 100,
                output: 100,
                ..agix_tests::mock_provider::Usage::default()
            }),
            ..agix_tests::mock_provider::Reply::default()
        },
    );
    let callers = callers(&bed, "a");
    let mut request = chat("gpt-4o");
    request["max_tokens"] = Value::from(200);
    let mut answered = 0;
    let mut last = None;
    for turn in 0..20 {
        let answer = callers[turn % 2].chat(&request).await.unwrap();
        if answer.status == 200 {
            answered += 1;
        } else {
            last = Some(answer);
        }
    }
    assert!((8..=10).contains(&answered), "200 tokens each: {answered}");
    let refused = last.unwrap();
    assert_eq!(
        refused.json()["error"]["message"],
        "Rate limit exceeded for agent: a (2000 tokens/min)"
    );
}

/// How many of so many requests begin, spread over the proxies.
async fn begun(bed: &TestBed, tries: usize) -> usize {
    let callers = callers(bed, "a");
    let mut answered = 0;
    for turn in 0..tries {
        let answer = callers[turn % callers.len()].chat(&chat("gpt-4o")).await;
        answered += usize::from(answer.unwrap().status == 200);
    }
    answered
}

#[tokio::test]
async fn counters_survive_restarts_rollbacks_and_edits_of_others() {
    let limits = |a: u32, b: u32| {
        format!(
            "rate_limits: {{ a: {{ requests_per_minute: {a} }}, b: {{ requests_per_minute: {b} }} }}"
        )
    };
    let mut bed = TestBed::with_proxies(&limits(6, 5), 2).await;
    assert_eq!(begun(&bed, 4).await, 4);
    bed.agixctl
        .apply(&bed.document(&limits(6, 9)), &["--wait"])
        .await;
    assert_eq!(begun(&bed, 1).await, 1, "another agent's entry");
    bed.agixctl.ok(&["rollback", "1", "--wait"]).await;
    assert_eq!(begun(&bed, 3).await, 1, "a rollback refills nothing");
    bed.agixctl
        .apply(&bed.document(&limits(8, 5)), &["--wait"])
        .await;
    assert_eq!(begun(&bed, 5).await, 2, "raising raises the ceiling alone");
    bed.agixctl
        .apply(&bed.document(&limits(2, 5)), &["--wait"])
        .await;
    assert_eq!(begun(&bed, 3).await, 0);
    bed.kill_control_plane();
    bed.restart_control_plane().await;
    bed.kill_and_restart_proxy(0).await;
    bed.kill_and_restart_proxy(1).await;
    for proxy in &bed.proxies {
        proxy.ready().await;
    }
    assert_eq!(begun(&bed, 6).await, 0, "after a restart of everything");
    let limits = bed.agixctl.json(&["limits", "a"]).await;
    assert_eq!(bed.mock.calls("gpt-4o").len(), 8, "{limits}");
}
