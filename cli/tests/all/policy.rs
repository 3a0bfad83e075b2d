//! Changing the policy and looking at it.

use crate::harness::{Fleet, limit};

#[test]
fn apply_says_what_it_made_and_what_changed() {
    let fleet = Fleet::start();
    fleet
        .apply(&limit(5), &[])
        .exits(0)
        .says("policy applied (revision 1)");
    fleet
        .apply(&limit(10), &[])
        .exits(0)
        .says("policy applied (revision 1 -> 2)")
        .says("~ rate_limits.batch.requests_per_minute: 5 -> 10");
    fleet
        .apply(&limit(10), &[])
        .exits(0)
        .says("policy unchanged (revision 2)");
}

#[test]
fn apply_tells_programs_the_same() {
    let fleet = Fleet::start();
    fleet.apply(&limit(5), &[]).exits(0);
    let json = fleet
        .apply(&limit(10), &["-o", "json", "-m", "why"])
        .exits(0)
        .json();
    assert_eq!(json["outcome"], "applied");
    assert_eq!(json["previous_revision"], 1);
    assert_eq!(json["revision"]["revision"], 2);
    assert_eq!(json["revision"]["message"], "why");
    let author = json["revision"]["author"].as_str().unwrap();
    assert!(author.starts_with("ada@"), "{author}");
    assert_eq!(json["changes"][0]["old"], "5");
    assert_eq!(json["changes"][0]["new"], "10");
    assert_eq!(json["errors"], serde_json::json!([]));
}

#[test]
fn very_many_changes_do_not_fill_the_screen() {
    let fleet = Fleet::start();
    let agents = |requests: u32| {
        let entry = |agent| format!("  agent-{agent}: {{ requests_per_minute: {requests} }}\n");
        "rate_limits:\n".to_owned() + &(0..100).map(entry).collect::<String>()
    };
    let ran = fleet
        .apply(&agents(1), &[])
        .exits(0)
        .says("... and 60 more");
    assert_eq!(ran.stdout.lines().count(), 42, "{ran:#?}");
    let json = fleet.apply(&agents(2), &["-o", "json"]).exits(0).json();
    assert_eq!(json["changes"].as_array().unwrap().len(), 100);
    let shown = fleet.agixctl(&["show", "2"]).exits(0);
    assert_eq!(shown.stdout.matches("1 -> 2").count(), 100);
}

