//! Several control planes: any of them may die or hang, and nothing is lost or exceeded.

use std::time::Duration;

use agix_tests::agixctl::Agixctl;
use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::MockProvider;
use agix_tests::replicas::Replicas;
use agix_tests::test_bed::{KEY, Proxy, ProxySettings, TestBed, document};
use agix_tests::wait::until;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The longest a new owner may take to serve.
const TAKEOVER: Duration = Duration::from_secs(30);

const POLICY: &str = "
rate_limits:
  busy: { requests_per_hour: 40 }
budgets:
  busy: { daily_limit_usd: 100 }
";

const POLICY_AGAIN: &str = "
rate_limits:
  busy: { requests_per_hour: 40 }
  other: { requests_per_hour: 40 }
budgets:
  busy: { daily_limit_usd: 100 }
";

#[tokio::test]
async fn the_owner_of_the_ledger_may_be_killed_and_no_request_is_lost_or_beyond_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let mock = MockProvider::start().unwrap();
    mock.accept_only(KEY);
    let mut bed = Replicas::start(home, 3, 3).await;
    let agixctl = bed.agixctl(home);
    agixctl.apply(&document(&mock, POLICY), &[]).await;
    for _ in 0..2 {
        bed.add_proxy(home).await;
    }
    let callers: Vec<Caller> = bed
        .proxies
        .iter()
        .map(|proxy| Caller::new(proxy.address).with("x-agent-name", "busy"))
        .collect();
    // Each control plane knows the proxies of all.
    agixctl
        .apply(&document(&mock, POLICY_AGAIN), &["--wait"])
        .await;
    for plane in &bed.planes {
        let one = Agixctl::new(home, plane.address);
        until("all proxies are known", TAKEOVER, async || {
            let fleet = one.json(&["proxies"]).await;
            let proxies = fleet["proxies"].as_array()?;
            let current = |it: &&Value| it["connected"] == true && it["applied_revision"] == 2;
            (proxies.iter().filter(current).count() == 2).then_some(())
        })
        .await;
        let status = one.json(&["status"]).await;
        assert_eq!(status["proxies_current"], 2, "{status}");
    }
    let mut served = 0;
    for _ in 0..2 {
        let owner = until("the ledger has an owner", TAKEOVER, async || {
            bed.ledger_owner()
        })
        .await;
        bed.planes[owner].program.kill();
        for caller in &callers {
            for _ in 0..4 {
                let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
                served += 1;
            }
        }
        bed.restart(home, owner).await;
    }
    // The hour is used up exactly, whoever owned the ledger when.
    for caller in callers.iter().cycle().take(40) {
        let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
        match answer.status.as_u16() {
            200 => served += 1,
            429 => {}
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!(served, 40);
    let verified = agixctl.json(&["ledger", "verify"]).await;
    assert_eq!(verified["findings"], json!([]), "{verified}");
    // Any control plane is asked, and answers or names the one that does.
    for plane in &bed.planes {
        let one = Agixctl::new(home, plane.address);
        one.json(&["limits", "busy"]).await;
        one.json(&["webhook", "list"]).await;
        one.json(&["history"]).await;
    }
}

#[tokio::test]
async fn a_control_plane_that_hangs_or_is_gone_is_passed_over() {
    let bed = TestBed::without_proxies().await;
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = [&hanging, &gone].map(|it| format!("http://{}", it.local_addr().unwrap()));
    drop(gone);
    let endpoints = format!(
        "{},http://{}",
        endpoints.join(","),
        bed.control_plane.address
    );
    let agixctl = Agixctl::at(bed.directory(), endpoints.clone());
    agixctl.apply(&bed.document(POLICY), &[]).await;
    let settings = ProxySettings {
        id: "proxy".to_owned(),
        ..ProxySettings::default()
    };
    let proxy = Proxy::start(bed.directory(), &endpoints, &settings).await;
    proxy.ready().await;
    let caller = Caller::new(proxy.address).with("x-agent-name", "busy");
    until("a limited agent is served", TAKEOVER, async || {
        let answer = caller.chat(&chat("gpt-4o")).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}
