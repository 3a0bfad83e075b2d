//! Traces, as a collector gets them.

use std::time::Duration;

use agix_proto::v1::GetRequest;
use agix_proto::v1::policy_admin_client::PolicyAdminClient;
use agix_tests::ask::{chat, stream};
use agix_tests::callback_receiver::CallbackReceiver;
use agix_tests::caller::Caller;
use agix_tests::collector::{Collector, Span};
use agix_tests::crowd::{Crowd, Tally};
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::{ProxySettings, TestBed};
use agix_tests::wait::until;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tonic::IntoRequest as _;
use tonic::transport::Endpoint;

const PATIENCE: Duration = Duration::from_secs(20);
const CHAIN: &str = "
failover: { chains: { gpt-4o: [claude-opus-4-6] }, same_model_retries: 0 }
tracing: { enabled: true }
";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const WEBHOOK_SECRET: &str = "webhook_secret";
/// Answers at once.
const SIMULATED: &str = "
providers: { sim: { api: simulated, simulate: { first_token: 0ms, per_token: 0ms, output_tokens: 1 } } }
models: { practice: { provider: sim } }
";

async fn traced(policy: &str, collector: &Collector) -> TestBed {
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(&bed.document(policy), &[]).await;
    let settings = ProxySettings {
        environment: collector.environment(),
        ..ProxySettings::default()
    };
    bed.add_proxy(settings).await;
    bed
}

/// The spans of a trace, once there are so many.
async fn spans(collector: &Collector, trace: &str, count: usize) -> Vec<Span> {
    until("the spans arrive", PATIENCE, async || {
        let spans = collector.trace(trace);
        (spans.len() >= count).then_some(spans)
    })
    .await
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [one] = found[..] else {
        panic!("one span {name} in {spans:#?}")
    };
    one
}

