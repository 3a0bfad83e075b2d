//! The whole state moves between stores by `agixctl backup` and `agixctl restore`, and nothing is lost.

use std::path::Path;
use std::time::Duration;

use agix_tests::agixctl::Agixctl;
use agix_tests::caller::Caller;
use agix_tests::etcd::Member;
use agix_tests::mock_provider::MockProvider;
use agix_tests::program::Program;
use agix_tests::wait::until;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(30);
const PAYLOAD: &str = "pl-Fe6uT9wOy4BiNk2S";

const POLICY: &str = r#"
providers: { mine: { api: openai, base_url: "http://MOCK/v1", api_key: sk-of-the-house } }
models: { some-model: { provider: mine, price: { input: 3, output: 10 } } }
rate_limits: { busy: { requests_per_hour: 500, tokens_per_minute: 1000000 } }
budgets: { busy: { daily_limit_usd: 10, monthly_limit_usd: 100 } }
webhooks:
  enabled: true
  definitions:
    summarize:
      secret: wh-Lm5cD8sAh1PgIx3W
      model: some-model
      prompt_template: "Say {{.Payload}}"
      callback_url: "http://127.0.0.1:1/"
      callback_retries: [1h]
      allow_insecure: true
      allow_private: true
"#;

/// A control plane and its operator.
struct Plane {
    program: Program,
    agixctl: Agixctl,
    url: String,
}

impl Plane {
    async fn start(home: &Path, store: &str, key: &str) -> Self {
        let arguments = ["--listen", "127.0.0.1:0", "--store", store];
        let with = ["--seal-key-file", key];
        let arguments = [&arguments[..], if key.is_empty() { &[] } else { &with }].concat();
        let mut program = Program::start("agix-control-plane", home, arguments, &[]);
        let address = program.addresses().await[0];
        Self {
            program,
            agixctl: Agixctl::new(home, address),
            url: format!("http://{address}"),
        }
    }

    /// What must be the same before and after: revisions, books, usage and webhooks.
    async fn state(&self) -> [Value; 5] {
        let ctl = &self.agixctl;
        until("the ledger is served", PATIENCE, async || {
            let verified = ctl.run(&["ledger", "verify", "-o", "json"]).await;
            (verified.code == 0).then_some(())
        })
        .await;
        let mut books = ctl.json(&["ledger", "verify"]).await;
        // How much of the log was replayed is told too, and who opened a session since.
        let kept = [
            "ok",
            "findings",
            "agents",
            "total",
            "usage_cost_nano_usd",
            "per_agent",
        ];
        if let Some(books) = books.as_object_mut() {
            books.retain(|key, _| kept.contains(&key.as_str()));
            assert_eq!(books.len(), kept.len());
        }
        [
            ctl.json(&["history"]).await,
            books,
            ctl.json(&["usage", "--by", "model"]).await,
            ctl.json(&["webhook", "history"]).await,
            ctl.json(&["get"]).await,
        ]
    }
}

/// Traffic, webhooks and several revisions through a proxy, which is then stopped.
async fn keep_busy(plane: &Plane, home: &Path) {
    let mock = MockProvider::start().unwrap();
    let policy = POLICY.replace("MOCK", &mock.address().to_string());
    plane.agixctl.apply(&policy, &["-m", "first"]).await;
    // Not any 500: the port of the provider may have one.
    let more = policy.replace("requests_per_hour: 500", "requests_per_hour: 600");
    assert_ne!(more, policy);
    plane.agixctl.apply(&more, &["-m", "second"]).await;
    let any = "127.0.0.1:0";
    let arguments = [
        "--listen",
        any,
        "--admin",
        any,
        "--control-plane",
        &plane.url,
    ];
    let mut proxy = Program::start("agix-proxy", home, arguments, &[]);
    let address = proxy.addresses().await[0];
    let caller = Caller::new(address).with("x-agent-name", "busy");
    let ask = json!({
        "model": "some-model",
        "messages": [{"role": "user", "content": "Hello"}],
    });
    until("the proxy serves", PATIENCE, async || {
        let answer = caller.chat(&ask).await.ok()?;
        answer.status.is_success().then_some(())
    })
    .await;
    for _ in 0..20 {
        assert!(caller.chat(&ask).await.unwrap().status.is_success());
    }
    let (file, secret) = (home.join("payload"), home.join("secret"));
    std::fs::write(&file, PAYLOAD).unwrap();
    std::fs::write(&secret, "wh-Lm5cD8sAh1PgIx3W").unwrap();
    let (file, secret) = (file.display().to_string(), secret.display().to_string());
    let url = format!("http://{address}");
    let send = [
        "webhook",
        "send",
        "summarize",
        "-f",
        &file,
        "--secret-file",
        &secret,
    ];
    plane
        .agixctl
        .ok(&[&send[..], &["--proxy", &url]].concat())
        .await;
    until("the webhook waits for its receiver", PATIENCE, async || {
        let history = plane.agixctl.ok(&["webhook", "history"]).await;
        history.contains("CALLING").then_some(())
    })
    .await;
    proxy.terminate();
    proxy.ended().await;
}

