//! Policy as a transaction: revisions, differences, compare-and-swap, rollback.

use agix_tests::test_bed::TestBed;

const SLOW: &str = "rate_limits: { batch: { requests_per_minute: 5 } }";
const FAST: &str = "rate_limits: { batch: { requests_per_minute: 50 } }";

async fn revision(bed: &TestBed) -> u64 {
    let history = bed.agixctl.json(&["history"]).await;
    history["revisions"][0]["revision"].as_u64().unwrap()
}

#[tokio::test]
async fn history_tells_who_changed_what_and_why() {
    let bed = TestBed::without_proxies().await;
    bed.agixctl
        .apply(SLOW, &["-m", "begin slowly", "--author", "alice"])
        .await;
    bed.agixctl
        .apply(FAST, &["-m", "speed up", "--author", "bob"])
        .await;
    let history = bed.agixctl.json(&["history"]).await;
    let revisions = history["revisions"].as_array().unwrap();
    let told: Vec<(&str, &str)> = revisions
        .iter()
        .map(|one| {
            (
                one["author"].as_str().unwrap(),
                one["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("bob", "speed up"), ("alice", "begin slowly")]);
    let table = bed.agixctl.ok(&["history"]).await;
    assert!(
        table.contains("begin slowly") && table.contains("bob"),
        "{table}"
    );
}

#[tokio::test]
async fn an_unchanged_document_makes_no_revision() {
    let bed = TestBed::without_proxies().await;
    bed.agixctl.apply(SLOW, &[]).await;
    let before = revision(&bed).await;
    bed.agixctl.apply(SLOW, &[]).await;
    assert_eq!(revision(&bed).await, before);
}

#[tokio::test]
async fn diff_shows_what_would_change_and_changes_nothing() {
    let bed = TestBed::without_proxies().await;
    bed.agixctl.apply(SLOW, &[]).await;
    let same = bed.agixctl.run_with(SLOW, &["diff", "-f", "-"]).await;
    assert_eq!(same.code, 0, "{same:#?}");
    let other = bed.agixctl.run_with(FAST, &["diff", "-f", "-"]).await;
    assert_eq!(other.code, 1, "{other:#?}");
    assert!(other.out.contains("requests_per_minute"), "{}", other.out);
    let dry = bed.agixctl.apply(FAST, &["--dry-run"]).await;
    assert!(dry.contains("requests_per_minute"), "{dry}");
    assert_eq!(revision(&bed).await, 1);
}

#[tokio::test]
async fn a_change_that_expects_another_revision_is_refused() {
    let bed = TestBed::without_proxies().await;
    bed.agixctl.apply(SLOW, &["--expect-revision", "0"]).await;
    bed.agixctl.apply(FAST, &["--expect-revision", "1"]).await;
    let arguments = ["apply", "-f", "-", "--expect-revision", "1"];
    let late = bed.agixctl.run_with(SLOW, &arguments).await;
    assert_eq!(late.code, 5, "{late:#?}");
    assert!(
        late.err.contains('2'),
        "the current revision is named: {}",
        late.err
    );
    assert_eq!(revision(&bed).await, 2);
}

#[tokio::test]
async fn rollback_makes_a_new_revision_with_the_old_content() {
    let bed = TestBed::without_proxies().await;
    bed.agixctl.apply(SLOW, &[]).await;
    let slow = bed.agixctl.ok(&["get", "-o", "yaml"]).await;
    bed.agixctl.apply(FAST, &[]).await;
    assert_ne!(bed.agixctl.ok(&["get", "-o", "yaml"]).await, slow);
    bed.agixctl.ok(&["rollback", "1"]).await;
    assert_eq!(revision(&bed).await, 3);
    let same = bed.agixctl.run_with(SLOW, &["diff", "-f", "-"]).await;
    assert_eq!(same.code, 0, "{same:#?}");
    let missing = bed.agixctl.run(&["rollback", "77"]).await;
    assert_ne!(missing.code, 0);
    assert_eq!(revision(&bed).await, 3);
}

#[tokio::test]
async fn secrets_are_never_printed() {
    let secret = "sk-canary-2f9b61";
    let document = format!(
        "providers: {{ openai: {{ api: openai, base_url: \"http://127.0.0.1:1/v1\", api_key: {secret} }} }}
webhooks: {{ definitions: {{ hook: {{ secret: {secret}, callback_url: \"https://a.example\" }} }} }}"
    );
    let bed = TestBed::without_proxies().await;
    let mut printed = bed.agixctl.apply(&document, &[]).await;
    for arguments in [
        ["get", "-o", "table"],
        ["get", "-o", "yaml"],
        ["get", "-o", "json"],
        ["history", "-o", "json"],
    ] {
        printed.push_str(&bed.agixctl.ok(&arguments).await);
    }
    let diff = bed.agixctl.run_with(SLOW, &["diff", "-f", "-"]).await;
    printed.push_str(&diff.out);
    printed.push_str(&diff.err);
    let broken = document.replace("api: openai", "apy: openai");
    let invalid = bed.agixctl.run_with(&broken, &["apply", "-f", "-"]).await;
    assert_eq!(invalid.code, 3);
    printed.push_str(&invalid.err);
    printed.push_str(&bed.control_plane.program.lines().join("\n"));
    assert!(!printed.contains(secret), "{printed}");
}

#[tokio::test]
async fn a_control_plane_that_is_away_is_exit_6() {
    let mut bed = TestBed::without_proxies().await;
    bed.kill_control_plane();
    let said = bed.agixctl.run(&["history"]).await;
    assert_eq!(said.code, 6, "{said:#?}");
}
