//! A provider whose token counts are missing or absurd: the answer passes, the books stay sane.

use agix_tests::ask::{chat, stream_with_usage};
use agix_tests::mock_provider::{Behaviour, Script, UsageReport};
use agix_tests::test_bed::TestBed;

const REPORTS: [UsageReport; 4] = [
    UsageReport::Missing,
    UsageReport::Negative,
    UsageReport::Huge,
    UsageReport::BeyondSigned,
];
const MODELS: [&str; 2] = ["gpt-4o", "claude-opus-4-6"];
/// No estimate of these short texts comes to that many tokens.
const SANE_TOKENS: u64 = 1_000;

#[tokio::test]
async fn unbelievable_usage_is_estimated_and_said_to_be() {
    let bed = TestBed::start("").await;
    for (model, report) in MODELS
        .into_iter()
        .flat_map(|model| REPORTS.map(|report| (model, report)))
    {
        bed.mock
            .script(model, Script::always(Behaviour::Usage(report)));
        let answer = bed.caller().chat(&chat(model)).await.unwrap();
        assert_eq!(answer.status, 200, "{model} {report:?}: {answer:?}");
        assert_eq!(
            answer.header("x-agix-usage"),
            "estimated",
            "{model} {report:?}"
        );
        for name in ["x-input-tokens", "x-output-tokens"] {
            let tokens: u64 = answer.header(name).parse().unwrap();
            assert!(
                (1..SANE_TOKENS).contains(&tokens),
                "{model} {report:?} {name}: {tokens}"
            );
        }
        let cost: f64 = answer.header("x-cost-usd").parse().unwrap();
        assert!(cost > 0.0 && cost < 0.1, "{model} {report:?}: {cost}");
    }
}

#[tokio::test]
async fn a_stream_with_unbelievable_usage_is_whole_and_its_cost_sane() {
    let bed = TestBed::start("").await;
    for (model, report) in MODELS
        .into_iter()
        .flat_map(|model| REPORTS.map(|report| (model, report)))
    {
        bed.mock
            .script(model, Script::always(Behaviour::Usage(report)));
        let request = stream_with_usage(model);
        let mut stream = bed.caller().chat_stream(&request).await.unwrap();
        let said = stream.events().await.unwrap();
        assert!(said.is_whole(), "{model} {report:?}: {said:?}");
        assert_eq!(
            said.text(),
            format!("This is {model} speaking, in a few words.")
        );
        if let Some(cost) = said.usage().and_then(|usage| usage["cost_usd"].as_f64()) {
            assert!(cost > 0.0 && cost < 0.1, "{model} {report:?}: {cost}");
        }
    }
}
