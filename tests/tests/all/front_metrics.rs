//! What the proxy says of itself agrees with what callers saw and the provider billed.

use agix_tests::ask::{chat, stream};
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::{KEY, TestBed};

const CHAIN: &str = "failover: { chains: { gpt-4o: [claude-opus-4-6] } }";

/// The value of the one series with that beginning; 0 if there is none.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn counters_agree_with_the_providers_book() {
    let bed = TestBed::start(CHAIN).await;
    bed.mock
        .script("gpt-4o", Script::first([Behaviour::Status(503)]));
    let mut cost = 0.0;
    for _ in 0..3 {
        let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
        cost += answer.header("x-cost-usd").parse::<f64>().unwrap();
    }
    let mut streamed = bed.caller().chat_stream(&stream("gpt-5")).await.unwrap();
    assert!(streamed.events().await.unwrap().is_whole());
    bed.caller().chat(&chat("llama-of-nobody")).await.unwrap();

    let metrics = Caller::new(bed.proxies[0].admin)
        .get("/metrics")
        .await
        .unwrap();
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let requests = |model: &str| {
        let series = format!("agix_requests_total{{model=\"{model}\",outcome=\"answered\"}}");
        value(&metrics, &series)
    };
    let of = |counter: &str, model: &str, provider: &str| {
        let series = format!("agix_{counter}_total{{model=\"{model}\",provider=\"{provider}\"}}");
        value(&metrics, &series)
    };
    assert!((requests("gpt-4o") - 3.0).abs() < f64::EPSILON, "{metrics}");
    assert!((requests("gpt-5") - 1.0).abs() < f64::EPSILON, "{metrics}");
    for (model, provider) in [("gpt-4o", "openai"), ("claude-opus-4-6", "anthropic")] {
        let calls = f64::from(u32::try_from(bed.mock.calls(model).len()).unwrap());
        let attempts = of("attempts", model, provider);
        assert!(
            (attempts - calls).abs() < f64::EPSILON,
            "{model}: {metrics}"
        );
    }
    let counted =
        of("cost_usd", "gpt-4o", "openai") + of("cost_usd", "claude-opus-4-6", "anthropic");
    assert!((counted - cost).abs() < 1e-9, "{counted} {cost}");
    let failovers = of("failovers", "claude-opus-4-6", "anthropic");
    assert!((failovers - 1.0).abs() < f64::EPSILON, "{metrics}");
    // A name a stranger made up is no label, and a key is nowhere.
    assert!(!metrics.contains("llama-of-nobody"), "{metrics}");
    assert!(!metrics.contains(KEY), "{metrics}");
    assert!(!bed.proxies[0].program.lines().join("\n").contains(KEY));
}