#[tokio::test]
async fn a_request_that_failed_over_is_one_trace_with_each_attempt_in_it() {
    let collector = Collector::start();
    let bed = traced(CHAIN, &collector).await;
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    let caller = bed.caller().with("x-agent-name", "reader");

    let mut request = chat("gpt-4o");
    request["max_tokens"] = json!(77);
    let answer = caller.chat(&request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let plain = spans(&collector, answer.header("x-trace-id"), 4).await;
    let mut streamed = caller.chat_stream(&stream("gpt-4o")).await.unwrap();
    let trace = streamed.header("x-trace-id").to_owned();
    assert!(streamed.events().await.unwrap().is_whole());
    let streamed = spans(&collector, &trace, 4).await;

    for (spans, is_stream) in [(&plain, false), (&streamed, true)] {
        let server = named(spans, "POST /v1/chat/completions");
        let asking = named(spans, "chat gpt-4o");
        let first = named(spans, "attempt gpt-4o");
        let second = named(spans, "attempt claude-opus-4-6");
        assert_eq!(spans.len(), 4, "{spans:#?}");
        assert_eq!(server.parent, "");
        assert_eq!(asking.parent, server.id);
        assert_eq!(first.parent, asking.id);
        assert_eq!(second.parent, asking.id);
        assert_eq!(server.kind, SpanKind::Server);
        for span in [asking, first, second] {
            assert_eq!(span.kind, SpanKind::Client);
        }
        assert!(first.is_error);
        assert!(!server.is_error && !asking.is_error && !second.is_error);
        assert!(server.began <= asking.began && asking.ended <= server.ended);
        assert!(first.ended <= second.began && second.ended <= asking.ended);

        says_everything(&bed, spans, is_stream);
    }
    let plain_bound = named(&plain, "chat gpt-4o").says("gen_ai.request.max_tokens");
    assert_eq!(plain_bound, 77);
    let cost: f64 = answer.header("x-cost-usd").parse().unwrap();
    let told = named(&plain, "chat gpt-4o").says("agix.cost.usd");
    assert!((told.as_f64().unwrap() - cost).abs() < 1e-12);
}

#[tokio::test]
async fn responses_and_completions_are_traced_as_what_they_are() {
    let collector = Collector::start();
    let bed = traced(CHAIN, &collector).await;
    let response = json!({ "model": "gpt-4o", "input": "Hello", "max_output_tokens": 77 });
    let completion = json!({ "model": "gpt-4o", "prompt": "Hello", "max_tokens": 77 });
    for (path, request, operation) in [
        ("/v1/responses", response, "chat"),
        ("/v1/completions", completion, "text_completion"),
    ] {
        let answer = bed.caller().post(path, &request).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let spans = spans(&collector, answer.header("x-trace-id"), 3).await;
        let server = named(&spans, &format!("POST {path}"));
        let asking = named(&spans, &format!("{operation} gpt-4o"));
        assert_eq!(server.says("http.route"), path);
        assert_eq!(asking.says("gen_ai.operation.name"), operation);
        assert_eq!(asking.says("gen_ai.request.max_tokens"), 77);
        let cost: f64 = answer.header("x-cost-usd").parse().unwrap();
        let told = asking.says("agix.cost.usd");
        assert!((told.as_f64().unwrap() - cost).abs() < 1e-12);
    }
}

/// Looks at the attributes of the trace of a request that failed over.
fn says_everything(bed: &TestBed, spans: &[Span], is_stream: bool) {
    let server = named(spans, "POST /v1/chat/completions");
    let asking = named(spans, "chat gpt-4o");
    let first = named(spans, "attempt gpt-4o");
    let second = named(spans, "attempt claude-opus-4-6");
    assert_eq!(server.says("http.request.method"), "POST");
    assert_eq!(server.says("http.route"), "/v1/chat/completions");
    assert_eq!(server.says("http.response.status_code"), 200);
    for span in [server, asking] {
        assert_eq!(span.says("agix.agent.name"), "reader");
        assert_eq!(span.says("agix.policy.revision"), 1);
    }
    assert_eq!(asking.says("gen_ai.operation.name"), "chat");
    assert_eq!(asking.says("gen_ai.provider.name"), "anthropic");
    assert_eq!(asking.says("gen_ai.request.model"), "gpt-4o");
    assert_eq!(asking.says("gen_ai.request.stream"), is_stream);
    assert_eq!(asking.says("gen_ai.response.model"), "claude-opus-4-6");
    let finish = asking.says("gen_ai.response.finish_reasons");
    assert_eq!(finish, json!(["stop"]));
    for kind in ["input_tokens", "output_tokens"] {
        let tokens = asking.says(&format!("gen_ai.usage.{kind}"));
        assert!(tokens.as_i64().unwrap() > 0, "{asking:#?}");
    }
    for kind in [
        "cache_read.input",
        "cache_creation.input",
        "reasoning.output",
    ] {
        let tokens = asking.says(&format!("gen_ai.usage.{kind}_tokens"));
        assert!(tokens.as_i64().is_some(), "{kind}: {asking:#?}");
    }
    assert_eq!(asking.says("agix.attempts"), 2);
    assert_eq!(asking.says("agix.failover"), true);
    assert_eq!(asking.says("agix.outcome"), "answered");
    assert!(asking.says("agix.cost.usd").as_f64().unwrap() > 0.0);
    let first_chunk = asking.says("gen_ai.response.time_to_first_chunk");
    assert_eq!(first_chunk.as_f64().is_some(), is_stream, "{asking:#?}");

    assert_eq!(first.says("agix.attempt.number"), 1);
    assert_eq!(first.says("agix.failover.reason"), "unavailable");
    assert_eq!(first.says("error.type"), "unavailable");
    assert_eq!(first.says("http.response.status_code"), 503);
    assert_eq!(first.says("gen_ai.provider.name"), "openai");
    assert_eq!(first.says("agix.outcome"), "failed");
    assert_eq!(second.says("agix.attempt.number"), 2);
    assert_eq!(second.says("agix.outcome"), "answered");
    assert_eq!(second.says("gen_ai.provider.name"), "anthropic");
    for span in [first, second] {
        assert_eq!(span.says("server.address"), "127.0.0.1");
        assert_eq!(span.says("server.port"), bed.mock.address().port());
    }
    assert_eq!(server.process["service.name"], "agix-proxy");
    assert_eq!(server.process["service.instance.id"], "proxy-1");
}

#[tokio::test]
async fn a_request_that_is_refused_says_why() {
    let collector = Collector::start();
    let policy = "
tracing: { enabled: true }
rate_limits: { slow: { requests_per_minute: 1 } }
";
    let bed = traced(policy, &collector).await;
    let caller = bed.caller().with("x-agent-name", "slow");
    caller.chat(&chat("gpt-4o")).await.unwrap();
    let answer = caller.chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 429);
    let spans = spans(&collector, answer.header("x-trace-id"), 2).await;
    let server = named(&spans, "POST /v1/chat/completions");
    assert_eq!(server.says("agix.reason"), "rate_limit_exceeded");
    assert_eq!(server.says("http.response.status_code"), 429);
    assert!(!server.is_error, "the caller's doing");
    let asking = named(&spans, "chat gpt-4o");
    assert_eq!(asking.says("agix.attempts"), 0);
    let (event, said) = &asking.events[0];
    assert_eq!(event, "agix.target.skipped");
    assert_eq!(said["agix.reason"], "over a limit");
}