#[test]
fn a_refused_document_changes_nothing() {
    let fleet = Fleet::start();
    fleet.apply(&limit(5), &[]).exits(0);
    let ran = fleet
        .apply("rate_limits:\n  batch:\n    requests_per_minute: 0\n", &[])
        .exits(3)
        .complains("<stdin>:3:26")
        .complains("nothing was applied");
    assert_eq!(ran.stdout, "");
    let json = fleet
        .apply("rate_limit: {}", &["-o", "json"])
        .exits(3)
        .json();
    assert_eq!(json["outcome"], "invalid");
    assert_eq!(json["errors"][0]["line"], 1);
    let history = fleet.agixctl(&["history", "-o", "json"]).exits(0).json();
    assert_eq!(history["revisions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let fleet = Fleet::start();
    fleet
        .apply(&limit(5), &["--dry-run"])
        .exits(0)
        .says("policy would be applied (dry run, no revision yet)");
    fleet.apply(&limit(5), &[]).exits(0).says("revision 1");
    fleet
        .apply(&limit(6), &["--dry-run"])
        .exits(0)
        .says("revision 1 stays")
        .says("5 -> 6");
    fleet
        .apply(&limit(5), &[])
        .exits(0)
        .says("unchanged (revision 1)");
}

#[test]
fn a_lost_race_is_a_conflict_that_names_the_winner() {
    let fleet = Fleet::start();
    fleet.apply(&limit(1), &["--expect-revision", "0"]).exits(0);
    fleet.apply(&limit(2), &["--author", "grace@box"]).exits(0);
    fleet
        .apply(&limit(3), &["--expect-revision", "1"])
        .exits(5)
        .complains("revision 1 was expected to be current, but revision 2 is, made by grace@box")
        .complains("agixctl diff --from 1 --to 2");
    let json = fleet
        .apply(&limit(3), &["--expect-revision", "1", "-o", "json"])
        .exits(5)
        .json();
    assert_eq!(json["outcome"], "conflict");
    assert_eq!(json["current_revision"], 2);
    assert_eq!(json["current_author"], "grace@box");
    fleet.apply(&limit(3), &["--expect-revision", "2"]).exits(0);
    fleet
        .agixctl(&["rollback", "1", "--expect-revision", "2"])
        .exits(5);
}

#[test]
fn rollback_makes_a_new_revision_with_the_old_content() {
    let fleet = Fleet::start();
    fleet.apply(&limit(5), &[]).exits(0);
    fleet.apply(&limit(10), &["-m", "more"]).exits(0);
    fleet
        .agixctl(&["rollback", "1", "-m", "too much"])
        .exits(0)
        .says("policy applied (revision 2 -> 3)")
        .says("10 -> 5");
    fleet
        .agixctl(&["history"])
        .exits(0)
        .says("too much (content of revision 1)")
        .says("more");
    fleet
        .agixctl(&["diff", "--from", "1", "--to", "3"])
        .exits(0);
    let missing = fleet.agixctl(&["rollback", "99"]);
    assert_ne!(missing.code, 0);
    missing.complains("99");
}

#[test]
fn diff_ends_as_diff_does() {
    let fleet = Fleet::start();
    fleet.apply(&limit(5), &[]).exits(0);
    let same = fleet.files.write("same.yaml", &limit(5));
    let other = fleet.files.write("other.yaml", &limit(6));
    let wrong = fleet.files.write("wrong.yaml", "nonsense: 1\n");
    let diff = |file: &std::path::Path| fleet.agixctl(&["diff", "-f", file.to_str().unwrap()]);
    assert_eq!(diff(&same).exits(0).stdout, "");
    assert_eq!(
        diff(&other).exits(1).stdout,
        "~ rate_limits.batch.requests_per_minute: 5 -> 6\n"
    );
    diff(&wrong).exits(3).complains("AGX0003");
    fleet.apply(&limit(6), &[]).exits(0);
    fleet
        .agixctl(&["diff", "--from", "1", "--to", "2"])
        .exits(1)
        .says("5 -> 6");
    fleet
        .agixctl(&["diff", "--from", "1"])
        .exits(1)
        .says("5 -> 6");
    fleet
        .agixctl(&["diff", "--to", "1"])
        .exits(1)
        .says("6 -> 5");
    let json = fleet
        .agixctl(&["diff", "--from", "1", "-o", "json"])
        .exits(1)
        .json();
    assert_eq!(json["different"], true);
    let missing = fleet.agixctl(&["diff", "--from", "77"]);
    assert!(missing.code > 1, "{missing:#?}");
}

#[test]
fn show_tells_who_made_a_revision_and_what_it_changed() {
    let fleet = Fleet::start();
    fleet.apply(&limit(5), &[]).exits(0);
    fleet
        .apply(&limit(10), &["-m", "more", "--author", "grace"])
        .exits(0);
    fleet
        .agixctl(&["show", "2"])
        .exits(0)
        .says("author    grace")
        .says("message   more")
        .says("5 -> 10");
    fleet
        .agixctl(&["show", "1"])
        .exits(0)
        .says("+ rate_limits.batch.requests_per_minute: 5");
    fleet
        .agixctl(&["show", "3"])
        .exits(1)
        .complains("there is no revision 3");
}

#[test]
fn history_goes_back_page_by_page() {
    let fleet = Fleet::start();
    for requests in 1..=5 {
        fleet.apply(&limit(requests), &[]).exits(0);
    }
    let page = fleet
        .agixctl(&["history", "--limit", "2"])
        .exits(0)
        .complains("agixctl history --before 4");
    assert_eq!(page.stdout.lines().count(), 3, "{page:#?}");
    let json = fleet
        .agixctl(&["history", "--before", "3", "-o", "json"])
        .exits(0)
        .json();
    let revisions = json["revisions"].as_array().unwrap();
    let numbers: Vec<_> = revisions.iter().map(|one| &one["revision"]).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(json["more"], false);
}

const SECRETS: &str = "\
providers:
  mine:
    api: openai
    base_url: https://models.example.com/v1
    api_key: sk-literal-secret-value
    headers: { x-extra: another-secret-value }
  theirs:
    api: openai
    base_url: https://models.example.org/v1
    api_key: ${THEIR_KEY}
webhooks:
  definitions:
    hook:
      secret: webhook-secret-value
      callback_url: https://example.com/done
";

#[test]
fn secrets_are_never_printed() {
    let fleet = Fleet::start();
    let ran = [
        fleet.apply(SECRETS, &[]).exits(0),
        fleet.apply(&limit(1), &["-o", "json"]).exits(0),
        fleet.agixctl(&["get", "--revision", "1"]).exits(0),
        fleet
            .agixctl(&["get", "-o", "yaml", "--revision", "1"])
            .exits(0),
        fleet
            .agixctl(&["get", "providers", "--revision", "1"])
            .exits(0)
            .says("${THEIR_KEY}"),
        fleet
            .agixctl(&["get", "webhooks", "-o", "json", "--revision", "1"])
            .exits(0),
        fleet.agixctl(&["diff", "--from", "1"]).exits(1),
        fleet.agixctl(&["show", "1"]).exits(0),
    ];
    for ran in ran {
        for secret in ["sk-literal", "another-secret", "webhook-secret"] {
            assert!(!ran.stdout.contains(secret), "{ran:#?}");
            assert!(!ran.stderr.contains(secret), "{ran:#?}");
        }
    }
}

#[test]
fn get_shows_parts_and_entries() {
    let fleet = Fleet::start();
    let text = "\
rate_limits:
  batch: { requests_per_minute: 5 }
  night: { requests_per_hour: 7 }
failover:
  max_retries: 1
  chains: { gpt-4o: [gpt-4o-mini, claude-opus-4-6] }
";
    fleet.apply(text, &[]).exits(0);
    assert_eq!(fleet.agixctl(&["get"]).exits(0).stdout, text);
    fleet
        .agixctl(&["get", "chains"])
        .exits(0)
        .says("gpt-4o  gpt-4o-mini -> claude-opus-4-6");
    let one = fleet
        .agixctl(&["get", "limits", "batch", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(one["rate_limits"]["batch"]["requests_per_minute"], 5);
    assert!(one["rate_limits"].get("night").is_none());
    fleet
        .agixctl(&["get", "settings"])
        .exits(0)
        .says("failover.max_retries");
    fleet
        .agixctl(&["get", "limits", "absent"])
        .exits(1)
        .complains("absent");
    let none = fleet.agixctl(&["get", "budgets"]).exits(0);
    assert_eq!(none.stdout, "");
    assert_ne!(fleet.agixctl(&["get", "--revision", "9"]).code, 0);
}

#[test]
fn an_empty_control_plane_says_so() {
    let fleet = Fleet::start();
    fleet
        .agixctl(&["history"])
        .exits(0)
        .complains("nothing was applied yet");
    fleet
        .agixctl(&["proxies"])
        .exits(0)
        .complains("no proxy has connected yet");
    fleet
        .agixctl(&["status"])
        .exits(0)
        .says("store memory")
        .says("none yet")
        .says("0 connected");
    let status = fleet.agixctl(&["status", "-o", "json"]).exits(0).json();
    assert!(status["current"].is_null());
}
