//! etcd is slow, or full: agents are served on, operators are told, and it is mended as described.

use std::time::Duration;

use agix_tests::agixctl::Agixctl;
use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::etcd::Member;
use agix_tests::mock_provider::MockProvider;
use agix_tests::network::Fault;
use agix_tests::replicas::Replicas;
use agix_tests::test_bed::{KEY, document};
use agix_tests::wait::until;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest anything may take to be noticed or to be well again.
const PATIENCE: Duration = Duration::from_secs(40);

const POLICY: &str = "
rate_limits:
  paced: { requests_per_minute: 30000 }
  open: { requests_per_minute: 30000, on_outage: allow }
";

struct Bed {
    home: TempDir,
    replicas: Replicas,
    agixctl: Agixctl,
    mock: MockProvider,
}

impl Bed {
    async fn start(members: Vec<Member>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mock = MockProvider::start().unwrap();
        mock.accept_only(KEY);
        let mut replicas = Replicas::over(home.path(), members, 2).await;
        let agixctl = replicas.agixctl(home.path());
        agixctl.apply(&document(&mock, POLICY), &[]).await;
        replicas.add_proxy(home.path()).await;
        Self {
            home,
            replicas,
            agixctl,
            mock,
        }
    }

    async fn status_of(&self, agent: &str) -> u16 {
        let caller = Caller::new(self.replicas.proxies[0].address).with("x-agent-name", agent);
        let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
        answer.status.as_u16()
    }

    /// What `look` finds in the answer of `agixctl status`, once it finds it.
    async fn status(&self, what: &str, look: impl Fn(&Value) -> bool) {
        until(what, PATIENCE, async || {
            let status = self.agixctl.json(&["status"]).await;
            look(&status).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_slow_etcd_slows_what_needs_it_and_nothing_fails() {
    let bed = Bed::start(vec![Member::alone(&[]).await]).await;
    for way in bed.replicas.planes.iter().flat_map(|plane| &plane.to_etcd) {
        way.fault(Fault::Delay(Duration::from_millis(200)));
    }
    bed.status("that the store is slow", |status| {
        status["store_write_ms"]
            .as_u64()
            .is_some_and(|it| it >= 200)
    })
    .await;
    let told = bed.agixctl.ok(&["status"]).await;
    assert!(told.contains("slow: the last write took"), "{told}");
    for _ in 0..20 {
        for agent in ["free", "paced", "open"] {
            assert_eq!(bed.status_of(agent).await, 200, "{agent}");
        }
    }
    let changed = format!("{POLICY}  other: {{ requests_per_minute: 1 }}\n");
    let changed = document(&bed.mock, &changed);
    bed.agixctl.apply(&changed, &["--wait"]).await;
    drop(bed.home);
}

#[tokio::test]
async fn a_full_etcd_is_told_of_and_mended_as_described() {
    let members = vec![Member::alone(&["--quota-backend-bytes", "8388608"]).await];
    let bed = Bed::start(members).await;
    assert_eq!(bed.status_of("paced").await, 200);
    let etcd = &bed.replicas.members[0];
    let filler = STANDARD.encode(vec![b'x'; 512 * 1024]);
    let key = STANDARD.encode("filler");
    until("etcd is full", PATIENCE, async || {
        let put = json!({ "key": key, "value": filler });
        let answer = etcd.ask("/v3/kv/put", &put).await;
        answer.get("error").map(|_| ())
    })
    .await;
    bed.status("that the store is full", |status| {
        let trouble = status["store_trouble"].as_str();
        trouble.is_some_and(|it| it.contains("NOSPACE"))
    })
    .await;
    // Whoever needs no ledger, or may go on without, is served; the policy can be read.
    for agent in ["free", "open"] {
        assert_eq!(bed.status_of(agent).await, 200, "{agent}");
    }
    assert!(bed.agixctl.ok(&["get"]).await.contains("paced"));
    let changed = format!("{POLICY}  other: {{ requests_per_minute: 1 }}\n");
    let changed = document(&bed.mock, &changed);
    let refused = bed.agixctl.run_with(&changed, &["apply", "-f", "-"]).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    // As in docs/operations.md: make room, compact, defragment, disarm.
    let deleted = etcd.ask("/v3/kv/deleterange", &json!({ "key": key })).await;
    let revision = &deleted["header"]["revision"];
    let compact = json!({ "revision": revision, "physical": true });
    etcd.ask("/v3/kv/compaction", &compact).await;
    etcd.ask("/v3/maintenance/defragment", &json!({})).await;
    let alarms = etcd
        .ask("/v3/maintenance/alarm", &json!({ "action": "GET" }))
        .await;
    for alarm in alarms["alarms"].as_array().unwrap() {
        let disarm = json!({
            "action": "DEACTIVATE",
            "memberID": alarm["memberID"],
            "alarm": alarm["alarm"],
        });
        etcd.ask("/v3/maintenance/alarm", &disarm).await;
    }
    bed.status("that the store is well", |status| {
        status["store_trouble"].is_null()
    })
    .await;
    until("the limited agent is served", PATIENCE, async || {
        (bed.status_of("paced").await == 200).then_some(())
    })
    .await;
    bed.agixctl.apply(&changed, &["--wait"]).await;
    let verified = bed.agixctl.json(&["ledger", "verify"]).await;
    assert_eq!(verified["findings"], json!([]), "{verified}");
}