#[tokio::test]
async fn a_callers_trace_goes_on_as_the_caller_decided_and_providers_do_not_hear_of_it() {
    let collector = Collector::start();
    let bed = traced("tracing: { enabled: true, sample_rate: 0 }", &collector).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = |flags: &str| format!("00-{trace}-b7ad6b7169203331-{flags}");
    let kept = bed.caller().with("traceparent", &parent("01"));
    let answer = kept.chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.header("x-trace-id"), trace);
    assert!(!answer.header("x-request-id").contains(trace));
    let first = spans(&collector, trace, 3).await;
    let server = named(&first, "POST /v1/chat/completions");
    assert_eq!(server.parent, "b7ad6b7169203331");
    assert_eq!(bed.mock.calls("gpt-4o")[0].header("traceparent"), None);

    // With the share at one, what the caller does not keep is not kept; and providers may be told.
    let policy = "tracing: { enabled: true, propagate: true }";
    bed.agixctl.apply(&bed.document(policy), &["--wait"]).await;
    let left = bed.caller().with("traceparent", &parent("00"));
    left.chat(&chat("gpt-4o")).await.unwrap();
    kept.chat(&chat("gpt-4o")).await.unwrap();
    let spans = spans(&collector, trace, 6).await;
    assert_eq!(spans.len(), 6, "{spans:#?}");
    let told = |call: usize| {
        let calls = bed.mock.calls("gpt-4o");
        calls[call].header("traceparent").unwrap().to_owned()
    };
    let is_left = told(1).starts_with(&format!("00-{trace}-")) && told(1).ends_with("-00");
    assert!(is_left, "{}", told(1));
    let attempts: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "attempt gpt-4o")
        .map(|span| format!("00-{trace}-{}-01", span.id))
        .collect();
    assert!(attempts.contains(&told(2)), "{attempts:?} {}", told(2));
}

/// Sends requests in turn until so many are answered.
async fn ask(bed: &TestBed, requests: u64) {
    let callers = [bed.caller()];
    let asked = std::sync::atomic::AtomicU64::new(0);
    let asked: &'static std::sync::atomic::AtomicU64 = Box::leak(Box::new(asked));
    let size = 8;
    let crowd = Crowd::gather(size, &callers, &chat("practice"), move |_| {
        asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 > requests - 8
    });
    let tally = crowd.done().await;
    assert_eq!(Tally::count(&tally.answered), requests, "{tally:?}");
}

