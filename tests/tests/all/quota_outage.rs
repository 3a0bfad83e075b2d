//! The ledger is away: what is held is used, then the policy's answer is given.

use std::time::Duration;

use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use tokio::time::sleep;

#[tokio::test]
async fn held_rights_are_used_then_the_configured_answer_is_given_and_nothing_is_exceeded() {
    let policy = "rate_limits: { busy: { requests_per_minute: 3000 } }\n";
    let mut bed = TestBed::with_proxies(policy, 1).await;
    let busy = Caller::new(bed.proxies[0].address).with("x-agent-name", "busy");
    for _ in 0..60 {
        let answer = busy.chat(&chat("gpt-4o")).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        sleep(Duration::from_millis(5)).await;
    }
    bed.kill_control_plane();
    let mut held = 0;
    let refused = loop {
        let answer = busy.chat(&chat("gpt-4o")).await.unwrap();
        match answer.status.as_u16() {
            200 => held += 1,
            _ => break answer,
        }
    };
    assert!(held >= 3, "rights held ahead are served: {held}");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["error"]["code"], "quota_unavailable");
    bed.restart_control_plane().await;
    until(
        "the agent is served again",
        Duration::from_secs(20),
        async || {
            let answer = busy.chat(&chat("gpt-4o")).await.ok()?;
            (answer.status == 200).then_some(())
        },
    )
    .await;
    let verified = bed.agixctl.json(&["ledger", "verify"]).await;
    assert_eq!(verified["findings"], serde_json::json!([]), "{verified}");
}

#[tokio::test]
async fn what_the_policy_lets_through_without_the_ledger_is_counted_once_it_is_back() {
    let policy = "rate_limits: { open: { requests_per_minute: 3000, on_outage: allow } }\n";
    let mut bed = TestBed::with_proxies(policy, 1).await;
    let caller = |agent: &str| Caller::new(bed.proxies[0].address).with("x-agent-name", agent);
    let (open, free) = (caller("open"), caller("free"));
    bed.kill_control_plane();
    for _ in 0..20 {
        let allowed = open.chat(&chat("gpt-4o")).await.unwrap();
        assert_eq!(allowed.status, 200, "{allowed:?}");
        let unlimited = free.chat(&chat("gpt-4o")).await.unwrap();
        assert_eq!(unlimited.status, 200, "{unlimited:?}");
    }
    bed.restart_control_plane().await;
    until(
        "what was let through is counted",
        Duration::from_secs(20),
        async || {
            let limits = bed.agixctl.json(&["limits", "open"]).await;
            let used = &limits["agents"][0]["requests_per_minute"]["used"];
            (used == 20).then_some(())
        },
    )
    .await;
    let verified = bed.agixctl.json(&["ledger", "verify"]).await;
    assert_eq!(verified["findings"], serde_json::json!([]), "{verified}");
}
