//! The policy reaches every proxy, and the control plane may be away.

use std::time::Duration;

use agix_tests::ask::{chat, stream};
use agix_tests::caller::Caller;
use agix_tests::mock_provider::Reply;
use agix_tests::test_bed::{KEY, ProxySettings, TestBed};
use agix_tests::wait::until;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(20);
/// Agents of a large policy.
const AGENTS: usize = 70_000;
const FIRST: &str = "rate_limits: { batch: { requests_per_minute: 5 } }";
const SECOND: &str = "rate_limits: { batch: { requests_per_minute: 50 } }";

async fn two_proxies() -> TestBed {
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(&bed.document(FIRST), &[]).await;
    for id in ["left", "right"] {
        let settings = ProxySettings {
            id: id.to_owned(),
            snapshot: true,
            ..ProxySettings::default()
        };
        bed.add_proxy(settings).await;
    }
    bed
}

async fn proxies(bed: &TestBed) -> Vec<Value> {
    let list = bed.agixctl.json(&["proxies"]).await;
    list["proxies"].as_array().unwrap().clone()
}

/// The revision each connected proxy runs.
async fn applied(bed: &TestBed) -> Vec<u64> {
    let proxies = proxies(bed).await;
    let connected = proxies.iter().filter(|proxy| proxy["connected"] == true);
    connected
        .map(|proxy| proxy["applied_revision"].as_u64().unwrap())
        .collect()
}