#[tokio::test]
async fn the_share_of_the_policy_is_traced_and_changes_without_a_restart() {
    let collector = Collector::start();
    let mut bed = TestBed::without_proxies().await;
    let policy =
        |rate: &str| format!("{SIMULATED}tracing: {{ enabled: true, sample_rate: {rate} }}");
    bed.agixctl.apply(&policy("0"), &[]).await;
    bed.add_proxy(ProxySettings {
        environment: collector.environment(),
        ..ProxySettings::default()
    })
    .await;
    let requests = || {
        let spans = collector.spans();
        let servers = spans.iter().filter(|span| span.kind == SpanKind::Server);
        servers.count()
    };
    ask(&bed, 500).await;
    bed.agixctl.apply(&policy("1"), &["--wait"]).await;
    ask(&bed, 500).await;
    // Everything of before is there once all of these are: spans are sent in turn.
    until("all are traced", PATIENCE, async || {
        (requests() >= 500).then_some(())
    })
    .await;
    bed.agixctl.apply(&policy("0.1"), &["--wait"]).await;
    ask(&bed, 5_000).await;
    let metrics = Caller::new(bed.proxies[0].admin)
        .get("/metrics")
        .await
        .unwrap();
    let proxy = &mut bed.proxies[0].program;
    proxy.terminate();
    assert!(proxy.ended().await.success());
    let sampled = requests() - 500;
    // 500 are meant; five standard deviations are 106.
    assert!((394..=606).contains(&sampled), "{sampled}");
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(
        text.contains("agix_spans_total{outcome=\"failed\"} 0"),
        "{text}"
    );
    let all = collector.spans().len();
    assert_eq!(all, 3 * requests(), "a request, its call, its attempt");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_request() {
    let collector = Collector::start();
    let environment = collector.environment();
    drop(collector);
    let mut bed = TestBed::without_proxies().await;
    let policy = format!("{SIMULATED}tracing: {{ enabled: true }}");
    bed.agixctl.apply(&policy, &[]).await;
    let mut environment = environment;
    environment.push(("OTEL_BSP_MAX_QUEUE_SIZE".to_owned(), "64".to_owned()));
    bed.add_proxy(ProxySettings {
        environment,
        ..ProxySettings::default()
    })
    .await;
    ask(&bed, 500).await;
    let admin = Caller::new(bed.proxies[0].admin);
    until("what was not exported is counted", PATIENCE, async || {
        let metrics = admin.get("/metrics").await.unwrap();
        let text = String::from_utf8(metrics.body.to_vec()).unwrap();
        let failed = "agix_spans_total{outcome=\"failed\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(failed));
        let recorded = text.contains("agix_spans_total{outcome=\"recorded\"} 1500");
        (recorded && line.is_some_and(|failed| failed != "0")).then_some(())
    })
    .await;
    let proxy = &mut bed.proxies[0].program;
    proxy.terminate();
    assert!(proxy.ended().await.success());
}

#[tokio::test]
async fn posts_of_a_result_are_found_beside_the_run_of_their_webhook() {
    let (collector, receiver) = (Collector::start(), CallbackReceiver::start());
    receiver.answer(&[500, 200]);
    let hook = format!(
        "
{SIMULATED}
tracing: {{ enabled: true }}
webhooks:
  enabled: true
  definitions:
    report:
      {{ secret: \"{WEBHOOK_SECRET}\", model: practice, prompt_template: \"{{{{.Payload}}}}\",
        callback_url: \"{}\", callback_retries: [1ms, 1ms], allow_insecure: true, allow_private: true }}
",
        receiver.url()
    );
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(&hook, &[]).await;
    let settings = ProxySettings {
        environment: collector.environment(),
        ..ProxySettings::default()
    };
    let proxy = bed.add_proxy(settings).await.address;
    let proxy = format!("http://{proxy}");
    let send = [
        "webhook", "send", "report", "--file", "-", "--proxy", &proxy,
    ];
    let send = [&send[..], &["--secret", WEBHOOK_SECRET]].concat();
    let said = bed.agixctl.run_with("{}", &send).await;
    assert_eq!(said.code, 0, "{said:?}");
    receiver.wait_for(2).await;

    let spans = until("the spans arrive", PATIENCE, async || {
        let mut spans = collector.spans();
        spans.retain(|span| span.says("agix.webhook.execution_id") != Value::Null);
        (spans.len() >= 3).then_some(spans)
    })
    .await;
    let run = named(&spans, "webhook report");
    let mut posts: Vec<_> = spans
        .iter()
        .filter(|it| it.name == "callback report")
        .collect();
    posts.sort_by_key(|post| post.began);
    let [refused, taken] = posts[..] else {
        panic!("two posts in {spans:#?}")
    };
    let id = "agix.webhook.execution_id";
    for post in [refused, taken] {
        assert_eq!(post.kind, SpanKind::Client);
        assert_eq!((&post.trace, post.says(id)), (&run.trace, run.says(id)));
        assert_eq!(post.says("server.address"), "127.0.0.1");
    }
    let status = "http.response.status_code";
    assert_eq!((refused.says(status), refused.is_error), (json!(500), true));
    assert_eq!((taken.says(status), taken.is_error), (json!(200), false));
    assert!(
        run.says(id)
            .as_str()
            .is_some_and(|id| id.starts_with("exec_"))
    );
}

#[tokio::test]
async fn calls_of_the_control_plane_are_spans_where_the_policy_or_the_caller_wants_them() {
    let collector = Collector::start();
    let mut bed = TestBed::without_proxies().await;
    bed.restart_control_plane_with(&collector.environment())
        .await;
    let traced = format!("{SIMULATED}tracing: {{ enabled: true, sample_rate: RATE }}");
    bed.agixctl.apply(&traced.replace("RATE", "1"), &[]).await;
    bed.agixctl.ok(&["get"]).await;
    bed.agixctl.apply(&traced.replace("RATE", "0"), &[]).await;

    let arrived = async || {
        let spans = collector.spans();
        let last = spans
            .iter()
            .any(|it| it.name == "agix.v1.PolicyAdmin/Apply");
        last.then_some(spans)
    };
    let spans = until("the spans arrive", PATIENCE, arrived).await;
    let get = named(&spans, "agix.v1.PolicyAdmin/Get");
    assert_eq!((get.kind, get.is_error), (SpanKind::Server, false));
    assert_eq!(get.says("rpc.method"), "Get");
    assert_eq!(get.says("rpc.grpc.status_code"), 0);
    assert_eq!(get.says("agix.policy.revision"), 1);
    assert_eq!(get.process["service.name"], "agix-control-plane");

    // Now nothing is sampled but what a caller keeps itself.
    bed.agixctl.ok(&["get"]).await;
    let of = |revision, caller: &str| {
        let mut request = GetRequest {
            revision: Some(revision),
        }
        .into_request();
        let parent = format!("00-{TRACE}-{caller}-01");
        let metadata = request.metadata_mut();
        metadata.insert("traceparent", parent.parse().unwrap());
        request
    };
    let address = format!("http://{}", bed.control_plane.address);
    let channel = Endpoint::from_shared(address).unwrap().connect().await;
    let mut admin = PolicyAdminClient::new(channel.unwrap());
    let (there, missing) = ("b7ad6b7169203331", "c7ad6b7169203331");
    admin.get(of(1, there)).await.unwrap();
    assert!(admin.get(of(77, missing)).await.is_err());
    let spans = self::spans(&collector, TRACE, 2).await;
    for (parent, is_there) in [(there, true), (missing, false)] {
        let span = spans.iter().find(|span| span.parent == parent).unwrap();
        let is_ok = span.says("rpc.grpc.status_code") == 0;
        assert_eq!(is_ok, is_there, "{span:#?}");
    }
    let got = collector.spans().into_iter();
    assert_eq!(got.filter(|it| it.name == get.name).count(), 3);
}
