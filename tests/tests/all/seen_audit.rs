//! Audit records: one for each request, with what it cost, and nothing that is a secret.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use agix_tests::ask::{chat, stream};
use agix_tests::caller::Caller;
use agix_tests::collector::Collector;
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::{KEY, ProxySettings, TestBed};
use agix_tests::wait::until;
use serde_json::Value;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(20);
const CHAIN: &str = "
failover: { chains: { gpt-4o: [claude-opus-4-6] }, same_model_retries: 0 }
audit: { enabled: true }
";

fn audited(file: &Path) -> ProxySettings {
    ProxySettings {
        arguments: vec!["--audit-file".to_owned(), file.display().to_string()],
        ..ProxySettings::default()
    }
}

/// The records of a file.
fn records(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The record of one request.
async fn record(file: &Path, request: &str) -> Value {
    until("the record is written", PATIENCE, async || {
        let mut records = records(file);
        records.retain(|record| record["request_id"] == request);
        assert!(records.len() <= 1, "{records:#?}");
        records.pop()
    })
    .await
}

async fn metrics(bed: &TestBed) -> String {
    let admin = Caller::new(bed.proxies[0].admin);
    let metrics = admin.get("/metrics").await.unwrap();
    String::from_utf8(metrics.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_record_says_who_asked_what_and_what_became_of_it() {
    let mut bed = TestBed::without_proxies().await;
    let policy = format!("{CHAIN}rate_limits: {{ slow: {{ requests_per_minute: 1 }} }}\n");
    bed.agixctl.apply(&bed.document(&policy), &[]).await;
    let file = bed.directory().join("audit.jsonl");
    bed.add_proxy(audited(&file)).await;
    bed.mock
        .script("gpt-4o", Script::first([Behaviour::Status(503)]));
    let caller = bed.caller().with("x-agent-name", "slow");
    let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
    let said = record(&file, answer.header("x-request-id")).await;
    assert_eq!(said["type"], "request");
    assert_eq!(said["proxy"], "proxy-1");
    assert_eq!(said["agent"], "slow");
    assert_eq!(said["endpoint"], "POST /v1/chat/completions");
    assert!(said["from"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(said["model_asked"], "gpt-4o");
    assert_eq!(said["model_answered"], "claude-opus-4-6");
    assert_eq!(said["provider"], "anthropic");
    assert_eq!(said["decision"], "allowed");
    assert_eq!(said["outcome"], "answered");
    assert_eq!(said["status"], 200);
    assert_eq!(said["revision"], 1);
    assert_eq!(said["trace_id"], answer.header("x-trace-id"));
    assert_eq!(
        said["cost_usd"].to_string(),
        answer.header("x-cost-usd").to_owned()
    );
    assert_eq!(
        said["tokens"]["output"].to_string(),
        answer.header("x-output-tokens")
    );
    let [first, second] = &said["attempts"].as_array().unwrap()[..] else {
        panic!("two attempts: {said:#}")
    };
    assert_eq!(first["reason"], "unavailable");
    assert_eq!(first["status"], 503);
    assert_eq!(second["outcome"], "answered");
    assert!(said.get("content").is_none(), "{said:#}");

    let refused = caller.chat(&chat("gpt-4o")).await.unwrap();
    let said = record(&file, refused.header("x-request-id")).await;
    assert_eq!(said["decision"], "refused");
    assert_eq!(said["outcome"], "refused");
    assert_eq!(said["reason"], "rate_limit_exceeded");
    assert_eq!(said["status"], 429);
    assert_eq!(said["cost_usd"], 0);

    let lost = caller
        .post("/v1/nothing", &serde_json::json!({}))
        .await
        .unwrap();
    let said = record(&file, lost.header("x-request-id")).await;
    assert_eq!(said["decision"], "refused");
    assert_eq!(said["status"], 404);
    assert_eq!(said["endpoint"], Value::Null);
}

#[tokio::test]
async fn what_was_said_is_in_a_record_only_where_the_policy_asks_for_it() {
    let collector = Collector::start();
    let mut bed = TestBed::without_proxies().await;
    let policy = format!("{CHAIN}tracing: {{ enabled: true }}\n");
    bed.agixctl.apply(&bed.document(&policy), &[]).await;
    let file = bed.directory().join("audit.jsonl");
    let mut settings = audited(&file);
    settings.environment = collector.environment();
    settings
        .environment
        .push(("AGIX_LOG".to_owned(), "debug".to_owned()));
    bed.add_proxy(settings).await;
    let caller = bed.caller().with("x-agent-name", "reader");
    let question = "a question nobody else may read";
    let mut request = chat("gpt-4o");
    request["messages"][1]["content"] = question.into();
    let mut streamed = stream("gpt-4o");
    streamed["messages"][1]["content"] = question.into();
    let ask = async || {
        let plain = caller.chat(&request).await.unwrap();
        let mut events = caller.chat_stream(&streamed).await.unwrap();
        let id = events.header("x-request-id").to_owned();
        assert!(events.events().await.unwrap().is_whole());
        [
            record(&file, plain.header("x-request-id")).await,
            record(&file, &id).await,
        ]
    };
    for said in ask().await {
        assert!(said.get("content").is_none(), "{said:#}");
    }
    // The provider's key, the caller's, the prompt and the answer: planted, and looked for.
    let planted = [KEY, "sk-caller", question, "speaking, in a few words"];
    until("the spans arrive", PATIENCE, async || {
        (collector.spans().len() >= 6).then_some(())
    })
    .await;
    let places = [
        ("audit", std::fs::read_to_string(&file).unwrap()),
        ("metrics", metrics(&bed).await),
        ("traces", format!("{:?}", collector.spans())),
        ("log", bed.proxies[0].program.lines().join("\n")),
    ];
    for (place, text) in &places {
        assert!(!text.is_empty(), "{place}");
        for secret in planted {
            assert!(!text.contains(secret), "{secret} is in the {place}");
        }
    }

    let policy = policy.replace("audit: {", "audit: { content_log: true,");
    bed.agixctl.apply(&bed.document(&policy), &["--wait"]).await;
    for said in ask().await {
        let content = &said["content"];
        assert!(content["request"].as_str().unwrap().contains(question));
        assert!(content["answer"].as_str().unwrap().contains("speaking"));
        assert_eq!(content["cut"], false);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    for secret in [KEY, "sk-caller"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn of_ten_thousand_requests_each_has_one_record_and_their_costs_are_the_ledgers() {
    const REQUESTS: usize = 10_000;
    let mut bed = TestBed::without_proxies().await;
    let policy = "
failover: { chains: { gpt-4o-mini: [claude-opus-4-6] }, same_model_retries: 0, breaker: { min_requests: 1000000, consecutive_failures: 1000000 } }
budgets: { spender: { daily_limit_usd: 1000 } }
audit: { enabled: true }
";
    bed.mock
        .script("gpt-4o-mini", Script::always(Behaviour::Status(503)));
    bed.agixctl.apply(&bed.document(policy), &[]).await;
    let file = bed.directory().join("audit.jsonl");
    let mut settings = audited(&file);
    settings
        .arguments
        .extend(["--audit-file-bytes", "1000000", "--audit-files", "100"].map(str::to_owned));
    bed.add_proxy(settings).await;
    let caller = bed.caller().with("x-agent-name", "spender");
    let mut tasks = JoinSet::new();
    for worker in 0..8 {
        let caller = caller.clone();
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for number in (worker..REQUESTS).step_by(8) {
                let model = ["gpt-4o", "gpt-5", "gpt-4o-mini"][number % 3];
                let answer = caller.chat(&chat(model)).await.unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
                ids.push(answer.header("x-request-id").to_owned());
            }
            ids
        });
    }
    let mut seen = BTreeMap::new();
    while let Some(ids) = tasks.join_next().await {
        for id in ids.unwrap() {
            seen.insert(id, 0);
        }
    }
    assert_eq!(seen.len(), REQUESTS);
    let proxy = &mut bed.proxies[0].program;
    proxy.terminate();
    assert!(proxy.ended().await.success());

    let mut files = 0;
    let mut total = 0;
    for entry in std::fs::read_dir(bed.directory()).unwrap().flatten() {
        if !entry
            .file_name()
            .to_string_lossy()
            .starts_with("audit.jsonl")
        {
            continue;
        }
        files += 1;
        for line in std::fs::read_to_string(entry.path()).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let id = record["request_id"].as_str().unwrap();
            *seen.get_mut(id).expect("a request that was made") += 1;
            total += record["cost_nano_usd"].as_u64().unwrap();
        }
    }
    assert!(files > 2, "{files}");
    let odd: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).collect();
    assert!(odd.is_empty(), "{odd:?}");
    let usage = bed.agixctl.json(&["usage", "--by", "agent"]).await;
    let spent = usage["total"]["cost_nano_usd"].as_u64().unwrap();
    assert!(total > 0);
    assert_eq!(total, spent, "{usage:#}");
    bed.agixctl.ok(&["ledger", "verify"]).await;
}

#[tokio::test]
async fn a_place_that_takes_no_records_costs_no_request_and_the_loss_is_told() {
    let mut bed = TestBed::without_proxies().await;
    let policy = "
providers: { sim: { api: simulated, simulate: { first_token: 0ms, per_token: 0ms, output_tokens: 1 } } }
models: { practice: { provider: sim } }
audit: { enabled: true }
";
    bed.agixctl.apply(policy, &[]).await;
    bed.add_proxy(audited(Path::new("/dev/full"))).await;
    for _ in 0..50 {
        let answer = bed.caller().chat(&chat("practice")).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    until("the loss is counted", PATIENCE, async || {
        let text = metrics(&bed).await;
        text.contains("agix_audit_records_total{outcome=\"lost\"} 50")
            .then_some(())
    })
    .await;
    let said = bed.proxies[0].program.lines().join("\n");
    assert!(said.contains("audit records cannot be written"), "{said}");
}

#[tokio::test]
async fn a_place_that_is_stuck_costs_no_request_and_no_stop() {
    let mut bed = TestBed::without_proxies().await;
    let policy = "
providers: { sim: { api: simulated, simulate: { first_token: 0ms, per_token: 0ms, output_tokens: 1 } } }
models: { practice: { provider: sim } }
audit: { enabled: true }
";
    bed.agixctl.apply(policy, &[]).await;
    // A pipe that nobody reads takes 64 KiB.
    let pipe = bed.directory().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    bed.add_proxy(audited(&pipe)).await;
    for _ in 0..500 {
        let answer = bed.caller().chat(&chat("practice")).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    let text = metrics(&bed).await;
    let waiting = text
        .lines()
        .find_map(|line| line.strip_prefix("agix_audit_waiting "));
    assert!(waiting.unwrap().parse::<u64>().unwrap() > 0, "{text}");
    let proxy = &mut bed.proxies[0].program;
    proxy.terminate();
    assert!(proxy.ended().await.success());
}
