//! What proxies and control planes tell Prometheus, and what is made of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agix_tests::ask::{chat, stream};
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::promtool::{complaints_of_metrics, complaints_of_rules};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const POLICY: &str = r#"
failover: { chains: { gpt-4o: [claude-opus-4-6] }, same_model_retries: 0 }
rate_limits: { reader: { requests_per_minute: 3, requests_per_hour: 100 } }
budgets: { reader: { daily_limit_usd: 10, monthly_limit_usd: 100 } }
webhooks:
  definitions:
    summarize: { secret: hush, model: gpt-4o, prompt_template: "{{.Payload}}", callback_url: "https://callback.example" }
audit: { enabled: true }
"#;

async fn metrics(caller: &Caller) -> String {
    let answer = caller.get("/metrics").await.unwrap();
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The value of a series; nothing if it is not there.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.strip_prefix(' ')?.trim().parse().ok()
}

/// A fleet that has had a bit of everything.
async fn busy() -> TestBed {
    let bed = TestBed::start(POLICY).await;
    bed.mock
        .script("gpt-4o", Script::first([Behaviour::Status(503)]));
    let reader = bed.caller().with("x-agent-name", "reader");
    for _ in 0..2 {
        assert_eq!(reader.chat(&chat("gpt-4o")).await.unwrap().status, 200);
    }
    let mut streamed = reader.chat_stream(&stream("gpt-4o")).await.unwrap();
    assert!(streamed.events().await.unwrap().is_whole());
    let refused = reader.chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(refused.status, 429);
    // One that the policy does not name.
    let stranger = bed.caller().with("x-agent-name", "stranger-of-nobody");
    assert_eq!(stranger.chat(&chat("gpt-4o")).await.unwrap().status, 200);
    bed
}

#[tokio::test]
async fn prometheus_takes_what_both_planes_tell_and_it_is_true() {
    let bed = busy().await;
    let proxy = Caller::new(bed.proxies[0].admin);
    let plane = Caller::new(bed.control_plane.admin);
    let (of_proxy, of_plane) = until("the ledger has heard", PATIENCE, async || {
        let of_plane = metrics(&plane).await;
        let used = "agix_limit_used_requests{agent=\"reader\",limit=\"requests_per_hour\"}";
        let spent = "agix_budget_spent_usd{agent=\"reader\",period=\"day\"}";
        let heard = value(&of_plane, used)? >= 3.0 && value(&of_plane, spent)? > 0.0;
        heard.then_some((metrics(&proxy).await, of_plane))
    })
    .await;
    for text in [&of_proxy, &of_plane] {
        assert_eq!(complaints_of_metrics(text), None, "{text}");
    }
    let agent = |outcome: &str| {
        let labels = format!("agent=\"reader\",model=\"gpt-4o\",outcome=\"{outcome}\"");
        value(&of_proxy, &format!("agix_agent_requests_total{{{labels}}}"))
    };
    assert_eq!(agent("answered"), Some(3.0), "{of_proxy}");
    assert_eq!(agent("refused"), Some(1.0), "{of_proxy}");
    let other = "agix_agent_requests_total{agent=\"other\",model=\"gpt-4o\",outcome=\"answered\"}";
    assert_eq!(value(&of_proxy, other), Some(1.0), "{of_proxy}");
    assert!(!of_proxy.contains("stranger-of-nobody"), "{of_proxy}");
    let reason = "agix_failover_reasons_total{model=\"gpt-4o\",reason=\"unavailable\"}";
    assert_eq!(value(&of_proxy, reason), Some(1.0), "{of_proxy}");
    let first = "agix_time_to_first_token_seconds_count{model=\"gpt-4o\",provider=\"openai\"}";
    assert_eq!(value(&of_proxy, first), Some(1.0), "{of_proxy}");

    let budget = |kind: &str| {
        let series = format!("agix_budget_{kind}_usd{{agent=\"reader\",period=\"day\"}}");
        value(&of_plane, &series).unwrap()
    };
    assert!((budget("limit") - 10.0).abs() < f64::EPSILON);
    let sum = budget("spent") + budget("held") + budget("remaining");
    assert!((sum - 10.0).abs() < 1e-9, "{of_plane}");
    for (series, expected) in [
        ("agix_policy_revision", 1.0),
        ("agix_proxies_connected", 1.0),
        ("agix_proxies_current", 1.0),
        ("agix_ledger_owner", 1.0),
        ("agix_webhook_open", 0.0),
    ] {
        assert_eq!(value(&of_plane, series), Some(expected), "{of_plane}");
    }
    assert!(value(&of_plane, "agix_ledger_commits_total").unwrap() > 0.0);

    // Who asks for OpenMetrics gets it.
    let open = proxy.with("accept", "application/openmetrics-text; version=1.0.0");
    let open = metrics(&open).await;
    assert!(open.ends_with("# EOF\n"), "{open}");
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The names of metrics in a text of PromQL, and the labels among them.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !is_part(letter))
        .filter(|word| word.starts_with("agix_") || word.starts_with("gen_ai_"))
        .map(str::to_owned)
        .collect()
}

/// The queries of a dashboard.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_metric_of_the_dashboards_and_alerts_exists() {
    let rules = deploy().join("prometheus/alerts.yaml");
    assert_eq!(complaints_of_rules(&rules), None);
    let mut named = names(&std::fs::read_to_string(rules).unwrap());
    for entry in std::fs::read_dir(deploy().join("grafana")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let queries = queries(&dashboard);
        assert!(queries.len() > 10);
        named.extend(queries.iter().flat_map(|query| names(query)));
    }
    let bed = busy().await;
    let told = metrics(&Caller::new(bed.proxies[0].admin)).await
        + &metrics(&Caller::new(bed.control_plane.admin)).await;
    let exists = |name: &String| {
        let is_series = |line: &str| {
            let rest = line.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let of_type = format!("# TYPE {name} ");
        told.lines().any(is_series)
            || told.contains(&of_type)
            || told.contains(&format!("{name}=\""))
    };
    let missing: Vec<_> = named.iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?}\n{told}");
    assert!(named.len() > 30, "{named:?}");
}
