//! What needs no control plane, or finds none.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::Stdio;

use crate::harness::{Files, agixctl, agixctl_with, command};

const INVALID: &str = "\
rate_limits:
  batch:
    requests_per_minut: 5
budgets:
  batch:
    daily_limit_usd: -1
";

#[test]
fn a_legal_document_is_called_valid() {
    agixctl_with(["validate", "-f", "-"], "audit:\n  enabled: false\n")
        .exits(0)
        .says("policy is valid");
}

#[test]
fn every_error_of_a_document_is_shown_with_its_place() {
    let files = Files::new();
    let path = files.write("policy.yaml", INVALID);
    let ran = agixctl(["validate", "-f", path.to_str().unwrap()])
        .exits(3)
        .complains("policy.yaml:3:5")
        .complains("did you mean `requests_per_minute`")
        .complains("policy.yaml:6:")
        .complains("2 errors");
    assert_eq!(ran.stdout, "");
}

#[test]
fn programs_get_the_same_errors_as_json() {
    let ran = agixctl_with(["validate", "-f", "-", "-o", "json"], INVALID).exits(3);
    let json = ran.json();
    assert_eq!(json["valid"], false);
    let errors = json["errors"].as_array().unwrap();
    let places: Vec<_> = errors.iter().map(|error| &error["line"]).collect();
    assert_eq!(places, [3, 6]);
    assert_eq!(errors[0]["file"], "<stdin>");
    assert_eq!(errors[0]["code"], "AGX0003");
    assert_eq!(errors[0]["column"], 5);
    assert_eq!(errors[0]["path"], "rate_limits.batch.requests_per_minut");
    assert!(errors[0]["help"].is_string());
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_directory_is_one_document() {
    let files = Files::new();
    files.write(
        "a.yaml",
        "failover:\n  chains:\n    gpt-4o: [gpt-4o-mini]\n",
    );
    files.write("b.yml", "failover:\n  max_retries: 1\n");
    files.write("notes.txt", "not: [yaml");
    let dir = files.path().to_str().unwrap();
    agixctl(["validate", "-f", dir]).exits(0);

    files.write("c.yaml", "failover:\n  max_retries: 2\n");
    agixctl(["validate", "-f", dir])
        .exits(3)
        .complains("c.yaml")
        .complains("AGX0004");
}

#[test]
fn a_literal_secret_is_never_printed() {
    let document = "webhooks:\n  definitions:\n    a:\n      secret: [hunter2-hunter2]\n";
    let ran = agixctl_with(["validate", "-f", "-"], document).exits(3);
    assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
}

#[test]
fn wrong_usage_ends_with_2() {
    agixctl(["aply"]).exits(2).complains("apply");
    agixctl(["apply"]).exits(2).complains("--file");
    agixctl(["diff"]).exits(2);
    agixctl(["apply", "-f", "-", "--timeout", "5s"])
        .exits(2)
        .complains("--wait");
    agixctl(["validate", "-f", "/nonexistent.yaml"])
        .exits(2)
        .complains("/nonexistent.yaml cannot be read");
    agixctl(["status", "--endpoint", "ftp://localhost:1"])
        .exits(2)
        .complains("https://HOST:PORT");
}

#[test]
fn help_is_data_and_ends_with_0() {
    agixctl(["--help"]).exits(0).says("Exit codes:");
    for command in ["apply", "budgets", "limits", "top", "usage"] {
        agixctl(["help", command]).exits(0).says("Examples:");
    }
    for line in [["help", "ledger", "verify"], ["help", "budgets", "adjust"]] {
        agixctl(line).exits(0).says("Examples:");
    }
    agixctl(["--version"])
        .exits(0)
        .says(env!("CARGO_PKG_VERSION"));
    let version = agixctl(["version", "-o", "json"]).exits(0);
    assert_eq!(version.json()["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        agixctl(["completion", shell])
            .exits(0)
            .says("rollback")
            .says("adjust");
    }
}

#[test]
fn a_control_plane_that_is_not_there_ends_with_6() {
    // Bound and closed: nobody listens on this port.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{port}");
    for command in [
        "status",
        "proxies",
        "history",
        "get",
        "limits",
        "budgets",
        "top",
        "usage",
        "ledger verify",
        "budgets adjust batch --usd 1 -m why",
    ] {
        agixctl(command.split(' ').chain(["--endpoint", &endpoint]))
            .exits(6)
            .complains(&format!(
                "the control plane at {endpoint} cannot be reached"
            ))
            .complains("help: start one with `agixctl dev`");
    }
}

#[test]
fn a_control_plane_that_says_nothing_ends_with_6() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    agixctl([
        "status",
        "--request-timeout",
        "200ms",
        "--endpoint",
        &endpoint,
    ])
    .exits(6)
    .complains("did not answer within 200ms");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let mut child = command(["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(stderr, "");
}
