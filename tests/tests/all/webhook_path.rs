//! A webhook from its receipt to its callback, through real processes.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use agix_tests::callback_receiver::CallbackReceiver;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Reply, Script, Usage};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use http::{Method, StatusCode};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "webhook_secret";

/// The definition of the product's description, called back at `url`.
fn policy(url: &str) -> String {
    format!(
        r#"
failover: {{ same_model_retries: 0 }}
models: {{ gpt-4o-mini: {{ provider: openai, price: {{ input: 1, output: 10 }} }} }}
webhooks:
  enabled: true
  definitions:
    summarize-report:
      secret: "{SECRET}"
      model: "gpt-4o-mini"
      prompt_template: |
        Summarize this report in 3 bullet points:

        {{{{.Payload}}}}
      callback_url: "{url}"
      callback_retries: [1ms, 1ms]
      allow_insecure: true
      allow_private: true
    switched-off:
      secret: "{SECRET}"
      callback_url: "https://example.com/"
      enabled: false
"#
    )
}

/// What the description's `openssl` command prints.
fn signature(body: &str) -> String {
    let command = "printf %s \"$1\" | openssl dgst -sha256 -hmac \"$2\" -hex | sed 's/^.* //'";
    let output = Command::new("bash")
        .args(["-c", command, "sign", body, SECRET])
        .output()
        .expect("bash and openssl are there");
    assert!(output.status.success(), "{output:?}");
    let digits = String::from_utf8(output.stdout).expect("hexadecimal digits");
    format!("sha256={}", digits.trim())
}

/// Whether the description's Python function takes a post for signed.
fn verified(secret: &str, signature: &str, body: &[u8]) -> bool {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/python/verify_webhook.py");
    let mut child = Command::new("python3")
        .args([file, secret, signature])
        .stdin(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    let mut input = child.stdin.take().expect("its input is piped");
    input.write_all(body).expect("it reads");
    drop(input);
    child.wait().expect("it ends").success()
}

fn signed(bed: &TestBed, body: &str) -> Caller {
    bed.caller().with("x-webhook-signature", &signature(body))
}

async fn post(caller: &Caller, path: &str, body: &str) -> (StatusCode, Value) {
    let answer = caller
        .call(Method::POST, path, body.to_owned())
        .await
        .expect("an answer");
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status, body)
}

async fn bed_with(receiver: &CallbackReceiver) -> TestBed {
    let bed = TestBed::start(&policy(&receiver.url())).await;
    bed.mock.reply(
        "gpt-4o-mini",
        Reply {
            text: Some("three points".to_owned()),
            usage: Some(Usage {
                input: 100,
                output: 20,
                ..Usage::default()
            }),
            ..Reply::default()
        },
    );
    bed
}

