//! Administrative acts: who changed what, in a chain that cannot be changed without notice.

use agix_tests::test_bed::TestBed;
use serde_json::Value;

const POLICY: &str = "budgets: { reader: { daily_limit_usd: 10 } }";

/// The acts that a command lists, as type, subject, revisions and message.
async fn listed(bed: &TestBed, more: &[&str]) -> Vec<(String, Value, Value, Value, String)> {
    let arguments: Vec<_> = ["audit", "list"].iter().chain(more).copied().collect();
    let answer = bed.agixctl.json(&arguments).await;
    let acts = answer["acts"].as_array().unwrap().iter();
    acts.map(|act| {
        assert!(!act["author"].as_str().unwrap().is_empty(), "{act}");
        assert!(act["time"].as_str().unwrap().starts_with("20"), "{act}");
        (
            act["type"].as_str().unwrap().to_owned(),
            act["subject"].clone(),
            act["old_revision"].clone(),
            act["new_revision"].clone(),
            act["message"].as_str().unwrap().to_owned(),
        )
    })
    .collect()
}

#[tokio::test]
async fn each_act_is_recorded_once_and_the_chain_outlives_a_crash() {
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(POLICY, &["-m", "first"]).await;
    bed.agixctl.apply(POLICY, &["-m", "changes nothing"]).await;
    bed.agixctl
        .apply(&POLICY.replace("10", "20"), &["-m", "more"])
        .await;
    bed.agixctl.ok(&["rollback", "1", "-m", "too much"]).await;
    let adjust = [
        "budgets", "adjust", "reader", "--usd", "-1.5", "-m", "a gift",
    ];
    bed.agixctl.ok(&adjust).await;
    bed.kill_control_plane();
    bed.restart_control_plane().await;
    bed.agixctl
        .apply(POLICY.replace("10", "30").as_str(), &[])
        .await;

    let none = Value::Null;
    let act = |kind: &str, subject: Value, old: Value, new: Value, message: &str| {
        (kind.to_owned(), subject, old, new, message.to_owned())
    };
    let apply = |old: u64, message: &str| {
        act(
            "policy.apply",
            Value::Null,
            old.into(),
            (old + 1).into(),
            message,
        )
    };
    let rollback = act(
        "policy.rollback",
        none.clone(),
        2.into(),
        3.into(),
        "too much",
    );
    let gift = act(
        "budget.adjust",
        "reader".into(),
        none.clone(),
        none.clone(),
        "-1.5 USD: a gift",
    );
    let expected = vec![
        apply(3, ""),
        gift.clone(),
        rollback.clone(),
        apply(1, "more"),
        apply(0, "first"),
    ];
    assert_eq!(listed(&bed, &[]).await, expected);
    assert_eq!(listed(&bed, &["--agent", "reader"]).await, [gift]);
    assert_eq!(
        listed(&bed, &["--type", "policy.rollback"]).await,
        [rollback]
    );
    assert_eq!(listed(&bed, &["--since", "1h", "-n", "2"]).await.len(), 2);

    let verified = bed.agixctl.json(&["audit", "verify"]).await;
    assert_eq!(verified["whole"], true, "{verified}");
    assert_eq!(verified["acts"], 5, "{verified}");
    let said = bed
        .agixctl
        .run(&["audit", "list", "--type", "gossip"])
        .await;
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.err.contains("policy.apply"), "{said:#?}");
}

#[tokio::test]
async fn who_takes_the_state_out_and_puts_it_in_is_recorded() {
    let old = TestBed::without_proxies().await;
    old.agixctl.apply(POLICY, &["-m", "first"]).await;
    let said = old.agixctl.ok(&["audit", "verify"]).await;
    assert!(said.contains("the record of 1 act, number 1"), "{said}");
    let file = old.directory().join("state").display().to_string();
    old.agixctl.ok(&["backup", &file]).await;
    let kinds = async |bed: &TestBed| {
        let acts = listed(bed, &[]).await.into_iter();
        acts.map(|(kind, ..)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&old).await, ["state.backup", "policy.apply"]);
    let mut new = TestBed::without_proxies().await;
    let key = std::path::Path::new("store/seal.key");
    new.kill_control_plane();
    std::fs::copy(old.directory().join(key), new.directory().join(key)).unwrap();
    new.restart_control_plane().await;
    new.agixctl.ok(&["restore", &file]).await;
    // The backup was begun before it was written down.
    assert_eq!(kinds(&new).await, ["state.restore", "policy.apply"]);
    let verified = new.agixctl.json(&["audit", "verify"]).await;
    assert_eq!(verified["whole"], true, "{verified}");
}
