//! A document with mistakes: every one is reported where it is, and nothing changes.

use agix_tests::test_bed::TestBed;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../testdata/eight-mistakes.yaml");
/// The lines of the mistakes.
const LINES: [u64; 8] = [2, 4, 5, 8, 9, 11, 12, 14];

#[tokio::test]
async fn eight_mistakes_are_eight_errors_and_the_running_policy_is_untouched() {
    let bed = TestBed::start("rate_limits: { batch: { requests_per_minute: 5 } }").await;
    let before = bed.agixctl.ok(&["get", "-o", "yaml"]).await;
    let history = bed.agixctl.ok(&["history", "-o", "json"]).await;
    for command in ["validate", "apply", "diff"] {
        let arguments = [command, "-f", "-", "-o", "json"];
        let said = bed.agixctl.run_with(DOCUMENT, &arguments).await;
        assert_eq!(said.code, 3, "{command}: {said:#?}");
        let report: Value = serde_json::from_str(&said.out).unwrap();
        let errors = report["errors"].as_array().unwrap();
        let mut lines: Vec<u64> = errors
            .iter()
            .map(|error| error["line"].as_u64().unwrap())
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, LINES, "{command}: {report:#}");
    }
    assert_eq!(bed.agixctl.ok(&["get", "-o", "yaml"]).await, before);
    assert_eq!(bed.agixctl.ok(&["history", "-o", "json"]).await, history);
}

#[tokio::test]
async fn people_see_the_line_the_caret_and_a_proposal() {
    let bed = TestBed::without_proxies().await;
    let said = bed.agixctl.run_with(DOCUMENT, &["apply", "-f", "-"]).await;
    assert_eq!(said.code, 3, "{said:#?}");
    assert_eq!(said.out, "", "words belong on standard error");
    assert!(said.err.contains("request_per_hour: 100"), "{}", said.err);
    assert!(said.err.contains("requests_per_hour"), "{}", said.err);
    assert!(said.err.contains(":9:5"), "{}", said.err);
    assert!(said.err.contains("8 errors"), "{}", said.err);
}
