//! How much a failover may cost: no storm of further attempts, and no parameter lost unasked.

use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::TestBed;
use serde_json::json;

#[tokio::test]
async fn an_outage_of_all_models_does_not_multiply_the_calls() {
    // The breaker would end the storm too; it is kept out of this.
    let bed = TestBed::start(
        "
failover:
  same_model_retries: 0
  breaker: { consecutive_failures: 1000, min_requests: 1000 }
  retry_budget: { percent: 20, at_least: 3 }
  timeouts: { total: 30s }
  chains: { gpt-4o: [gpt-4o-mini, claude-opus-4-6] }
",
    )
    .await;
    let models = ["gpt-4o", "gpt-4o-mini", "claude-opus-4-6"];
    for model in models {
        bed.mock
            .script(model, Script::always(Behaviour::Status(503)));
    }
    let mut withheld = 0;
    for _ in 0..40 {
        let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        let attempts = answer.json()["error"]["agix"]["attempts"].clone();
        let last = attempts.as_array().unwrap().last().unwrap().clone();
        if last["outcome"] == "skipped" {
            assert_eq!(last["reason"], "too many further attempts failed lately");
            withheld += 1;
        }
    }
    let calls: usize = models.iter().map(|model| bed.mock.calls(model).len()).sum();
    assert!(calls <= 40 + 3 + 8, "{calls} calls for 40 requests");
    assert!(withheld > 0);
    let admin = Caller::new(bed.proxies[0].admin);
    let metrics = admin.get("/metrics").await.unwrap();
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let counted = format!("agix_retries_withheld_total {withheld}\n");
    assert!(metrics.contains(&counted), "{metrics}");
    // A chain whose fallback answers is not held up by what failed before.
    bed.mock.script("gpt-4o-mini", Script::default());
    bed.mock.script("gpt-4o", Script::default());
    let answer = bed.caller().chat(&chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_parameter_is_lost_only_where_the_policy_says_so() {
    let policy = "
failover:
  same_model_retries: 0
  chains: { gpt-4o: [claude-opus-4-6, gpt-4o-mini] }
";
    let mut request = chat("gpt-4o");
    request["seed"] = json!(7);
    // Says nothing of the answer.
    request["store"] = json!(true);
    for (drops, answered, header) in [
        ("false", "gpt-4o-mini", ""),
        ("true", "claude-opus-4-6", "seed,store"),
    ] {
        let policy = policy.replace(
            "failover:",
            &format!("failover:\n  drop_unsupported: {drops}"),
        );
        let bed = TestBed::start(&policy).await;
        bed.mock
            .script("gpt-4o", Script::always(Behaviour::Status(503)));
        let answer = bed.caller().chat(&request).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-agix-model"), answered);
        assert_eq!(answer.header("x-agix-dropped-params"), header);
    }
    let bed = TestBed::start("").await;
    request["model"] = json!("claude-opus-4-6");
    let answer = bed.caller().chat(&request).await.unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    let reason = &answer.json()["error"]["agix"]["attempts"][0]["reason"];
    assert_eq!(
        reason,
        "it has no `seed`, and `failover.drop_unsupported` is not set"
    );
    assert_eq!(bed.mock.calls("claude-opus-4-6").len(), 0);
    request.as_object_mut().unwrap().remove("seed");
    let answer = bed.caller().chat(&request).await.unwrap();
    assert_eq!(answer.header("x-agix-dropped-params"), "store");
}