/// `agixctl backup` to a new file; its path.
async fn backup(plane: &Plane, home: &Path, name: &str) -> String {
    let file = home.join(name).display().to_string();
    plane.agixctl.ok(&["backup", &file]).await;
    let bytes = std::fs::read(&file).unwrap();
    let sealed = !bytes
        .windows(PAYLOAD.len())
        .any(|some| some == PAYLOAD.as_bytes());
    assert!(
        sealed,
        "what is sealed in the store is sealed in its backup"
    );
    file
}

#[tokio::test]
async fn a_state_moves_to_etcd_and_back_and_history_and_books_are_the_same() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let member = Member::alone(&[]).await;
    let first = format!("embedded:{}", home.join("first").display());
    let old = Plane::start(home, &first, "").await;
    keep_busy(&old, home).await;
    let before = old.state().await;
    assert!(before[1]["total"]["spent_nano_usd"].as_u64() > Some(0));
    let file = backup(&old, home, "one").await;
    let again = old.agixctl.run(&["backup", &file]).await;
    assert_eq!(again.code, 2, "no file is written over: {again:#?}");
    let full = old.agixctl.run(&["restore", &file]).await;
    assert_eq!(full.code, 5, "{full:#?}");
    assert!(full.err.contains("a policy at revision 2"), "{full:#?}");
    drop(old);

    let key = home.join("first/seal.key").display().to_string();
    let in_etcd = format!("etcd:{}/agix", member.url());
    let etcd = Plane::start(home, &in_etcd, &key).await;
    etcd.agixctl.ok(&["restore", &file]).await;
    assert_eq!(etcd.state().await, before);
    let file = backup(&etcd, home, "two").await;
    drop(etcd);

    let third = format!("embedded:{}", home.join("third").display());
    let embedded = Plane::start(home, &third, &key).await;
    embedded.agixctl.ok(&["restore", &file]).await;
    assert_eq!(embedded.state().await, before);
    let memory = Plane::start(home, "memory", &key).await;
    memory.agixctl.ok(&["restore", &file]).await;
    assert_eq!(memory.state().await, before);

    // Life goes on: numbers go on, and a proxy works by what was restored.
    keep_busy(&memory, home).await;
    let status = memory.agixctl.json(&["status"]).await;
    assert_eq!(status["current"]["revision"], 4);
    memory.agixctl.ok(&["ledger", "verify"]).await;

    let other = home.join("other.key");
    std::fs::write(&other, "ab".repeat(32)).unwrap();
    let other = Plane::start(home, "memory", &other.display().to_string()).await;
    let refused = other.agixctl.run(&["restore", &file]).await;
    assert_eq!(refused.code, 7, "{refused:#?}");
    assert!(refused.err.contains("which was not given"), "{refused:#?}");
    let status = other.agixctl.json(&["status"]).await;
    assert_eq!(status["restoring"], false);
    assert_eq!(status["current"], Value::Null);
}

#[tokio::test]
async fn a_restore_that_is_killed_is_told_of_and_done_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let member = Member::alone(&[]).await;
    let first = format!("embedded:{}", home.join("first").display());
    let old = Plane::start(home, &first, "").await;
    keep_busy(&old, home).await;
    let before = old.state().await;
    let file = backup(&old, home, "one").await;
    let key = home.join("first/seal.key").display().to_string();
    let in_etcd = format!("etcd:{}/agix", member.url());
    let mut plane = Plane::start(home, &in_etcd, &key).await;

    // Half of the file by a pipe that then says nothing: the restore is in its middle for sure.
    let pipe = home.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let path = pipe.display().to_string();
    let agixctl = plane.agixctl.clone();
    let restoring = TaskTracker::new().spawn(async move { agixctl.run(&["restore", &path]).await });
    let whole = std::fs::read(&file).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    let writing = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let mut writer = std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
        writer.write_all(&half).unwrap();
        writer
    });
    let writer = writing.await.unwrap();
    until("the restore is in its middle", PATIENCE, async || {
        let status = plane.agixctl.json(&["status"]).await;
        (status["restoring"] == true).then_some(())
    })
    .await;
    plane.program.kill();
    drop(writer);
    assert_ne!(restoring.await.unwrap().code, 0);

    let plane = Plane::start(home, &in_etcd, &key).await;
    let status = plane.agixctl.ok(&["status"]).await;
    assert!(status.contains("was cut off"), "{status}");
    let refused = plane.agixctl.run_with(POLICY, &["apply", "-f", "-"]).await;
    assert_eq!(refused.code, 7, "{refused:#?}");
    assert!(refused.err.contains("agixctl restore"), "{refused:#?}");
    plane.agixctl.ok(&["restore", &file]).await;
    assert_eq!(plane.state().await, before);
}