#[tokio::test]
async fn a_webhook_is_run_and_called_back_as_the_description_says() {
    let receiver = CallbackReceiver::start();
    let bed = bed_with(&receiver).await;
    // The description's own commands.
    let script = r#"
SECRET="webhook_secret"
PAYLOAD=$(cat webhook-payload.json)
SIGNATURE=$(echo -n "$PAYLOAD" | openssl dgst -sha256 -hmac "$SECRET" -hex | sed 's/^.* //')

curl -sS -w '%{http_code}' -X POST "http://$PROXY/v1/webhooks/summarize-report" \
  -H "Content-Type: application/json" \
  -H "X-Webhook-Signature: sha256=$SIGNATURE" \
  -d "$PAYLOAD"
"#;
    let payload = "{\n  \"title\": \"Sales Report\",\n  \"data\": \"Q1 revenue up 25%\"\n}\n";
    std::fs::write(bed.directory().join("webhook-payload.json"), payload).unwrap();
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(bed.directory())
        .env("PROXY", bed.proxies[0].address.to_string())
        .output()
        .expect("bash, curl and openssl are there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = said.split_at(said.len().saturating_sub(3));
    assert_eq!(
        status,
        "202",
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let accepted: Value = serde_json::from_str(body).unwrap();
    assert_eq!(accepted["status"], "pending");
    let id = accepted["execution_id"].as_str().unwrap();

    let posts = receiver.wait_for(1).await;
    let told = posts[0].json();
    assert_eq!(
        told,
        json!({
            "execution_id": id,
            "webhook": "summarize-report",
            "status": "succeeded",
            "model": "gpt-4o-mini",
            "output": "three points",
            "usage": { "input_tokens": 100, "output_tokens": 20 },
            "cost_usd": 0.0003,
            "latency_ms": told["latency_ms"],
            "attempts": [{ "model": "gpt-4o-mini", "provider": "openai", "outcome": "ok" }],
        })
    );
    let text = String::from_utf8(posts[0].body.clone()).unwrap();
    assert_eq!(posts[0].header("x-webhook-signature"), signature(&text));
    assert_eq!(posts[0].header("webhook-id"), id);
    assert!(posts[0].header("webhook-signature").starts_with("v1,"));
    for (secret, is_good) in [(SECRET, true), ("another", false)] {
        let signature = posts[0].header("x-webhook-signature");
        assert_eq!(verified(secret, signature, &posts[0].body), is_good);
    }
    let book = bed.mock.log();
    assert_eq!(book.len(), 1);

    let history = until("the history says so", PATIENCE, async || {
        let history = bed.agixctl.ok(&["webhook", "history"]).await;
        history.contains("SUCCESS").then_some(history)
    })
    .await;
    let columns = ["Timestamp", "Webhook", "Status", "LLM Model", "Latency"];
    assert!(
        columns.iter().all(|column| history.contains(column)),
        "{history}"
    );
    assert!(
        history.contains("summarize-report") && history.contains("gpt-4o-mini"),
        "{history}"
    );
}

#[tokio::test]
async fn whoever_knows_no_secret_is_told_nothing() {
    let receiver = CallbackReceiver::start();
    let bed = bed_with(&receiver).await;
    let path = "/v1/webhooks/summarize-report";
    for caller in [
        bed.caller(),
        bed.caller().with("x-webhook-signature", "sha256=00"),
        signed(&bed, "another body"),
    ] {
        let answer = caller
            .call(Method::POST, path, "a body".to_owned())
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.body.is_empty());
    }
    let off = signed(&bed, "x");
    for name in ["switched-off", "unknown", "no%20name", ""] {
        let (status, _) = post(&off, &format!("/v1/webhooks/{name}"), "x").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{name}");
    }
    let large = "x".repeat(256 * 1024 + 1);
    let (status, _) = post(&bed.caller(), path, &large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(receiver.posts().is_empty() && bed.mock.log().is_empty());
}

#[tokio::test]
async fn a_repeated_delivery_runs_nothing_and_a_sender_may_wait_for_the_result() {
    let receiver = CallbackReceiver::start();
    let bed = bed_with(&receiver).await;
    let caller = signed(&bed, "report");
    let path = "/v1/webhooks/summarize-report";
    let (status, first) = post(&caller, &format!("{path}?wait=true"), "report").await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(first["status"], "succeeded");
    assert_eq!(first["output"], "three points");
    let (status, again) = post(&caller, path, "report").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(again["execution_id"], first["execution_id"]);
    assert_eq!(again["repeated"], true);
    receiver.wait_for(1).await;
    assert_eq!(bed.mock.log().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_fails_is_called_again_under_the_same_id() {
    let receiver = CallbackReceiver::start();
    receiver.answer(&[500, 302]);
    let bed = bed_with(&receiver).await;
    let (status, _) = post(&signed(&bed, "x"), "/v1/webhooks/summarize-report", "x").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let posts = receiver.wait_for(3).await;
    assert!(
        posts
            .iter()
            .all(|post| post.header("webhook-id") == posts[0].header("webhook-id"))
    );
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    assert_eq!(bed.mock.log().len(), 1);
}

#[tokio::test]
async fn a_dead_letter_is_delivered_under_its_id_when_it_is_replayed() {
    let receiver = CallbackReceiver::start();
    receiver.answer(&[410]);
    let bed = bed_with(&receiver).await;
    let (_, accepted) = post(&signed(&bed, "x"), "/v1/webhooks/summarize-report", "x").await;
    let id = accepted["execution_id"].as_str().unwrap().to_owned();
    let is = async |status: &str| {
        until("it has come to its end", PATIENCE, async || {
            let list = ["webhook", "history", "--status", status];
            let history = bed.agixctl.json(&list).await;
            (history["executions"][0]["id"] == id.as_str()).then_some(())
        })
        .await;
    };
    is("dead").await;
    assert!(
        bed.agixctl
            .ok(&["webhook", "replay", &id])
            .await
            .contains(&id)
    );
    is("success").await;
    let posts = receiver.wait_for(2).await;
    assert_eq!(posts[0].body, posts[1].body);
    assert_eq!(posts[1].header("webhook-id"), id);
    // The model was not asked again.
    assert_eq!(bed.mock.log().len(), 1);
}

#[tokio::test]
async fn a_model_that_refuses_is_told_of_as_well() {
    let receiver = CallbackReceiver::start();
    let bed = bed_with(&receiver).await;
    bed.mock
        .script("gpt-4o-mini", Script::always(Behaviour::Status(400)));
    let (status, _) = post(&signed(&bed, "x"), "/v1/webhooks/summarize-report", "x").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let told = receiver.wait_for(1).await[0].json();
    assert_eq!(told["status"], "failed");
    assert_eq!(told["error"]["type"], "upstream");
    assert_eq!(told["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_control_plane_nothing_is_promised() {
    let receiver = CallbackReceiver::start();
    let mut bed = bed_with(&receiver).await;
    bed.kill_control_plane();
    let caller = signed(&bed, "x");
    let path = "/v1/webhooks/summarize-report";
    let answer = caller
        .call(Method::POST, path, "x".to_owned())
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after"));
    bed.restart_control_plane().await;
    until("it is taken again", PATIENCE, async || {
        let (status, _) = post(&caller, path, "x").await;
        (status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    receiver.wait_for(1).await;
}

/// A budget of a cent with two thresholds, whose alerts go to `definition`.
fn budget(url: &str, definition: &str) -> String {
    format!(
        r#"
failover: {{ same_model_retries: 0 }}
models: {{ gpt-4o-mini: {{ provider: openai, price: {{ input: 1, output: 10 }} }} }}
budgets:
  spender: {{ daily_limit_usd: 0.01, alert_at_percent: [50, 80] }}
webhooks:
  definitions:
    budget-alert:
      secret: "{SECRET}"
      callback_url: "{url}"
      allow_insecure: true
      allow_private: true
{definition}
"#
    )
}

/// One call of 6 thousandths of a dollar: 60 percent of the budget.
async fn spend(bed: &TestBed) {
    bed.mock.reply(
        "gpt-4o-mini",
        Reply {
            text: Some("spent".to_owned()),
            usage: Some(Usage {
                input: 1_000,
                output: 500,
                ..Usage::default()
            }),
            ..Reply::default()
        },
    );
    let mut request = agix_tests::ask::chat("gpt-4o-mini");
    request["max_tokens"] = 500.into();
    let caller = bed.caller().with("x-agent-name", "spender");
    let answer = caller.chat(&request).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn an_alert_without_a_model_is_posted_as_it_is() {
    let receiver = CallbackReceiver::start();
    let bed = TestBed::start(&budget(&receiver.url(), "")).await;
    spend(&bed).await;
    let posts = receiver.wait_for(1).await;
    let alert = posts[0].json();
    assert_eq!(
        alert,
        json!({
            "type": "budget_alert",
            "execution_id": posts[0].header("webhook-id"),
            "webhook": "budget-alert",
            "timestamp": alert["timestamp"],
            "agent": "spender",
            "period": alert["period"],
            "threshold_percent": 50,
            "spent_percent": 60,
            "spent_usd": 0.006,
            "limit_usd": 0.01,
            "remaining_usd": 0.004,
        })
    );
    // Once, and not for the threshold that is not reached.
    until("the history has one alert", PATIENCE, async || {
        let history = bed.agixctl.ok(&["webhook", "history"]).await;
        (history.matches("budget-alert").count() == 1 && history.contains("SUCCESS")).then_some(())
    })
    .await;
    assert_eq!(receiver.posts().len(), 1);
}

#[tokio::test]
async fn an_alert_is_told_by_a_model_even_if_the_budget_it_reports_is_its_own() {
    let receiver = CallbackReceiver::start();
    let definition = r"      model: gpt-4o-mini
      agent: spender
      prompt_template: |
        Alert: Agent {{.AgentName}} has reached {{.SpentPercent}}% of daily budget.
        Current spend: ${{.Spent}} of ${{.Limit}}, remaining: ${{.Remaining}}";
    let bed = TestBed::start(&budget(&receiver.url(), definition)).await;
    spend(&bed).await;
    let told = receiver.wait_for(1).await[0].json();
    assert_eq!(told["status"], "succeeded", "{told}");
    assert_eq!(told["alert"]["agent"], "spender");
    let book = bed.mock.log();
    assert_eq!(book.len(), 2);
    let prompt = book[1].body["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        prompt.contains("Alert: Agent spender has reached 60% of daily budget.")
            && prompt.contains("Current spend: $0.01 of $0.01, remaining: $0.00"),
        "{prompt}"
    );
}