async fn all_run(bed: &TestBed, revision: u64, count: usize) {
    until("every proxy runs the revision", PATIENCE, async || {
        (applied(bed).await == vec![revision; count]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn apply_waits_for_both_proxies() {
    let bed = two_proxies().await;
    let out = bed.agixctl.apply(&bed.document(SECOND), &["--wait"]).await;
    assert!(out.contains("2/2"), "{out}");
    assert_eq!(applied(&bed).await, [2, 2]);
    let table = bed.agixctl.ok(&["proxies"]).await;
    assert!(table.contains("left") && table.contains("right"), "{table}");
}

#[tokio::test]
async fn a_rollback_reaches_both_proxies() {
    let bed = two_proxies().await;
    bed.agixctl.apply(&bed.document(SECOND), &["--wait"]).await;
    let out = bed.agixctl.ok(&["rollback", "1", "--wait"]).await;
    assert!(out.contains("2/2"), "{out}");
    assert_eq!(applied(&bed).await, [3, 3]);
}

#[tokio::test]
async fn a_change_counts_for_new_requests_and_leaves_open_streams_alone() {
    let bed = two_proxies().await;
    let slowly = Reply {
        piece_ms: 100,
        ..Reply::default()
    };
    bed.mock.reply("gpt-4o", slowly);
    let caller = bed.caller();
    let mut open = caller.chat_stream(&stream("gpt-4o")).await.unwrap();
    open.event().await.unwrap();
    let moved = "models: { gpt-4o: { provider: openai, upstream_model: gpt-4o-mini } }";
    bed.agixctl.apply(&bed.document(moved), &["--wait"]).await;
    let new = caller.chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(new.status, 200, "{new:?}");
    assert_eq!(bed.mock.calls("gpt-4o-mini").len(), 1);
    let said = open.events().await.unwrap();
    assert!(said.is_whole(), "{said:?}");
}

#[tokio::test]
async fn a_refusal_is_shown_with_its_reason_and_the_old_policy_serves_on() {
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(&bed.document(FIRST), &[]).await;
    for (id, environment) in [
        ("with-key", vec![("HOUSE_KEY".to_owned(), KEY.to_owned())]),
        ("without-key", vec![]),
    ] {
        let settings = ProxySettings {
            id: id.to_owned(),
            environment,
            ..ProxySettings::default()
        };
        bed.add_proxy(settings).await;
    }
    let mock = bed.mock.address();
    let document = format!(
        "providers: {{ openai: {{ api: openai, base_url: \"http://{mock}/v1\", api_key: \"${{HOUSE_KEY}}\" }} }}"
    );
    let arguments = ["apply", "-f", "-", "--wait", "--timeout", "10s"];
    let said = bed.agixctl.run_with(&document, &arguments).await;
    assert_eq!(said.code, 4, "{said:#?}");
    assert!(
        said.err.contains("1/2") || said.out.contains("1/2"),
        "{said:#?}"
    );
    assert!(said.err.contains("without-key"), "{said:#?}");
    assert!(said.err.contains("HOUSE_KEY"), "{said:#?}");

    let listed = proxies(&bed).await;
    let refused = listed
        .iter()
        .find(|proxy| proxy["id"] == "without-key")
        .unwrap();
    assert_eq!(refused["applied_revision"], 1);
    assert!(
        refused["rejection"].to_string().contains("HOUSE_KEY"),
        "{refused}"
    );
    assert!(bed.agixctl.ok(&["proxies"]).await.contains("HOUSE_KEY"));
    for proxy in &bed.proxies {
        let answer = Caller::new(proxy.address)
            .chat(&chat("gpt-4o"))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    // A policy it can run ends the refusal.
    bed.agixctl.apply(&bed.document(SECOND), &["--wait"]).await;
    let listed = proxies(&bed).await;
    assert!(
        listed.iter().all(|proxy| proxy["rejection"].is_null()),
        "{listed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_serve_while_the_control_plane_is_killed_and_comes_back() {
    let mut bed = two_proxies().await;
    bed.agixctl
        .apply(&bed.document(SECOND), &["--wait", "-m", "before"])
        .await;
    let before = bed.agixctl.ok(&["history", "-o", "json"]).await;

    let stop = CancellationToken::new();
    let agents = TaskTracker::new();
    let working: Vec<_> = bed
        .proxies
        .iter()
        .map(|proxy| agents.spawn(work(Caller::new(proxy.address), stop.clone())))
        .collect();
    answered_further(&bed, 20).await;
    bed.kill_control_plane();
    answered_further(&bed, 50).await;
    bed.restart_control_plane().await;
    assert_eq!(bed.agixctl.ok(&["history", "-o", "json"]).await, before);
    all_run(&bed, 2, 2).await;
    bed.agixctl
        .apply(&bed.document(FIRST), &["--wait", "-m", "after"])
        .await;
    assert_eq!(applied(&bed).await, [3, 3]);
    answered_further(&bed, 20).await;
    stop.cancel();
    for agent in working {
        assert!(agent.await.unwrap() > 0);
    }
}

/// One request after the other until `stop`, plain and streamed; every one must be answered. Their
/// number.
async fn work(caller: Caller, stop: CancellationToken) -> u64 {
    let mut answered = 0;
    while !stop.is_cancelled() {
        let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut stream = caller.chat_stream(&stream("gpt-4o")).await.unwrap();
        let said = stream.events().await.unwrap();
        assert!(said.is_whole(), "{said:?}");
        answered += 2;
    }
    answered
}

/// Waits until the provider has answered that many more requests.
async fn answered_further(bed: &TestBed, requests: usize) {
    let answered = || bed.mock.log().iter().filter(|call| call.answered()).count();
    let wanted = answered() + requests;
    until("requests are answered", PATIENCE, async || {
        (answered() >= wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_proxy_starts_from_its_file_while_the_control_plane_is_away() {
    let mut bed = two_proxies().await;
    bed.agixctl.apply(&bed.document(SECOND), &["--wait"]).await;
    bed.kill_control_plane();
    for mut proxy in bed.proxies.drain(..) {
        proxy.program.kill();
    }
    let settings = ProxySettings {
        id: "left".to_owned(),
        snapshot: true,
        ..ProxySettings::default()
    };
    bed.add_proxy(settings).await;
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");

    bed.restart_control_plane().await;
    all_run(&bed, 2, 1).await;
}

#[tokio::test]
async fn a_control_plane_that_lost_its_store_takes_no_proxy_back() {
    let mut bed = two_proxies().await;
    bed.agixctl.apply(&bed.document(SECOND), &["--wait"]).await;
    bed.kill_control_plane();
    std::fs::remove_dir_all(bed.directory().join("store")).unwrap();
    bed.restart_control_plane().await;
    all_run(&bed, 2, 2).await;
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    // The next revision is newer than any a proxy has seen, or it would be ignored.
    let out = bed.agixctl.apply(&bed.document(FIRST), &["--wait"]).await;
    assert!(out.contains("2/2"), "{out}");
    assert_eq!(applied(&bed).await, [3, 3]);
}

#[tokio::test]
async fn a_proxy_without_any_policy_is_alive_but_not_ready() {
    let mut bed = TestBed::without_proxies().await;
    bed.kill_control_plane();
    let proxy = bed.start_proxy(ProxySettings::default()).await;
    let admin = Caller::new(proxy.admin);
    assert_eq!(admin.get("/livez").await.unwrap().status, 200);
    assert_eq!(admin.get("/readyz").await.unwrap().status, 503);
    let refused = Caller::new(proxy.address)
        .chat(&chat("gpt-4o"))
        .await
        .unwrap();
    assert_eq!(refused.status, 503);
    assert!(
        !refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_snapshot_file_that_is_damaged_is_not_believed() {
    let mut bed = two_proxies().await;
    let file = bed.directory().join("left.snapshot");
    until("the file is written", PATIENCE, async || {
        file.exists().then_some(())
    })
    .await;
    bed.kill_control_plane();
    for mut proxy in bed.proxies.drain(..) {
        proxy.program.kill();
    }
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&file, bytes).unwrap();
    let settings = ProxySettings {
        id: "left".to_owned(),
        snapshot: true,
        ..ProxySettings::default()
    };
    let proxy = bed.start_proxy(settings).await;
    assert_eq!(
        Caller::new(proxy.admin)
            .get("/readyz")
            .await
            .unwrap()
            .status,
        503
    );
}

#[tokio::test]
async fn a_policy_of_many_parts_reaches_a_proxy_whole_and_a_change_of_it_too() {
    let mut bed = TestBed::without_proxies().await;
    // Several megabytes: more than one message, and more than one value of the store.
    let agents: Vec<String> = (0..AGENTS)
        .map(|agent| {
            format!("  agent-{agent}: {{ requests_per_minute: 5, requests_per_hour: 100 }}\n")
        })
        .collect();
    let agents = agents.concat();
    let large = bed.document(&format!("rate_limits:\n{agents}"));
    assert!(large.len() > 4 << 20, "{}", large.len());
    bed.agixctl.apply(&large, &[]).await;
    bed.add_proxy(ProxySettings::default()).await;
    assert_eq!(applied(&bed).await, [1]);
    let changed = large.replace(
        "agent-7: { requests_per_minute: 5",
        "agent-7: { requests_per_minute: 6",
    );
    let out = bed.agixctl.apply(&changed, &["--wait"]).await;
    assert!(out.contains("1/1"), "{out}");
    assert!(out.contains("agent-7"), "{out}");
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}
