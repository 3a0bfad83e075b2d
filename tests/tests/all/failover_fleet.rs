//! What proxies know together of a failing target, what agixctl shows of it, and drills.

use std::time::Duration;

use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::{stopwatch, until};
use serde_json::{Value, json};

const POLICY: &str = "
failover:
  same_model_retries: 0
  breaker: { consecutive_failures: 3 }
  chains: { gpt-4o: [gpt-4o-mini] }
";
const PROXIES: usize = 4;

/// One request to each proxy; which model answered each.
async fn round(bed: &TestBed) -> Vec<String> {
    let asked = bed.proxies.iter().map(async |proxy| {
        let caller = Caller::new(proxy.address);
        let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("x-agix-model").to_owned()
    });
    futures_util::future::join_all(asked).await
}

/// The chain of `gpt-4o`, as agixctl shows it.
async fn chain(bed: &TestBed) -> Value {
    let listed = bed.agixctl.json(&["failover", "list"]).await;
    let chains = listed["chains"].as_array().unwrap();
    let found = chains.iter().find(|chain| chain["model"] == "gpt-4o");
    found.unwrap()["targets"].clone()
}

#[tokio::test]
async fn a_fleet_leaves_a_dead_target_alone_together_and_returns_together() {
    let bed = TestBed::with_proxies(POLICY, PROXIES).await;
    assert_eq!(round(&bed).await, ["gpt-4o"; PROXIES]);
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    let patience = Duration::from_secs(20);
    until("the fleet leaves it alone", patience, async || {
        assert_eq!(round(&bed).await, ["gpt-4o-mini"; PROXIES]);
        (chain(&bed).await[0]["state"] == "left alone").then_some(())
    })
    .await;
    let target = chain(&bed).await[0].clone();
    assert_eq!(target["errors"][0]["reason"], "unavailable (503)");
    assert!(target["failed"].as_u64().unwrap() >= 3, "{target}");
    // A proxy that has seen no failure of its own hears of it, so that few requests were lost to it.
    let before = bed.mock.calls("gpt-4o").len();
    let mut rounds = 0;
    let passed = stopwatch();
    while bed.mock.calls("gpt-4o").len() < before + 3 {
        assert_eq!(round(&bed).await, ["gpt-4o-mini"; PROXIES]);
        rounds += 1;
    }
    // Once a second for all four together, however often they are asked. A slow machine only makes
    // the trials fewer.
    let seconds = passed().as_secs();
    let trials = u64::try_from(bed.mock.calls("gpt-4o").len() - before).unwrap();
    assert!(trials <= seconds + 2, "{trials} trials in {seconds} s");
    assert!(rounds > 3, "{rounds} rounds");
    bed.mock.script("gpt-4o", Script::default());
    until("all use it again", patience, async || {
        (round(&bed).await == ["gpt-4o"; PROXIES]).then_some(())
    })
    .await;
    until("agixctl shows it", patience, async || {
        (chain(&bed).await[0]["state"] == "in use").then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_the_control_plane_each_proxy_decides_by_itself() {
    let mut bed = TestBed::with_proxies(POLICY, 1).await;
    bed.kill_control_plane();
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    for _ in 0..3 {
        assert_eq!(round(&bed).await, ["gpt-4o-mini"]);
    }
    bed.mock.script("gpt-4o", Script::default());
    let patience = Duration::from_secs(20);
    until("it is used again", patience, async || {
        (round(&bed).await == ["gpt-4o"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drill_shows_the_path_and_touches_nobody() {
    let bed = TestBed::start(
        "
failover:
  breaker: { consecutive_failures: 1 }
  chains: { gpt-4o: [gpt-4o-mini, claude-opus-4-6] }
",
    )
    .await;
    let proxy = format!("http://{}", bed.proxies[0].address);
    let drill = async |more: &[&str]| {
        let mut arguments = vec![
            "failover", "test", "gpt-4o", "--proxy", &proxy, "-o", "json",
        ];
        arguments.extend(more);
        bed.agixctl.run(&arguments).await
    };
    let said = drill(&[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let path: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(path["answered_by"], "gpt-4o-mini");
    let step = |model: &str, outcome: &str, reason: &str| {
        let provider = if model.starts_with("claude") {
            "anthropic"
        } else {
            "openai"
        };
        json!({ "model": model, "provider": provider, "outcome": outcome, "reason": reason })
    };
    assert_eq!(
        path["path"],
        json!([
            step("gpt-4o", "failed", "drill"),
            step("gpt-4o-mini", "answered", "")
        ])
    );
    let said = drill(&["--fail", "gpt-4o", "--fail", "gpt-4o-mini"]).await;
    let path: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(path["answered_by"], "claude-opus-4-6");
    let all = [
        "--fail",
        "gpt-4o",
        "--fail",
        "gpt-4o-mini",
        "--fail",
        "claude-opus-4-6",
    ];
    let said = drill(&all).await;
    assert_eq!(said.code, 1, "{said:?}");
    let path: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(path["path"].as_array().unwrap().len(), 3, "{path}");
    // What was told to fail was not called, and is asked as before.
    assert_eq!(bed.mock.calls("gpt-4o").len(), 0);
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.header("x-agix-model"), "gpt-4o");
    assert_eq!(answer.header("x-agix-drill"), "");
}

#[tokio::test]
async fn a_target_whose_provider_named_a_time_is_tried_by_nobody_before_it() {
    let bed = TestBed::with_proxies(POLICY, 1).await;
    let asked = Behaviour::RateLimited {
        retry_after: Some("120".to_owned()),
    };
    bed.mock.script("gpt-4o", Script::first([asked]));
    assert_eq!(round(&bed).await, ["gpt-4o-mini"]);
    // Whenever the fleet hears that requests passed the target over, it could let one try it.
    let mut heard = 0;
    for _ in 0..5 {
        let patience = Duration::from_secs(20);
        heard = until("the fleet hears of more requests", patience, async || {
            assert_eq!(round(&bed).await, ["gpt-4o-mini"]);
            let passed_over = chain(&bed).await[0]["passed_over"].as_u64().unwrap();
            (passed_over > heard).then_some(passed_over)
        })
        .await;
    }
    assert_eq!(bed.mock.calls("gpt-4o").len(), 1);
}
