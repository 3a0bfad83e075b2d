//! Waiting for proxies, and looking at them.

use crate::harness::{Fleet, limit};

/// A policy that no proxy of these tests can use: the variable is not set.
const UNUSABLE: &str = "\
providers:
  openai: { api: openai, api_key: '${AGIX_TEST_VARIABLE_THAT_IS_NOT_SET}' }
";

#[test]
fn wait_counts_the_proxies_that_run_the_revision() {
    let mut fleet = Fleet::start();
    fleet.proxy("p1");
    fleet.proxy("p2");
    fleet.apply(&limit(1), &[]).exits(0);
    settle(&fleet, 2);
    fleet
        .apply(&limit(2), &["--wait"])
        .exits(0)
        .says("2/2 proxies run revision 2");
    let listed = fleet.agixctl(&["proxies"]).exits(0).says("p1").says("p2");
    assert_eq!(listed.stdout.matches("current").count(), 2, "{listed:#?}");
    fleet.agixctl(&["status"]).exits(0).says("2/2");
    fleet
        .agixctl(&["rollback", "1", "--wait"])
        .exits(0)
        .says("2/2 proxies run revision 3");
    fleet
        .agixctl(&["proxies", "-o", "wide"])
        .exits(0)
        .says("IN FLIGHT");
}

#[test]
fn wait_without_proxies_says_that_there_are_none() {
    let fleet = Fleet::start();
    fleet
        .apply(&limit(1), &["--wait"])
        .exits(0)
        .says("no proxy is connected");
}

#[test]
fn a_refusal_ends_the_wait_with_its_reasons() {
    let mut fleet = Fleet::start();
    fleet.proxy("p1");
    fleet.apply(&limit(1), &[]).exits(0);
    settle(&fleet, 1);
    fleet
        .apply(UNUSABLE, &["--wait"])
        .exits(4)
        .says("policy applied")
        .complains("p1 refused revision 2")
        .complains("AGIX_TEST_VARIABLE_THAT_IS_NOT_SET")
        .complains("still at revision 1");
    let json = fleet.agixctl(&["proxies", "-o", "json"]).exits(0).json();
    assert_eq!(json["proxies"][0]["rejection"]["revision"], 2);
    assert_eq!(json["proxies"][0]["behind"], 1);
    fleet
        .agixctl(&["proxies"])
        .exits(0)
        .says("refused 2")
        .says("p1 refused revision 2, still at revision 1:");
    let json = fleet
        .apply(UNUSABLE, &["--wait", "-o", "json"])
        .exits(4)
        .json();
    assert_eq!(json["outcome"], "unchanged");
    assert_eq!(json["rollout"]["complete"], false);
    assert_eq!(json["rollout"]["refused"][0]["id"], "p1");
}

/// Waits until this many proxies are connected and run the current revision.
fn settle(fleet: &Fleet, proxies: usize) {
    let deadline = std::time::Duration::from_secs(20);
    let started = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    loop {
        let json = fleet.agixctl(&["status", "-o", "json"]).exits(0).json();
        if json["proxies_current"] == proxies {
            return;
        }
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        assert!(now < started + deadline, "the proxies do not come: {json}");
    }
}
