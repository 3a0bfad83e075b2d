//! What was answered 202 is delivered, whatever is killed, and an alert comes once.
//!
//! `AGIX_TEST_KILLS` says how many processes are killed; the default keeps the test short.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agix_core::policy::SignatureScheme;
use agix_core::webhook::signature::sign;
use agix_tests::callback_receiver::CallbackReceiver;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Reply, Usage};
use agix_tests::test_bed::{ProxySettings, TestBed};
use agix_tests::wait::until;
use http::Method;
use serde_json::Value;
use tokio::task::JoinSet;

const SECRET: &str = "webhook_secret";
/// Senders at one moment.
const SENDERS: usize = 4;
/// Everything that was lost is found again within this.
const PATIENCE: Duration = Duration::from_secs(120);

fn policy(url: &str) -> String {
    format!(
        r#"
failover: {{ same_model_retries: 0 }}
models: {{ gpt-4o-mini: {{ provider: openai, price: {{ input: 1, output: 10 }} }} }}
budgets:
  "webhook:w": {{ daily_limit_usd: 1000 }}
  spender: {{ daily_limit_usd: 0.1, alert_at_percent: [80] }}
webhooks:
  definitions:
    w:
      secret: "{SECRET}"
      model: gpt-4o-mini
      prompt_template: "{{{{.Payload}}}}"
      callback_url: "{url}"
      callback_retries: [100ms, 500ms, 1s, 2s, 5s, 5s, 5s]
      max_attempts: 10
      allow_insecure: true
      allow_private: true
    budget-alert:
      secret: "{SECRET}"
      callback_url: "{url}"
      callback_retries: [100ms, 500ms, 1s, 2s, 5s, 5s, 5s]
      allow_insecure: true
      allow_private: true
"#
    )
}

async fn bed_with(receiver: &CallbackReceiver, proxies: usize) -> TestBed {
    let mut bed = TestBed::without_proxies().await;
    let document = bed.document(&policy(&receiver.url()));
    bed.agixctl.apply(&document, &[]).await;
    for _ in 0..proxies {
        let settings = ProxySettings {
            listen: Some(TestBed::steady_address()),
            journal: true,
            snapshot: true,
            ..ProxySettings::default()
        };
        bed.add_proxy(settings).await;
    }
    bed.mock.reply(
        "gpt-4o-mini",
        Reply {
            head_ms: 30,
            usage: Some(Usage {
                input: 1_000,
                output: 100,
                ..Usage::default()
            }),
            ..Reply::default()
        },
    );
    bed
}

