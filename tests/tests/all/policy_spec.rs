//! Every policy of the specification is accepted as it is printed there.

use agix_tests::agixctl::Agixctl;
use agix_tests::test_bed::TestBed;

/// The specification's documents, in its order.
const DOCUMENTS: [(&str, &str); 8] = [
    (
        "failover-chains",
        include_str!("../../testdata/spec/1-failover-chains.yaml"),
    ),
    (
        "cross-provider",
        include_str!("../../testdata/spec/2-cross-provider-failover.yaml"),
    ),
    (
        "rate-limits",
        include_str!("../../testdata/spec/3-rate-limits.yaml"),
    ),
    (
        "tight-loop",
        include_str!("../../testdata/spec/4-tight-loop.yaml"),
    ),
    (
        "budget-alert",
        include_str!("../../testdata/spec/5-budget-alert.yaml"),
    ),
    (
        "webhooks",
        include_str!("../../testdata/spec/6-webhooks.yaml"),
    ),
    (
        "feedback-pipeline",
        include_str!("../../testdata/spec/7-feedback-pipeline.yaml"),
    ),
    (
        "enterprise",
        include_str!("../../testdata/spec/8-enterprise.yaml"),
    ),
];

#[tokio::test]
async fn every_document_is_valid_without_a_control_plane() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let agixctl = Agixctl::new(home.path(), nowhere);
    for (name, document) in DOCUMENTS {
        let said = agixctl.run_with(document, &["validate", "-f", "-"]).await;
        assert_eq!(said.code, 0, "{name}: {said:#?}");
    }
}

#[tokio::test]
async fn every_document_is_applied_and_followed() {
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(&bed.document(""), &[]).await;
    bed.add_proxy(agix_tests::test_bed::ProxySettings::default())
        .await;
    for (index, (name, document)) in DOCUMENTS.into_iter().enumerate() {
        let out = bed.agixctl.apply(document, &["--wait", "-m", name]).await;
        assert!(out.contains("1/1"), "{name}: {out}");
        let history = bed.agixctl.json(&["history"]).await;
        let newest = &history["revisions"][0];
        assert_eq!(newest["message"], name);
        assert_eq!(newest["revision"], index + 2, "{history}");
    }
}