fn kills() -> usize {
    let text = std::env::var("AGIX_TEST_KILLS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(12)
}

/// Sends one webhook until somebody promises to run it; says under which id.
async fn promised(callers: &[Caller], body: &str) -> String {
    let mut proxies = callers.iter().cycle().skip(body.len());
    loop {
        let caller = proxies.next().expect("a proxy");
        let mut caller = caller.clone();
        for (name, value) in sign(SignatureScheme::Agix, SECRET, "", 0, body.as_bytes()) {
            caller = caller.with(name, &value);
        }
        let answer = caller
            .call(Method::POST, "/v1/webhooks/w", body.to_owned())
            .await;
        if let Ok(answer) = answer
            && answer.status == 202
            && let Ok(body) = serde_json::from_slice::<Value>(&answer.body)
        {
            return body["execution_id"].as_str().expect("an id").to_owned();
        }
        // A process is being started again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Senders who send one webhook after the other until they are told to stop.
fn senders(callers: &[Caller], stop: &Arc<AtomicBool>) -> JoinSet<BTreeMap<String, String>> {
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        let (callers, stop) = (callers.to_vec(), Arc::clone(stop));
        tasks.spawn(async move {
            let mut sent = BTreeMap::new();
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let body = format!("{{\"sender\": {sender}, \"number\": {number}}}");
                let id = promised(&callers, &body).await;
                sent.insert(body, id);
                // So many that they can be told apart in the history.
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            sent
        });
    }
    tasks
}

/// Kills processes and starts them again, one after the other.
async fn kill_at_random(bed: &mut TestBed) {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..kills() {
        tokio::time::sleep(Duration::from_millis(random.u64(50..600))).await;
        match random.usize(0..4) {
            3 => {
                bed.kill_control_plane();
                bed.restart_control_plane().await;
            }
            proxy => bed.kill_and_restart_proxy(proxy).await,
        }
    }
}

/// Calls whose proxy died are on the books, too.
async fn the_books_agree(bed: &TestBed) {
    let book: u64 = bed
        .mock
        .log()
        .iter()
        .map(|call| call.billed.input * 1_000 + call.billed.output * 10_000)
        .sum();
    until("the books are settled", PATIENCE, async || {
        let books = bed.agixctl.json(&["ledger", "verify"]).await;
        assert_eq!(books["findings"], serde_json::json!([]), "{books}");
        let nanos = |what: &str| books["total"][what].as_u64().expect("an amount");
        let (spent, estimated) = (nanos("spent_nano_usd"), nanos("estimated_nano_usd"));
        // Rights of a proxy that died before it noted anything of them stay unsettled.
        let unsettled = nanos("unsettled_nano_usd") + nanos("escrow_nano_usd");
        // What nobody saw the end of is booked at its worst case and marked.
        let agree = book <= spent + unsettled && spent <= book + estimated;
        agree.then_some(())
    })
    .await;
}

#[tokio::test]
async fn whatever_is_killed_each_promise_is_kept_under_its_id() {
    let receiver = CallbackReceiver::start();
    let mut bed = bed_with(&receiver, 3).await;
    let callers: Vec<Caller> = bed
        .proxies
        .iter()
        .map(|it| Caller::new(it.address))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = senders(&callers, &stop);
    kill_at_random(&mut bed).await;
    stop.store(true, Ordering::Relaxed);
    let mut sent = BTreeMap::new();
    for some in tasks.join_all().await {
        sent.extend(some);
    }
    assert!(sent.len() >= kills(), "{} webhooks", sent.len());
    // A repetition is answered with the id of the first.
    for (body, id) in sent.iter().take(20) {
        assert_eq!(&promised(&callers, body).await, id);
    }
    until("all came to their end", PATIENCE, async || {
        let open = bed.agixctl.json(&["webhook", "list"]).await;
        (open["open"] == 0).then_some(())
    })
    .await;
    let mut posts: BTreeMap<String, usize> = BTreeMap::new();
    for post in receiver.posts() {
        let id = post.json()["execution_id"]
            .as_str()
            .expect("an id")
            .to_owned();
        assert_eq!(post.header("webhook-id"), id);
        *posts.entry(id).or_default() += 1;
    }
    let undelivered: Vec<_> = sent
        .values()
        .filter(|id| !posts.contains_key(*id))
        .collect();
    assert!(undelivered.is_empty(), "{undelivered:?}");
    let ids: std::collections::BTreeSet<_> = sent.values().collect();
    assert_eq!(ids.len(), sent.len(), "one id for two webhooks");
    the_books_agree(&bed).await;
    let repeated: usize = posts.values().map(|count| count - 1).sum();
    let calls = bed.mock.log().len();
    println!(
        "{} kills, {} webhooks, {calls} model calls, {repeated} repeated callbacks",
        kills(),
        sent.len()
    );
}

#[tokio::test]
async fn four_proxies_that_cross_a_threshold_at_once_raise_one_alert_while_the_owner_dies() {
    let receiver = CallbackReceiver::start();
    let mut bed = bed_with(&receiver, 4).await;
    let mut request = agix_tests::ask::chat("gpt-4o-mini");
    request["max_tokens"] = 100.into();
    let mut tasks = JoinSet::new();
    for proxy in &bed.proxies {
        let caller = Caller::new(proxy.address).with("x-agent-name", "spender");
        let request = request.clone();
        tasks.spawn(async move {
            // Each answer costs two thousandths of a dollar of the ten cents.
            for _ in 0..60 {
                let status = caller.chat(&request).await.map(|answer| answer.status);
                if status.is_ok_and(|status| status == 429) {
                    break;
                }
            }
        });
    }
    for _ in 0..5 {
        bed.kill_control_plane();
        bed.restart_control_plane().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    tasks.join_all().await;
    until("the alert is delivered", PATIENCE, async || {
        let list = bed.agixctl.json(&["webhook", "list"]).await;
        (list["kept"].as_u64() >= Some(1) && list["open"] == 0).then_some(())
    })
    .await;
    let ids = |receiver: &CallbackReceiver| -> std::collections::BTreeSet<String> {
        let posts = receiver.posts().into_iter();
        posts
            .map(|post| post.header("webhook-id").to_owned())
            .collect()
    };
    assert_eq!(ids(&receiver).len(), 1, "{:?}", ids(&receiver));
    // A higher limit, which is crossed again by a correction, is another alert.
    let raised = policy(&receiver.url()).replace("0.1,", "0.2,");
    bed.agixctl.apply(&bed.document(&raised), &[]).await;
    let adjust = [
        "budgets", "adjust", "spender", "--usd", "0.08", "-m", "test",
    ];
    bed.agixctl.ok(&adjust).await;
    until("the second alert is delivered", PATIENCE, async || {
        (ids(&receiver).len() == 2).then_some(())
    })
    .await;
}
